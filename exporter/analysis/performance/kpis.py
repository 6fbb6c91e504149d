"""KPIs: expressions over sums of what labels say, for each model version and role, over a window of predictions.

Straight from cohorts, so they are the whole fleet's where the store is shared, and outlive restarts. Refuses to know
stores. Invariant: a KPI whose sums are not there, or whose value is none (a division by 0), is absent, never guessed.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from exporter.analysis.expression import Mismatch, number
from exporter.analysis.performance.cohorts import Period, periods
from exporter.analysis.performance.costs import Costs
from exporter.analysis.performance.judged import What
from exporter.analysis.performance.margins import HOUR_SECONDS
from exporter.analysis.role import ROLES
from exporter.pending.contract import DAY_SECONDS, Cohort
from exporter.records.kpi import Kpi, tree
from exporter.stats.performance.sums import WEIGHT

_MOST: Final = 128  # versions and roles
Place = tuple[str, str, str]  # model, version, role


class Valued(NamedTuple):
    """A KPI of one version in one role; `rows`: labelled ones in its window."""

    name: str
    place: Place
    value: float
    rows: float


@dataclass(frozen=True, slots=True)
class Moment:
    """When, and how old predictions are whose labels are complete."""

    now: float
    maturity: float

    def within(self, kpi: Kpi, cohort: Cohort) -> bool:
        """Whether an hour of predictions is in the window."""
        end = (cohort.hour + 1) * HOUR_SECONDS
        shift = self.maturity if kpi.maturity == "mature" else 0.0
        if kpi.maturity == "mature" and not cohort.settled:
            return False
        return end > self.now - shift - kpi.days * DAY_SECONDS


def values(
    kpis: Sequence[Kpi], cohorts: Sequence[Cohort], whats: Mapping[int, What], how: tuple[Costs, Moment]
) -> list[Valued]:
    """Every KPI that has a value."""
    costs, moment = how
    windows: dict[tuple[float, str], dict[Place, dict[str, float]]] = {}
    found = []
    for kpi in kpis:
        window = kpi.days, kpi.maturity
        if window not in windows:
            within = [one for one in cohorts if moment.within(kpi, one)]
            windows[window] = sums(within, whats, costs)
        for place, named in windows[window].items():
            value = _value(kpi, named)
            if value is not None:
                found.append(Valued(kpi.name, place, value, named["labelled"]))
    return found


def sums(cohorts: Iterable[Cohort], whats: Mapping[int, What], costs: Costs) -> dict[Place, dict[str, float]]:
    """What expressions can name, all outputs of a version together."""
    found: dict[Place, dict[str, float]] = {}
    for (_, role), period in periods(cohorts, whats).items():
        if role >= len(ROLES):
            continue
        place = period.what.model_name, period.what.model_version, ROLES[role]
        if place in found or len(found) < _MOST:
            own = found.setdefault(place, defaultdict(float))
            for name, value in _sums(period, costs):
                own[name] += value
    return {place: dict(own) for place, own in found.items()}


def _sums(period: Period, costs: Costs) -> Iterator[tuple[str, float]]:
    whole = period.whole()
    yield "predicted", period.predicted
    yield "labelled", whole.rows
    for (truth, chosen), planes in whole.pairs.items():
        yield ("right" if truth == chosen else "wrong"), float(planes[WEIGHT])
    if whole.pairs:
        yield from (("right", 0.0), ("wrong", 0.0))
    if costs:
        gain, loss = costs.realised(whole)
        yield "cost", loss - gain
        if period.expected[0] > 0:
            yield "expected_cost", period.expected[1]
    for name, (rows, total) in period.outcomes.items():
        yield f"outcome.{name}", total
        yield f"told.{name}", rows


def _value(kpi: Kpi, named: Mapping[str, float]) -> float | None:
    expression = tree(kpi.value)
    # Names in backticks stand in the tree under another one.
    given = {
        key: named.get(f"{one.side}.{one.name}" if one.side else one.name, math.nan)
        for key, one in expression.columns.items()
    }
    try:
        value = number(expression.tree, given)
    except Mismatch:
        return None
    return value if math.isfinite(value) else None
