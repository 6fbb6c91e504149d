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


def test_a_table_is_of_the_end() -> None:
    """Instant queries are asked at the end of the range."""
    (panel,) = drawn(empty(table("t", "d", ("model_name",), {"n": (Query("x", shape="table"), "s")}), "None"))
    assert panel["answers"][0]["series"] == [{"labels": {"model_name": "m"}, "points": [[SPAN[1], SPAN[1]]]}]
