"""Sums over members that come and go."""

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.collect.accumulate import MonotonicSum


def test_ended_members_keep_counting() -> None:
    """A member that is gone stays in the sum with its last values."""
    total: MonotonicSum[str] = MonotonicSum(2)
    assert total.update({"a": (1.0, 10.0), "b": (2.0, 20.0)}) == (3.0, 30.0)
    assert total.update({"a": (1.5, 10.0)}) == (3.5, 30.0)
    assert total.update({}) == (3.5, 30.0)


def test_value_that_fell_is_a_new_member() -> None:
    """A member that starts again from a lower value adds to what its predecessor counted."""
    total: MonotonicSum[str] = MonotonicSum(1)
    total.update({"eth0": (100.0,)})
    assert total.update({"eth0": (5.0,)}) == (105.0,)


READINGS = st.lists(st.dictionaries(st.integers(0, 4), st.tuples(st.floats(0, 1e9)), max_size=5), max_size=8)


@given(READINGS)
@settings(max_examples=100)
def test_never_falls(readings: list[dict[int, tuple[float, ...]]]) -> None:
    """Whatever members do, no total is ever lower than the one before, not by the last bit of a float."""
    total: MonotonicSum[int] = MonotonicSum(1)
    before: tuple[float, ...] = (0.0,)
    for reading in readings:
        after = total.update(reading)
        assert after >= before
        before = after
