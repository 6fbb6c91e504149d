"""The reference's own level over its periods."""

import numpy as np
import pytest

from exporter.stats import STATISTICS
from exporter.stats.bins import Bins, NumericBins
from exporter.stats.drift import Pair
from exporter.stats.profiles.levels import MAX_CELLS, PeriodCounts
from exporter.stats.profiles.survey import Counted
from exporter.stats.profiles.tally import Located, located
from exporter.stats.table import Table

HOUR = 3600
BINS = NumericBins((-1.0, 0.0, 1.0))


def _counted(
    times: np.ndarray,
    values: np.ndarray,
    seconds: int = HOUR,
    parts: int = 3,
    weights: np.ndarray | None = None,
) -> PeriodCounts:
    counts = PeriodCounts(seconds, {"x": BINS.size})
    for chosen in np.array_split(np.arange(len(times)), parts):
        own = None if weights is None else weights[chosen]
        counts.update(times[chosen], {"x": located(BINS, Counted(values[chosen]))}, own)
    return counts


def _sides(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts and sums per bin."""
    own = located(BINS, Counted(values))
    return BINS.count(values), np.bincount(own.codes, own.values, BINS.size)


def test_a_level_is_the_mean_and_sigma_over_periods_each_against_the_rest() -> None:
    """The same as measuring each by hand, however the rows came in."""
    rng = np.random.default_rng(1)
    times, values = rng.uniform(0, 12 * HOUR, 6000), rng.normal(size=6000)
    found, levels = _counted(times, values).levels({"x": (BINS, 1.0)}, STATISTICS)
    assert (found.periods, found.absent) == (12, "")
    assert {level.statistic for level in levels} == {statistic.name for statistic in STATISTICS}
    slots = times // HOUR
    for level in levels:
        statistic = next(s for s in STATISTICS if s.name == level.statistic)
        by_hand = []
        for slot in range(12):
            rest, own = (_sides(values[chosen]) for chosen in (slots != slot, slots == slot))
            pair = Pair(BINS, rest[0], own[0], None, rest[1], own[1], 1.0)
            by_hand.append(statistic.measure(pair).value)  # type: ignore[union-attr]
        assert (level.mean, level.std) == pytest.approx((np.mean(by_hand), np.std(by_hand, ddof=1)))
        assert level.limit == pytest.approx(level.mean + 3 * level.std)


def test_weighted_periods_are_of_effective_rows() -> None:
    """Equal weights change nothing; others give the level of as many rows as each period and its rest are worth."""
    rng = np.random.default_rng(2)
    times, values = rng.uniform(0, 12 * HOUR, 9000), rng.normal(size=9000)
    plain = _counted(times, values).levels({"x": (BINS, 1.0)}, STATISTICS)
    assert _counted(times, values, weights=np.full(9000, 4.0)).levels({"x": (BINS, 1.0)}, STATISTICS) == plain
    weights = rng.choice([1.0, 4.0], 9000)
    psi = next(statistic for statistic in STATISTICS if statistic.name == "psi")
    _, (level,) = _counted(times, values, weights=weights).levels({"x": (BINS, 1.0)}, [psi])
    by_hand = []
    for slot in range(12):
        sides = []
        for chosen in (times // HOUR != slot, times // HOUR == slot):
            own, codes = weights[chosen], located(BINS, Counted(values[chosen])).codes
            sides.append(
                np.rint(np.bincount(codes, own, BINS.size) * own.sum() / (own @ own)).astype(np.int64)
            )
        by_hand.append(psi.measure(Pair(BINS, sides[0], sides[1])).value)  # type: ignore[union-attr]
    assert (level.mean, level.std) == pytest.approx((np.mean(by_hand), np.std(by_hand, ddof=1)))


@pytest.mark.parametrize(
    ("hours", "rows", "expected"),
    [(7, 6000, "fewer than 8 periods"), (12, 60, "too few rows"), (0, 0, "fewer than 8 periods")],
)
def test_an_absent_level_says_why(hours: int, rows: int, expected: str) -> None:
    """Fewer than eight periods, or periods with too few rows."""
    rng = np.random.default_rng(1)
    found, levels = _counted(rng.uniform(0, hours * HOUR, rows), rng.normal(size=rows)).levels(
        {"x": (BINS, 1.0)}, STATISTICS
    )
    assert expected in found.absent
    assert levels == []


def test_rows_without_a_time_have_no_period() -> None:
    """Not finite, or beyond any calendar; and times before 1970 have theirs."""
    times = np.array([np.nan, np.inf, 1e300, -1.0, 0.0])
    found, _ = _counted(times, np.zeros(5), parts=1).levels({"x": (BINS, 1.0)}, STATISTICS)
    assert found.periods == 2


def test_periods_are_bounded() -> None:
    """More than the bound: no level, said so, and nothing kept."""
    counts = PeriodCounts(1, {"x": MAX_CELLS // 10})
    counts.update(np.arange(20.0), {"x": Located(np.zeros(20, np.int64), np.zeros(20))})
    found, levels = counts.levels({}, STATISTICS)
    assert "more periods" in found.absent
    assert levels == []


def test_any_statistic_may_be_measured() -> None:
    """Whatever has a name and measures rows of tables; a period in which it has no value takes no part."""

    class Counting:
        name = "rows"

        def values(self, _: Bins, table: Table) -> np.ndarray:
            rows = table.live.sum(axis=1).astype(np.float64)
            return np.where(rows > 1, rows, np.nan)

    times = np.repeat(np.arange(10.0), np.arange(1, 11)) * HOUR
    _, levels = _counted(times, np.zeros(len(times)), parts=1).levels({"x": (BINS, None)}, [Counting()])
    assert [(level.statistic, level.mean, level.periods) for level in levels] == [("rows", 6.0, 9)]
