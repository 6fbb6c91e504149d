"""Readings of rounds into figures: medians, spreads, differences from a baseline, ratios.

Refuses to know how a reading was made. A figure with a problem in any of its rounds is invalid as a whole;
its number is never shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

TOTAL = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """One thing that a scenario measures.

    `name` is its key in the JSON, `unit` is what the number counts, `better` is "lower" or "higher".
    `over` names a peer whose reading of the same round is subtracted ("added by the proxy"). A metric that is
    not `compared` has no ratio to the reference peer.
    """

    name: str
    unit: str
    better: str = "lower"
    over: str = ""
    digits: int = 1
    compared: bool = True


@dataclass(frozen=True, slots=True)
class Reading:
    """One number of one round; `role` is a part of the process tree, or TOTAL."""

    metric: str
    value: float
    role: str = TOTAL


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one peer gave in one round. Any problem makes the readings worthless.

    `notes` tell what was skipped or made smaller, and why; the readings stand.
    """

    readings: tuple[Reading, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def get(self, metric: str, role: str = TOTAL) -> float | None:
        return next((r.value for r in self.readings if r.metric == metric and r.role == role), None)


@dataclass(frozen=True, slots=True)
class Figure:
    """Median and spread of a metric over the rounds, or why there is none."""

    median: float
    low: float
    high: float
    rounds: int
    problems: tuple[str, ...] = ()

    @property
    def valid(self) -> bool:
        return not self.problems


def summarise(values: Sequence[float]) -> Figure:
    """Median with minimum and maximum. Raises ValueError when there are no values."""
    if not values:
        raise ValueError("no values to summarise")
    return Figure(median(values), min(values), max(values), len(values))


def invalid(problems: Sequence[str]) -> Figure:
    """A figure without a number; each distinct problem is kept once, in order."""
    nan = float("nan")
    return Figure(nan, nan, nan, 0, tuple(dict.fromkeys(problems)))


def roles(rounds: Sequence[Outcome], metric: str) -> list[str]:
    """The roles that any round gave for a metric, TOTAL first, in order of appearance."""
    seen = {r.role for outcome in rounds for r in outcome.readings if r.metric == metric}
    ordered = dict.fromkeys(r.role for o in rounds for r in o.readings if r.metric == metric)
    return [role for role in [TOTAL, *(r for r in ordered if r != TOTAL)] if role in seen]


def figure(metric: Metric, role: str, peer: str, rounds: Mapping[str, Sequence[Outcome]]) -> Figure | None:
    """The figure of a peer; None when there is nothing to tell.

    With `metric.over` the baseline of the same round is subtracted before the median is taken, so that what
    disturbs a whole round cancels; a round whose baseline failed counts as failed, and the baseline has none.
    """
    if peer == metric.over or (metric.over and metric.over not in rounds):
        return None
    baseline = rounds[metric.over] if metric.over else [Outcome()] * len(rounds[peer])
    problems = [text for outcome in rounds[peer] for text in outcome.problems]
    problems += [f"{metric.over}: {text}" for outcome in baseline for text in outcome.problems]
    if problems:
        return invalid(problems)
    values = []
    for mine, base in zip(rounds[peer], baseline, strict=True):
        value = mine.get(metric.name, role)
        if value is not None:
            values.append(value - (base.get(metric.name) or 0.0))
    return summarise(values) if values else None


def ratio(mine: Figure | None, other: Figure | None) -> float | None:
    """mine / other by medians; None when either is missing or invalid, or other is not above 0."""
    if mine is None or other is None or not mine.valid or not other.valid or other.median <= 0:
        return None
    return mine.median / other.median
