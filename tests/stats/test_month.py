"""The decision of the fleet's rules over a month without drift, and with it."""

import numpy as np
import pytest

from tests.stats.month import DAY, Stream, hours, judged, month, tickets

COLUMNS = 100


@pytest.mark.parametrize(
    "stream",
    [
        Stream("independent", 100),
        Stream("independent", 100_000),
        Stream("requests", 100, 10, 0.5),
        Stream("copies", 100, 50, 1.0),
    ],
    ids=lambda stream: f"{stream.name}-{stream.rows}",
)
def test_a_quiet_month_of_a_hundred_columns_gives_at_most_one_ticket(stream: Stream) -> None:
    """Looked at every hour, whether rows are independent or repeat those of their request."""
    assert month(stream, COLUMNS, seed=stream.rows).tickets <= 1


def test_rows_that_repeat_each_other_would_alarm_if_they_counted_in_full() -> None:
    """Requests of fifty equal rows: a ticket for every column."""
    found = month(Stream("copies", 100, 50, 1.0), COLUMNS, seed=3)
    assert (found.tickets, found.naive) == (0, COLUMNS)


def test_only_the_own_level_knows_that_days_differ() -> None:
    """Days that differ by themselves: nearly every column without the level, few with it."""
    found = month(Stream("days", 100, spread=100.0), COLUMNS, seed=4)
    assert found.level is not None
    assert found.tickets > 0.9 * COLUMNS
    assert found.level < 0.2 * COLUMNS


def test_drift_that_lasts_gives_a_ticket_and_one_day_of_it_does_not() -> None:
    """The reference has fewer rows in its first bin; PSI about 0.15, below what needs no second day."""
    rng = np.random.default_rng(5)
    found = hours(Stream("moved", 100), 20, rng)
    shares = np.full(10, 0.1) + np.array([-0.065, -0.05, 0, 0, 0, 0, 0, 0.02, 0.04, 0.055])
    reference = rng.multinomial(10_000, shares, size=20)
    day, week = (judged(found, reference, length) for length in (DAY, 7 * DAY))
    assert tickets(day, week).all()
    assert (day.psi[:, :DAY] < 0.25).all()
    first = hours(Stream("moved", 100), 20, rng, days=14)
    first.counts[:, DAY : 13 * DAY] = rng.multinomial(100, shares, size=(20, 12 * DAY))
    first.counts[:, 13 * DAY :] = rng.multinomial(100, shares, size=(20, DAY))
    day, week = (judged(first, reference, length) for length in (DAY, 7 * DAY))
    assert day.found()[:, 0].all()
    assert not tickets(day, week).any()
