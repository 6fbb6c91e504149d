"""Sketches: exact within their bounds, close beyond, and blind to how rows are cut into chunks."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.stats.profiles.sketch import Distinct, Hitters, RowSample, hash_numbers, hash_texts


@given(st.lists(st.integers(0, 50)), st.integers(1, 10))
def test_distinct_is_exact_within_its_bound(values: list[int], step: int) -> None:
    """As many as a set holds, however the values come."""
    sketch = Distinct(64)
    for start in range(0, len(values), step):
        sketch.update(hash_numbers(np.array(values[start : start + step], np.float64)))
    assert sketch.exact
    assert sketch.count == len(set(values))


@pytest.mark.parametrize("distinct", [20_000, 60_000, 200_000])
def test_distinct_is_close_beyond_its_bound(distinct: int) -> None:
    """Within four standard errors of 1 / sqrt(k)."""
    sketch = Distinct(4096)
    values = np.random.default_rng(3).permutation(np.tile(np.arange(float(distinct)), 2))
    for part in np.array_split(values, 37):
        sketch.update(hash_numbers(part))
    assert not sketch.exact
    assert sketch.count == pytest.approx(distinct, rel=4 / 64)


def test_rows_that_never_repeat_are_told_exactly() -> None:
    """An identifier of a million rows is a million distinct values: no kept hash came twice."""
    sketch = Distinct(1024)
    for part in np.array_split(np.arange(1e6), 100):
        sketch.update(hash_numbers(part))
    assert sketch.count == 1_000_000


def test_hashes_are_the_same_everywhere() -> None:
    """Fixed values: profiles made on two machines agree. Zero has no sign, NaN no payload."""
    assert hash_numbers(np.array([0.0, 1.0])).tolist() == [16294208416658607535, 9860564707913756141]
    assert hash_texts(["", "a", None]).tolist()[2] == 0
    assert hash_texts(["Rome"]).tolist() == [17365381716844711324]
    signed = hash_numbers(np.array([0.0, -0.0, np.nan, -np.nan]))
    assert signed[0] == signed[1]
    assert signed[2] == signed[3]


def test_hitters_keep_what_is_frequent() -> None:
    """Exact while few; beyond, every text over rows / size is there, its count too low by at most that."""
    few, many = Hitters(100), Hitters(100)
    few.update({"a": 3, "b": 1})
    few.update({"a": 2})
    assert (few.counts, few.exact) == (Counter(a=5, b=1), True)
    rng = np.random.default_rng(5)
    texts = [f"rare{i}" for i in range(5000)] + ["often"] * 400 + ["common"] * 900
    for part in np.array_split(rng.permutation(np.array(texts, object)), 50):
        many.update(Counter(part.tolist()))
    assert not many.exact
    assert len(many.counts) <= 100
    for text, true in (("often", 400), ("common", 900)):
        assert true - 63 <= many.counts[text] <= true


@pytest.mark.parametrize("step", [1, 7, 100, 1000])
def test_a_sample_does_not_depend_on_chunks(step: int) -> None:
    """The same rows in the same order, all of them while they are few."""
    table = np.arange(2000.0).reshape(1000, 2)
    whole, cut = RowSample(2, 50), RowSample(2, 50)
    whole.update(table)
    for start in range(0, 1000, step):
        cut.update(table[start : start + step])
    assert (whole.table() == cut.table()).all()
    assert not whole.exact
    assert len(whole.table()) == 50
    assert (np.diff(whole.table()[:, 0]) > 0).all()
    everything = RowSample(2, 1000)
    everything.update(table)
    assert everything.exact
    assert (everything.table() == table).all()


def test_a_sample_is_uniform() -> None:
    """Every tenth of the rows is drawn about equally often: chi-square below its 99.9 % point."""
    sample = RowSample(1, 2000)
    for part in np.array_split(np.arange(100_000.0), 61):
        sample.update(part.reshape(-1, 1))
    counts = np.histogram(sample.table()[:, 0], 10, (0, 100_000))[0]
    assert ((counts - 200) ** 2 / 200).sum() < 27.9


def test_a_sample_bounds_its_memory() -> None:
    """Wide tables have fewer rows, never under 10,000."""
    assert RowSample(4).limit == 1_000_000
    assert RowSample(100).limit == 40_000
    assert RowSample(4000).limit == 10_000
