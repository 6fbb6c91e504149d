"""thresholds.py: rows by where their score lies, against a plain loop; which column the score is."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.analysis.batch import Batch
from exporter.analysis.engine import Engine
from exporter.analysis.known import Known
from exporter.analysis.thresholds import POSITIONS, Thresholds
from exporter.records.observation import Column, NumericTable
from exporter.records.threshold import Threshold
from tests.analysis.world import BOUNDS, NOW, column, feed, found, v1, v2


def counted(threshold: Threshold, *members: tuple[Column, ...], positive: str = "") -> dict[str, int]:
    """Positions with rows, of exchanges that are alike."""
    made = Thresholds(Known(thresholds=(threshold,), positive_class=positive), "m")
    made.update(Batch(tuple(one.name for one in members[0]), list(members)))
    (state,) = made.states()
    return {name: count for name, count in zip(POSITIONS, state.counts, strict=True) if count}


def slowly(value: float, threshold: Threshold) -> str:
    """The position of one score, by the definition."""
    if math.isnan(value):
        return "missing"
    if value >= threshold.value:
        return "just_above" if value <= round(threshold.value + threshold.band, 12) else "above"
    return "just_below" if value >= round(threshold.value - threshold.band, 12) else "below"


@given(
    st.lists(st.floats(width=64) | st.integers(0, 20).map(lambda n: n / 20), min_size=1),
    st.integers(-20, 20).map(lambda n: n / 20),
    st.integers(0, 10).map(lambda n: n / 20),
)
def test_against_the_definition(values: list[float], value: float, band: float) -> None:
    """Every row is at the one position that the definition says, also on the very edges."""
    threshold = Threshold("t", value, band)
    expected = [slowly(one, threshold) for one in values]
    assert counted(threshold, (column(values),)) == {word: expected.count(word) for word in set(expected)}


def test_edges() -> None:
    """The value itself is above it; both ends of the band belong to it, also where a sum of floats is a hair off."""
    values = [0.0999, 0.1, 0.2, 0.1999, 0.3, 0.3001]
    assert counted(Threshold("t", 0.2, 0.1), (column(values),)) == {
        **{"below": 1, "just_below": 2, "just_above": 2, "above": 1},
    }
    assert counted(Threshold("t", 0.5, 0.0), (column([0.5, 0.4999, 0.5001]),)) == {
        "below": 1,
        "just_above": 1,
        "above": 1,
    }


def test_floats_of_32_bits() -> None:
    """0.7 of a server that computes in 32 bits is 0.7."""
    scores = Column("p", "numeric", np.array([0.7, 0.75, 0.65, 0.1], np.float32))
    assert counted(Threshold("t", 0.7, 0.05), (scores,)) == {"below": 1, "just_below": 1, "just_above": 2}


PAIR = (column([0.9, 0.2], name="p.no"), column([0.1, 0.8], name="p.yes"))
VECTOR = Column("p", "vector", np.array([[0.1, 0.2, 0.7], [math.nan] * 3]))
TEXT = column(["a", "b"], name="word")


@pytest.mark.parametrize(
    ("threshold", "outputs", "positive", "expected"),
    [
        ({}, PAIR, "", {"below": 1, "above": 1}),
        ({}, PAIR, "no", {"above": 1, "below": 1}),
        ({"klass": "no", "value": 0.9}, PAIR, "yes", {"below": 1, "just_above": 1}),
        ({"klass": "maybe"}, PAIR, "", {"missing": 2}),
        ({"output": "p.no", "value": 0.9}, PAIR, "", {"below": 1, "just_above": 1}),
        ({"output": "nobody"}, PAIR, "", {"missing": 2}),
        ({"klass": "2"}, (VECTOR,), "", {"above": 1, "missing": 1}),
        ({"output": "p", "klass": "0"}, (VECTOR,), "", {"below": 1, "missing": 1}),
        ({}, (VECTOR,), "", {"missing": 2}),
        ({}, (TEXT,), "", {"missing": 2}),
        ({"output": "word"}, (TEXT,), "", {"missing": 2}),
        ({}, (TEXT, column([0.1, 0.9])), "a", {"below": 1, "above": 1}),
    ],
)
def test_which_score(
    threshold: dict[str, Any], outputs: tuple[Column, ...], positive: str, expected: dict[str, int]
) -> None:
    """By the output, by the class, by the positive class; what could be several scores is none."""
    declared = Threshold("t", **{"value": 0.5} | threshold)
    assert counted(declared, outputs, positive=positive) == expected


def test_vectors_of_several_widths() -> None:
    """They are no table, and their rows are missing."""
    other = Column("p", "vector", np.array([[0.4, 0.6]]))
    assert counted(Threshold("t", 0.5, klass="0"), (VECTOR,), (other,)) == {"missing": 3}


def test_a_table() -> None:
    """Rows that were decoded as a table count the same."""
    made = Thresholds(Known(thresholds=(Threshold("t", 0.5),)), "m")
    table: Any = NumericTable(("a.0", "a.1"), np.array([0.8, 0.2, 0.3, 0.7]))
    made.update(Batch(("a.0", "a.1"), [table]))
    assert made.states()[0].counts == (1, 0, 0, 1, 0)


def test_no_outputs() -> None:
    """Rows without any output are missing; nothing raises."""
    made = Thresholds(Known(thresholds=(Threshold("t", 0.5),)), "m")
    made.update(Batch((), [(), ()]))
    assert made.states()[0].counts == (0, 0, 0, 0, 2)


def test_by_version_and_model() -> None:
    """What is exported has version and role, adds up to the predicted rows, and is the named model's alone."""
    declared = (Threshold("review", 0.5, 0.1, model="iris"), Threshold("other", 0.5, model="wine"))
    engine = Engine((), Known(thresholds=declared), BOUNDS, NOW)
    for version, scores in (("1", [0.1, 0.45, 0.5, 0.9]), ("2", [0.95])):
        feed(engine, [v2({"x": [1.0] * len(scores)}, {"p": scores}, version=version)])
    feed(engine, [v1([[1.0]], [0.7])])
    samples = list(engine.snapshot().samples())
    rows = found(samples, "model.threshold.rows")
    assert {labels: count for labels, count in rows.items() if count} == {
        ("iris", "1", "review", "below", "live"): 1,
        ("iris", "1", "review", "just_below", "live"): 1,
        ("iris", "1", "review", "just_above", "live"): 1,
        ("iris", "1", "review", "above", "live"): 1,
        ("iris", "2", "review", "above", "live"): 1,
    }
    assert len(rows) == 2 * len(POSITIONS)
    assert set(found(samples, "model.threshold.value").values()) == {0.5}
    assert set(found(samples, "model.threshold.band").values()) == {0.1}
