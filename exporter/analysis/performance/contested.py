"""What contests say -> Samples: of rows that two models scored, and of traffic that is split between them.

Gauges are read from cohorts now and then, so that of a shared store every replica shows the same. Sums of split traffic
are counted as hours mature, by the one replica that releases an hour: they add up over replicas, whose stores may be
shared or not, and what the fleet knows follows from them. Refuses to know stores. Invariants: no sum ever falls; each
was 0 for the minutes between two looks.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from exporter.analysis.performance import split
from exporter.analysis.performance.cohorts import state
from exporter.analysis.performance.contests import Duel, champion_of, duels
from exporter.analysis.performance.judged import What
from exporter.analysis.performance.kpis import Moment
from exporter.analysis.performance.split import Left, Place, Split
from exporter.pending.contract import Cohort
from exporter.records.sample import Sample
from exporter.stats.performance.contest import Contest
from exporter.stats.performance.split import SPLIT
from exporter.stats.performance.sums import named

PAIRED, APART = "paired", "split"
_NONE: Final = np.zeros(len(SPLIT))
_LIMITS: Final = ("value", "low", "high")


class Contested:
    """`read` and `release` on the loop, `samples` from any thread."""

    def __init__(self) -> None:
        self._duels: list[Duel] = []
        self._split = split.NOTHING
        self._released = split.NOTHING
        # What is exported, and of that what was there at 0 before: `increase` loses no first count.
        self._listed: frozenset[Place | Left] = frozenset()
        self._begun: frozenset[Place | Left] = frozenset()

    async def read(self, cohorts: Sequence[Cohort], whats: Mapping[int, What], moment: Moment) -> None:
        """What all hours of a store say, in a thread."""
        self._duels = await asyncio.to_thread(duels, cohorts, whats)
        self._split = await asyncio.to_thread(together, cohorts, whats, moment)
        self._begun = self._listed
        self._listed = frozenset(
            {*self._split.sums, *self._released.sums} | {*self._split.left, *self._released.left}
        )

    def release(self, hour: Cohort, cohorts: Sequence[Cohort], whats: Mapping[int, What]) -> None:
        """Count an hour that has matured; `cohorts` tell which version came first."""
        self._released = split.add(self._released, split.sides(hour, whats), split.arrivals(cohorts, whats))

    def samples(self, created: float) -> Iterator[Sample]:
        """Of too few rows there is no advantage to tell."""
        found = list(judged(self._split))
        for one in self._duels:
            yield from _advantage((*_place(one), PAIRED), one.role, one.contest)
        for place, contest, _ in found:
            yield from _advantage((*place[:-1], APART), place.role, contest)
        for one in self._duels:
            yield Sample("model.contest.rows", (*_place(one), PAIRED, one.role), one.contest.rows)
        for place, _, sums in found:
            yield Sample("model.contest.rows", (*place[:-1], APART, place.role), sums["challenger"])
        released, listed, begun = self._released, self._listed, self._begun
        for place in sorted(one for one in listed if isinstance(one, Place)):
            own = released.sums.get(place, _NONE) if place in begun else _NONE
            for name, value in zip(SPLIT, own.tolist(), strict=True):
                yield Sample("model.contest.split", (*place[:-1], name, place.role), value, created)
        for key in sorted(one for one in listed if isinstance(one, Left)):
            rows = released.left.get(key, 0.0) if key in begun else 0.0
            yield Sample("model.contest.left_out", key, rows, created)


def together(cohorts: Sequence[Cohort], whats: Mapping[int, What], moment: Moment) -> Split:
    """All hours; open ones too."""
    return split.together(cohorts, whats, lambda cohort: state(cohort, moment.maturity, moment.now) != "open")


def judged(found: Split) -> Iterator[tuple[Place, Contest, dict[str, float]]]:
    """Every contest, with its sums by name."""
    for place, sums in sorted(found.sums.items(), key=lambda item: item[0]):
        if (contest := split.contest(place, sums)) is not None:
            yield place, contest, named(SPLIT, sums)


def rows_of(found: Split) -> list[dict[str, Any]]:
    """As the page has them."""
    return [
        {
            **place._asdict(),
            "champion_name": place.model_name,
            "comparison": APART,
            "verdict": contest.verdict,
            "advantage": contest.difference,
            "low": contest.low,
            "high": contest.high,
            "rows": contest.rows,
            "challenger_rows": int(sums["challenger"]),
            "hours": int(sums["strata"]),
            "left_out": {
                key.reason: int(rows)
                for key, rows in found.left.items()
                if (*key[:4], key.role) == (*place[:3], place.champion, place.role)
            },
        }
        for place, contest, sums in judged(found)
    ]


def _place(one: Duel) -> tuple[str, ...]:
    what = one.challenger
    return what.model_name, what.model_version, what.output, one.statistic, champion_of(one)


def _advantage(head: tuple[str, ...], role: str, contest: Contest) -> Iterator[Sample]:
    if contest.verdict != "insufficient":
        values = contest.difference, contest.low, contest.high
        for limit, value in zip(_LIMITS, values, strict=True):
            yield Sample("model.contest.advantage", (*head, limit, role), value)
