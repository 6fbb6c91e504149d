"""Sampling by key: which rows are kept depends on the key and the rate alone."""

import pytest

from exporter.pending.contract import Rows
from exporter.pending.row import blank, keys, request_digest
from exporter.pending.sampling import Sampler
from tests.pending.stores import T0, rows

NAMES = tuple(f"id {number}" for number in range(20_000))


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 1.0])
def test_as_many_as_the_rate_says(rate: float) -> None:
    """Within five standard deviations; the rest is counted, and rows keep their fields."""
    sampler, given = Sampler(rate), rows(*NAMES)
    kept = sampler.rows(given)
    assert len(kept.keys) + sampler.sampled_out == len(NAMES)
    assert abs(len(kept.keys) - rate * len(NAMES)) <= 5 * (rate * (1 - rate) * len(NAMES)) ** 0.5
    assert all(sampler.keeps(key) for key in kept.keys)
    places = {key: at for at, key in enumerate(given.keys)}
    assert (kept.values == given.values[[places[key] for key in kept.keys]]).all()


def test_a_higher_rate_keeps_what_a_lower_one_does() -> None:
    """On whatever replica, before or after the rate was changed."""
    given = rows(*NAMES)
    few, more = (set(Sampler(rate).rows(given).keys) for rate in (0.2, 0.3))
    assert few < more


def test_rows_of_a_request_stay_together() -> None:
    """All or none of them are kept."""
    sampler = Sampler(0.5)
    for name in NAMES[:100]:
        given = keys(request_digest("dialect", name), range(7))
        assert len(sampler.rows(Rows(given, blank(7, T0))).keys) in (0, 7)


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_rates_that_are_none(rate: float) -> None:
    """Anything but 0 to 1 is refused."""
    with pytest.raises(ValueError, match="from 0 to 1"):
        Sampler(rate)
