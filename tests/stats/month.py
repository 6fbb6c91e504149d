"""A month of columns without drift under the decision of the fleet's rules (alert_rules/drift_long.py): who asks for a
ticket that nobody needs.

`python -m tests.stats.month` prints the table of docs/statistics.md; the suite runs a short form. Formulas are those of
exporter/stats, which the rules repeat; the decision is that of the rules, looked at every hour of four weeks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alert_rules import values
from alert_rules.distances import NORMAL_CERTAIN
from exporter.stats.bins import BoolArray, FloatArray, IntArray
from exporter.stats.chance import critical_value
from exporter.stats.clusters import effective_rows
from exporter.stats.psi import PSI
from exporter.stats.table import Table

BINS = 10
DAY, WEEK, HOURS = 24, 168, 28 * 24
REFERENCE_ROWS = 10_000
PERIODS = 30  # days of the reference, where its own level is known


@dataclass(frozen=True)
class Stream:
    """Rows per hour, in requests of `batch` rows that repeat their request's own bin with `copied` probability.

    `spread`: the shares of each day are Dirichlet around even ones with that concentration; infinite: all are alike.
    """

    name: str
    rows: int
    batch: int = 1
    copied: float = 0.0
    spread: float = np.inf


@dataclass(frozen=True)
class Month:
    """Of so many columns: those with any hour above the critical value, above the effect too, and those with a ticket.

    Judged with all rows as if they were independent, with effective rows, and with the reference's own level besides.
    """

    critical: int
    effect: int
    tickets: int
    naive: int
    level: int | None


@dataclass(frozen=True)
class Hours:
    """Counts (columns, hours, bins), and the sums of squares that effective rows are formed from (columns, hours)."""

    counts: IntArray
    squared_rows: IntArray
    squared_bins: IntArray


def hours(stream: Stream, columns: int, rng: np.random.Generator, days: int = HOURS // DAY) -> Hours:
    even = np.full(BINS, 1.0 / BINS)
    shares = np.broadcast_to(even, (columns, days, BINS))
    if np.isfinite(stream.spread):
        shares = rng.dirichlet(even * stream.spread, (columns, days))
    shares = np.repeat(shares, DAY, axis=1)
    requests = stream.rows // stream.batch
    if stream.batch == 1:
        counts = rng.multinomial(stream.rows, shares)
        rows = counts.sum(axis=2)
        return Hours(counts, rows, rows)
    counts = np.zeros((columns, days * DAY, BINS), np.int64)
    matched = np.zeros((columns, days * DAY), np.int64)
    for _ in range(requests):
        # How many of a request's rows repeat its own bin; the others are anywhere.
        alike = rng.binomial(stream.batch, stream.copied, matched.shape)
        one = rng.multinomial(stream.batch - alike, shares)
        one += rng.multinomial(1, shares) * alike[..., None]
        counts += one
        matched += np.square(one).sum(axis=2)
    return Hours(counts, np.full(matched.shape, requests * stream.batch**2), matched)


def rolled(panes: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Sums of so many hours, at the end of each hour from the first full window on."""
    summed = np.cumsum(panes, axis=1)
    before = np.concatenate([np.zeros_like(summed[:, :1]), summed[:, :-length]], axis=1)
    return np.asarray(summed[:, length - 1 :] - before)


@dataclass(frozen=True)
class Judged:
    """PSI of windows (columns, hours), its critical value, that of the certain level, and independent rows.

    `hours`: from one look to the next.
    """

    psi: FloatArray
    critical: FloatArray
    certain: FloatArray
    effective: FloatArray
    hours: int = 1

    def every(self, hours: int) -> Judged:
        """Looked at less often, from one hour after the first full window on."""
        kept = (each[:, 1::hours] for each in (self.psi, self.critical, self.certain, self.effective))
        return Judged(*kept, hours)

    def found(self, level: float | FloatArray = 0.0) -> BoolArray:
        beyond = (self.psi > self.critical) & (self.psi > values.DRIFT_EFFECT)
        return np.asarray(beyond & (self.psi > level))


def judged(found: Hours, reference: IntArray, length: int, independent: bool = False) -> Judged:
    counts, rows, matched = (
        rolled(each, length) for each in (found.counts, found.squared_rows, found.squared_bins)
    )
    shape = counts.shape[:2]
    live = counts.reshape(-1, BINS)
    base = np.repeat(reference, shape[1], axis=0)
    whole = live.sum(axis=1).astype(np.float64)
    agreement = np.square(live / whole[:, None]).sum(axis=1)
    clusters = np.stack([whole.astype(np.int64), rows.ravel(), matched.ravel()])
    effective = whole if independent else effective_rows(whole, agreement, clusters)
    table = Table(base, live, np.ones(live.shape, np.bool_), effective, None, np.full(len(live), np.nan))
    one = PSI.find(table)
    certain = critical_value(one.counts.bins, effective, one.counts.reference_rows, NORMAL_CERTAIN)
    enough = one.ready() & (effective >= values.MIN_ROWS)
    value = np.where(enough, one.value, 0.0)
    return Judged(*(each.reshape(shape) for each in (value, one.critical, certain, effective)))


def tickets(day: Judged, week: Judged, level: float | FloatArray = 0.0) -> BoolArray:
    """The columns for which the alert of alert_rules/drift_long.py is true at any hour; its `for` is left out."""
    daily, weekly = day.found(level), week.found(level)
    twice = _twice(daily, DAY // day.hours) | _twice(weekly, WEEK // week.hours)
    large = daily & (day.psi > values.DRIFT_LARGE) & (day.psi > day.certain)
    return np.asarray(twice | large.any(axis=1))


def _twice(found: BoolArray, apart: int) -> BoolArray:
    return np.asarray((found[:, apart:] & found[:, :-apart]).any(axis=1))


def month(stream: Stream, columns: int, seed: int) -> Month:
    rng = np.random.default_rng(seed)
    past = hours(stream, columns, rng, PERIODS) if np.isfinite(stream.spread) else None
    even = np.full(BINS, 1.0 / BINS)
    if past is None:
        reference = rng.multinomial(REFERENCE_ROWS, even, size=columns)
    else:
        reference = past.counts.sum(axis=1)
    found = hours(stream, columns, rng)
    day, week = (judged(found, reference, length) for length in (DAY, WEEK))
    naive = tuple(judged(found, reference, length, independent=True) for length in (DAY, WEEK))
    return Month(
        int((day.psi > day.critical).any(axis=1).sum()),
        int(day.found().any(axis=1).sum()),
        int(tickets(day, week).sum()),
        int(tickets(*naive).sum()),
        None if past is None else int(tickets(day, week, own_level(past, reference)).sum()),
    )


def own_level(past: Hours, reference: IntArray) -> FloatArray:
    """Mean + 3 sigma of a day of the reference against the rest of it, by column."""
    days = past.counts.reshape(len(past.counts), -1, DAY, BINS).sum(axis=2)
    rest = reference[:, None, :] - days
    flat = days.reshape(-1, BINS)
    table = Table(
        rest.reshape(-1, BINS),
        flat,
        np.ones(flat.shape, np.bool_),
        flat.sum(axis=1).astype(float),
        None,
        np.full(len(flat), np.nan),
    )
    each = PSI.find(table).value.reshape(days.shape[:2])
    return np.asarray((each.mean(axis=1) + 3 * each.std(axis=1, ddof=1))[:, None])


STREAMS = (
    *(Stream("independent", rows) for rows in (10, 100, 1000, 100_000)),
    *(Stream("requests of 10", rows, 10, 0.5) for rows in (100, 1000)),
    *(Stream("requests of 50", rows, 50, 1.0) for rows in (100, 1000)),
    *(
        Stream("days differ", rows, spread=spread)
        for rows in (100, 10_000)
        for spread in (1000.0, 100.0, 30.0)
    ),
)


def main() -> None:
    print(
        "| stream | rows an hour | rows alike | days | critical | effect | ticket | all independent | own level |"
    )
    print("|" + "---|" * 9)
    for stream in STREAMS:
        found = month(stream, 1000 if stream.rows <= 1000 else 200, stream.rows + stream.batch)
        per = 1000 if stream.rows <= 1000 else 200
        cells = [found.critical, found.effect, found.tickets, found.naive, found.level]
        text = " | ".join("" if cell is None else f"{100 * cell / per:.1f}" for cell in cells)
        spread = f"{stream.spread:g}" if np.isfinite(stream.spread) else ""
        print(f"| {stream.name} | {stream.rows:,} | {stream.copied**2:g} | {spread} | {text} |", flush=True)


if __name__ == "__main__":
    main()
