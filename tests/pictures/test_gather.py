"""What a picture is made of: panels that repeat, gaps, titles; with a Prometheus that answers by the book."""

from typing import Any

from dashboards.panels import Query, empty, layout, repeated, sized, table, timeseries
from dashboards.variables import dashboard
from tests.e2e.monitoring import Line, Prometheus, Series
from tests.pictures.gather import POINTS, REPEATS, gathered

SPAN = (1000.0, 1000.0 + 10 * POINTS)


class Answers(Prometheus):
    """One series of one sample, and three outputs."""

    def at(self, expression: str, time: float) -> list[Series]:
        if expression.startswith("group by (output)"):
            return [Series({"output": name}, 1.0) for name in ("c", "a", "b")]
        return [Series({"model_name": "m"}, time)]

    def range(self, expression: str, start: float, end: float, step: float) -> list[Line]:
        if expression == "nothing":
            return []
        return [Line({"query": expression}, [start + step], [7.0])]


def drawn(*panels: dict[str, Any]) -> list[dict[str, Any]]:
    made = dashboard("uid", "title", "text", layout((("Row", panels),)))
    found: list[dict[str, Any]] = gathered(made, Answers("nowhere"), {"role": "shadow"}, SPAN)["panels"]
    return found[1:]


def test_a_missing_sample_is_a_gap() -> None:
    """A line has a point for each step of the range, and null where Prometheus has none."""
    (panel,) = drawn(timeseries("t", "d", "s", Query('x{role="$role"}')))
    (series,) = panel["answers"][0]["series"]
    assert series["labels"] == {"query": 'x{role="shadow"}'}
    assert series["points"][:3] == [(1000, None), (1010, 7.0), (1020, None)]
    assert len(series["points"]) == POINTS + 1


def test_a_panel_repeats_beside_itself() -> None:
    """One for each of the first values, in their order, with the value in its title and its queries."""
    panel = timeseries("t: $output", "d", "s", Query('x{output="$output"}'))
    found = drawn(repeated(sized(panel, 12, 8), "output", 2))
    assert [one["title"] for one in found] == ["t: a", "t: b"][:REPEATS]
    assert [one["gridPos"]["x"] for one in found] == [0, 12]
    assert found[1]["answers"][0]["series"][0]["labels"] == {"query": 'x{output="b"}'}


def test_a_folded_row_is_open_where_most_of_it_has_data() -> None:
    """What is below it moves down by as much; a row that has little stays as it is, and no two panels overlap."""
    held, idle = (timeseries("t", "d", "s", Query(expr)) for expr in ("x", "nothing"))
    rows = (("Full", (held, held, idle)), ("Half", (held, idle)), ("Last", (held,)))
    made = dashboard("uid", "title", "text", layout(rows, ("Full", "Half")))
    found = gathered(made, Answers("nowhere"), {}, SPAN)["panels"]
    assert [(one["title"], one.get("collapsed")) for one in found if one["type"] == "row"] == [
        ("Full", False),
        ("Half", True),
        ("Last", False),
    ]
    places = [one["gridPos"] for one in found]
    assert [place["y"] for place in places] == [0, 1, 1, 1, 10, 11, 12]
    cells = [
        (x, y)
        for at in places
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))


def test_a_table_is_of_the_end() -> None:
    """Instant queries are asked at the end of the range."""
    (panel,) = drawn(empty(table("t", "d", ("model_name",), {"n": (Query("x", shape="table"), "s")}), "None"))
    assert panel["answers"][0]["series"] == [{"labels": {"model_name": "m"}, "points": [[SPAN[1], SPAN[1]]]}]
