"""Two profiles over the same bins, compared: per column every statistic with its yardsticks, and a verdict.

Refuses to know files and how it is shown. Invariant: every column of either side is in the result, compared or with
the reason why not; the order depends on the profiles alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exporter.stats.drift import Drift, Statistic
from exporter.stats.profiles.profile import Profile, ProfileColumn

DRIFTED, SAME, INSUFFICIENT, NOT_COMPARED = "drifted", "same", "insufficient", "not compared"
_ORDER = (DRIFTED, SAME, INSUFFICIENT, NOT_COMPARED)


@dataclass(frozen=True, slots=True)
class Measure:
    """One statistic of one column, with its yardsticks (`drift.Drift`), and what they say together."""

    drift: Drift
    verdict: str

    @property
    def statistic(self) -> str:
        return self.drift.statistic


@dataclass(frozen=True, slots=True)
class Row:
    """One column: its histograms on both sides, the measures, and the verdict by the chosen statistic.

    `reason` says why a column is not compared, or lacks a verdict.
    """

    name: str
    role: str
    type: str
    verdict: str
    reason: str = ""
    measures: tuple[Measure, ...] = ()
    reference: ProfileColumn | None = None
    live: ProfileColumn | None = None

    def measure(self, statistic: str) -> Measure | None:
        """The measure of that statistic, None if it was insufficient or does not hold for the column."""
        return next((one for one in self.measures if one.statistic == statistic), None)

    def severity(self, effect: float) -> float:
        """The first measure's value by the highest of its yardsticks: over 1 is drift."""
        first = self.measures[0] if self.measures else None
        if first is None:
            return 0.0
        own = first.drift
        return own.value / max(effect, own.floor, own.critical, own.level or 0.0, 1e-300)


@dataclass(frozen=True, slots=True)
class Differences:
    """All columns, the drifted ones first. `statistic`: by which the verdict is; `effect`: the least that matters."""

    statistic: str
    effect: float
    rows: tuple[Row, ...]

    @property
    def drifted(self) -> tuple[Row, ...]:
        """The columns that drifted."""
        return tuple(row for row in self.rows if row.verdict == DRIFTED)

    @property
    def compared(self) -> int:
        """Columns with a verdict."""
        return sum(1 for row in self.rows if row.verdict in (DRIFTED, SAME))


@dataclass(frozen=True, slots=True)
class CompareConfig:
    """`statistic` decides; `effect`: the least that matters, None for the statistic's own; `seconds`: whose periods'
    level is a yardstick too, None for none."""

    statistic: str = "psi"
    effect: float | None = None
    seconds: int | None = None


def compare(a: Profile, b: Profile, statistics: Sequence[Statistic], config: CompareConfig) -> Differences:
    """`b` against the reference `a`. Columns are compared where both have them over the same bins."""
    names = [*a.names, *(name for name in b.names if name not in a.names)]
    rows = [_row(name, a, b, statistics, config) for name in names]
    decisive = next(one for one in statistics if one.name == config.statistic)
    effect = decisive.effect if config.effect is None else config.effect
    order = sorted(rows, key=lambda row: (_ORDER.index(row.verdict), -row.severity(effect), row.name))
    return Differences(config.statistic, effect, tuple(order))


def _row(name: str, a: Profile, b: Profile, statistics: Sequence[Statistic], config: CompareConfig) -> Row:
    reference = a.column(name) if name in a.names else None
    live = b.column(name) if name in b.names else None
    known = reference or live
    assert known is not None
    bare = Row(name, known.role, known.type, NOT_COMPARED, _reason(name, a, b), (), reference, live)
    if reference is None or live is None or bare.reason:
        return bare
    first = [one for one in statistics if one.name == config.statistic]
    ordered = [*first, *(one for one in statistics if one.name != config.statistic)]
    pair = reference.pair(live.array, live.bin_sums)
    found = [(one, drift) for one in ordered if (drift := one.measure(pair)) is not None]
    measures = tuple(_measure(name, one, drift, a, config) for one, drift in found)
    chosen = next((one for one in measures if one.statistic == config.statistic), None)
    verdict = INSUFFICIENT if chosen is None else chosen.verdict
    reason = "too few rows, or not for this type" if chosen is None else ""
    return Row(name, known.role, known.type, verdict, reason, measures, reference, live)


def _reason(name: str, a: Profile, b: Profile) -> str:
    """Why a column cannot be compared, "" if it can."""
    for here, there, side in ((a, b, "the second"), (b, a, "the first")):
        if name in here.names and name not in there.names:
            left = {one.name: one.reason for one in there.left_out}
            return f"left out of {side}: {left[name]}" if name in left else f"missing from {side}"
    mine, other = a.column(name), b.column(name)
    if mine.kind != other.kind:
        return f"{mine.type} in the first, {other.type} in the second"
    return "" if mine.bins == other.bins else "other bins (make the second with --edges-from the first)"


def _measure(name: str, statistic: Statistic, drift: Drift, a: Profile, config: CompareConfig) -> Measure:
    level = a.level(name, drift.statistic, config.seconds) if config.seconds is not None else None
    decisive = statistic.name == config.statistic and config.effect is not None
    effect = config.effect if decisive and config.effect is not None else statistic.effect
    judged = drift._replace(level=None if level is None else level.limit)
    return Measure(judged, DRIFTED if judged.exceeds(effect) else SAME)
