"""exemplars.py: the last sampled exchange per bucket."""

import pytest

from exporter.analysis.exemplars import MAX_LABEL_SETS, Exemplars
from tests.analysis.world import BOUNDS, TRACE, v2


@pytest.mark.parametrize(
    ("nanoseconds", "bucket"), [(0, 0), (1_000_000, 0), (1_000_001, 1), (100_000_000, 2), (10**10, 3)]
)
def test_exemplar_lies_in_the_bucket_that_counts_it(nanoseconds: int, bucket: int) -> None:
    """Bounds are inclusive to the nanosecond, as in the data plane."""
    exemplars = Exemplars(BOUNDS)
    exemplars.add(v2({}, {}, trace=TRACE, duration=nanoseconds))
    (buckets,) = exemplars.copy().values()
    assert list(buckets) == [bucket]
    assert buckets[bucket].value == nanoseconds / 1e9


def test_last_one_per_bucket_is_kept() -> None:
    """One exemplar per bucket: the last exchange that fell into it."""
    exemplars = Exemplars(BOUNDS)
    for nanoseconds in (2_000_000, 3_000_000, 20_000_000):
        exemplars.add(v2({}, {}, trace=TRACE, duration=nanoseconds))
    (buckets,) = exemplars.copy().values()
    assert {place: one.value for place, one in buckets.items()} == {1: 0.003, 2: 0.02}


def test_exchange_without_a_trace_is_none() -> None:
    """Only sampled exchanges become exemplars."""
    exemplars = Exemplars(BOUNDS)
    exemplars.add(v2({}, {}))
    assert exemplars.copy() == {}


def test_label_sets_are_bounded() -> None:
    """Names without end take no memory without end; known ones go on."""
    exemplars = Exemplars(BOUNDS)
    for n in range(MAX_LABEL_SETS + 50):
        exemplars.add(v2({}, {}, model_name=f"m{n}", trace=TRACE))
    assert len(exemplars.copy()) == MAX_LABEL_SETS
