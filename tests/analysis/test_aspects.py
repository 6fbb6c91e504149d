"""aspects.py: what a column is by first sight or profile, and what is counted of texts, vectors and times."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.analysis.aspects import Nature, counted, is_free, moment, profiled, sighted
from exporter.records.observation import Column
from exporter.stats import CategoricalBins, NumericBins, ProfileColumn
from exporter.stats.aspects import ASPECTS, text_aspects, vector_aspects
from exporter.stats.profiles.column import PayloadColumn
from tests.analysis.world import column

WORDS = "one two three four five"


def vector(rows: int, width: int = 70, nulls: int = 0) -> Column:
    values = np.random.default_rng(width).normal(size=(rows, width))
    values[:nulls] = np.nan
    return Column("x", "vector", values, nulls)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["a", "b", None], "category"),
        (["true", "false"], "category"),
        (["a" * 257, "b"], "text"),
        (["a" * 256, "b"], "category"),
        ([WORDS, WORDS + " six"], "text"),
        ([WORDS, "a"], "category"),
        (["2024-02-29", "2024-02-29T12:00:00Z", None], "datetime"),
        (["2024-02-29", "soon"], "category"),
        (["2024-02-30"], "category"),
        (["20240229"], "category"),
        ([None], "category"),
        ([""], "category"),
    ],
)
def test_first_sight_of_texts(cells: list[Any], kind: str) -> None:
    """Times if all are; text by length or by words on average; else categories."""
    found = Column("x", "categorical", np.array(cells, object), cells.count(None))
    assert sighted([found]).type == kind
    assert sighted([found, column(["b"])]).type in ("category", "text")


def test_first_sight_of_numbers_and_vectors() -> None:
    """They are what decoders say; a vector's width is part of it."""
    assert sighted([column([1.0])]).type == "numeric"
    assert sighted([vector(2)]) == Nature(
        "vector", 70, None, tuple(a for a in ASPECTS["vector"] if a != "distance")
    )


def test_texts_are_counted_by_their_aspects() -> None:
    """As the statistics have them; a null is a null in each."""
    cells = ["hello", None, "  ", "Привет"]
    found = counted(Nature("text"), "x", [column(cells[:2]), column(cells[2:])])
    expected = text_aspects(np.array([cell for cell in cells if cell is not None], object))
    assert list(found) == ["x:length", "x:script", "x:form"]
    for aspect, fitted in zip(ASPECTS["text"], found.values(), strict=True):
        assert fitted.values.tolist() == expected[aspect].tolist()
        assert (fitted.nulls, fitted.misfits) == (1, frozenset())


def test_times_are_counted_by_hour_and_weekday() -> None:
    """In UTC; what is no time is a misfit of its exchange, a null is a null."""
    cells = [["2024-02-29T23:30:00-02:00", None], ["late"], ["2024-03-03"]]
    found = counted(Nature("datetime"), "x", [column(some) for some in cells])
    assert found["x:hour"].values.tolist() == ["1", "0"]
    assert found["x:weekday"].values.tolist() == ["friday", "sunday"]
    assert (found["x:hour"].nulls, found["x:hour"].misfits) == (1, frozenset({1}))


@pytest.mark.parametrize("rows", [2, 3000])
def test_vectors_are_counted_by_their_aspects(rows: int) -> None:
    """Alike whether they are put together or, being large, are not; null rows are nulls."""
    parts = [vector(rows, nulls=1), vector(rows)]
    found = counted(sighted(parts), "x", parts)
    table = np.concatenate([part.values for part in parts])[1:]
    for aspect, values in vector_aspects(table).items():
        np.testing.assert_allclose(found[f"x:{aspect}"].values, values)
        assert found[f"x:{aspect}"].nulls == 1
    assert len(found) == 10


def test_vectors_of_another_width_are_misfits() -> None:
    """Places on directions of another width are not comparable."""
    found = counted(sighted([vector(1)]), "x", [vector(1), vector(2, 80), vector(1)])
    assert len(found["x:norm"].values) == 2
    assert {fitted.misfits for fitted in found.values()} == {frozenset({1})}
    alone = counted(sighted([vector(1)]), "x", [vector(2, 80)])
    assert [fitted.misfits for fitted in alone.values()] == [frozenset({0})]


@pytest.mark.parametrize("kind", ["text", "datetime", "vector"])
def test_another_kind_is_a_misfit(kind: Any) -> None:
    """Numbers where texts, times or vectors were: nothing is counted, each exchange is named."""
    (fitted,) = counted(Nature(kind), "x", [column([1.0, 2.0]), column([3.0])]).values()
    assert len(fitted.values) == 0
    assert fitted.misfits == {0, 1}


def _profile_column(name: str, kind: str, source: str = "", numeric: bool = True) -> ProfileColumn:
    bins: Any = NumericBins((0.0,)) if numeric else CategoricalBins(("a",))
    return ProfileColumn(name, "feature", bins, (0,) * bins.size, type=kind, source=source)


def test_columns_of_a_profile() -> None:
    """Aspects are one column by their source, but for an image's; a vector has its width and its centroid."""
    columns = [
        _profile_column("age", "numeric"),
        *[
            _profile_column(f"text:{word}", "text", "text", word == "length")
            for word in ("length", "script", "form")
        ],
        _profile_column("user:length", "numeric"),
        *[_profile_column(f"emb:{word}", "vector", "emb") for word in ("norm", "distance")],
        _profile_column("city", "categorical", numeric=False),
        _profile_column("vip", "boolean", numeric=False),
        *[_profile_column(f"at:{word}", "datetime", "at", False) for word in ("hour", "weekday")],
        _profile_column("photo:width", "image", "photo"),
    ]
    payload = [PayloadColumn("emb", "feature", "vector", width=70, centroid=(0.5,) * 70)]
    found = profiled(columns, payload)
    assert {name: nature.type for name, nature in found.items()} == {
        **{"age": "numeric", "text": "text", "user:length": "numeric", "emb": "vector", "city": "category"},
        **{"vip": "category", "at": "datetime", "photo:width": "numeric"},
    }
    assert found["emb"].names("emb") == ("emb:norm", "emb:distance")
    table = vector(3)
    counts = counted(found["emb"], "emb", [table])
    assert list(counts) == ["emb:norm", "emb:distance"]
    np.testing.assert_allclose(counts["emb:distance"].values, np.linalg.norm(table.values - 0.5, axis=1))
    narrow = counted(found["emb"], "emb", [vector(1, 69)])
    assert narrow["emb:norm"].misfits == {0}


def test_times_as_numbers() -> None:
    """A profile's unit says what they count; null and what is not finite have neither hour nor weekday."""
    columns = [_profile_column(f"at:{word}", "datetime", "at", False) for word in ("hour", "weekday")]
    nature = profiled(columns, [PayloadColumn("at", "feature", "datetime", unit="ms")])["at"]
    found = counted(nature, "at", [column([3_600_000.0, float("nan"), float("inf")], 1)])
    assert found["at:hour"].values.tolist() == ["1"]
    assert found["at:weekday"].values.tolist() == ["thursday"]
    assert found["at:hour"].nulls == 2
    assert counted(nature, "at", [column(["1970-01-01"])])["at:hour"].misfits == {0}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01", 0.0),
        ("1970-01-01T00:00:01", 1.0),
        ("1970-01-01 01:00+01:00", 0.0),
        ("1970-01-01T00:00:00.5Z", 0.5),
        ("1969-12-31T23:59:59.123456789Z", pytest.approx(-0.876544)),
        ("0001-01-01", -62135596800.0),
        ("0001-01-01T00:00+14:00", -62135647200.0),
        ("9999-12-31T23:59:59-14:00", 253402351199.0),
        ("1970-13-01", None),
        ("1970-01-01T25:00", None),
        ("1970-W01-1", None),
        ("19700101", None),
        ("1970", None),
        ("١٩٧٠-٠١-٠١", None),
        ("", None),
    ],
)
def test_moments(text: str, seconds: float | None) -> None:
    """ISO 8601's extended form and nothing else; no text raises."""
    assert moment(text) == seconds


@given(
    st.text()
    | st.from_regex(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?", fullmatch=True)
)
def test_any_text_is_a_moment_or_none(text: str) -> None:
    """A number or None, whatever the text."""
    found = moment(text)
    assert found is None or abs(found) < 1e12


@given(st.lists(st.none() | st.text(max_size=300), min_size=1))
def test_any_cells(cells: list[str | None]) -> None:
    """First sight and aspects raise nothing, and account for every cell."""
    found = Column("x", "categorical", np.array(cells, object), cells.count(None))
    nature = sighted([found])
    if nature.type in ("text", "datetime"):
        for fitted in counted(nature, "x", [found]).values():
            assert len(fitted.values) + fitted.nulls == len(cells)


@pytest.mark.parametrize(
    ("text", "free"),
    [
        ("a" * 64, False),
        ("a" * 65, True),
        ("a b c d", False),
        (WORDS, True),
        ("a    b    c", False),
        ("", False),
    ],
)
def test_free_words(text: str, free: bool) -> None:
    """Over 64 characters or four words is no category that may be learnt."""
    assert is_free(text) is free
