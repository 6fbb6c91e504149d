"""The truth of numbers as pages tell it: labels by bin and every distance from the reference, by period or window.

Straight from cohorts, so it is the whole fleet's where the store is shared. Pure; any thread. Invariant: what is not
known is absent or null, and too few labels, or labels that some groups hardly get, are said to be so.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from exporter.analysis.performance.cohorts import Period, periods
from exporter.analysis.performance.judged import What
from exporter.analysis.performance.margins import HOUR_SECONDS
from exporter.analysis.performance.targets import Known, rows_of
from exporter.analysis.role import ROLES
from exporter.analysis.window_report import window_name
from exporter.pending.contract import Cohort
from exporter.records.sample import Sample
from exporter.stats import STATISTICS

# Output of a model version in a role.
Truths = Mapping[tuple[str, str, str, str], Known]
WINDOWS: Final = {"24h": 86_400, "7d": 604_800}
_GAUGES: Final = {
    "model.target.drift": "value",
    "model.target.noise_floor": "noise_floor",
    "model.target.critical_value": "critical_value",
}
_EFFECTS: Final = {one.name: one.effect for one in STATISTICS}
# The least covered group over the most covered one, of groups with so many rows; as alert_rules/values.yaml has them.
_EVENNESS, _GROUP_ROWS = 0.5, 100


def truth(period: Period, role: int, truths: Truths, seconds: int = 0) -> dict[str, Any]:
    """Of one output over a period; {} for one without a numeric target. `seconds`: whose level judges it."""
    what, sums = period.what, period.labelled.target
    if what.target is None or sums is None or role >= len(ROLES):
        return {}
    known = truths.get((what.model_name, what.model_version, what.output, ROLES[role]))
    # Labels of an earlier profile's predictions are compared with nothing.
    same = known is not None and known.target == what.target
    found = known.drift(sums, seconds) if known is not None and same else []
    _, effective = rows_of(what.target, sums)
    bins = zip(what.target.bins.labels, sums.tolist(), strict=False)
    state = "insufficient" if not found else "biased" if _uneven(period) else "ready"
    told = {"reference": what.target.reference, "state": state, "effective_rows": effective}
    return told | {"bins": dict(bins), "statistics": [one.told(_EFFECTS[one.statistic]) for one in found]}


def windows(
    cohorts: Sequence[Cohort], whats: Mapping[int, What], truths: Truths, span: tuple[float, float]
) -> Iterator[dict[str, Any]]:
    """Of the hours that matured last, 24 hours and 7 days of them. `span`: (maturity, now), in seconds."""
    maturity, now = span
    for name, seconds in WINDOWS.items():
        end = now - maturity
        chosen = [one for one in cohorts if end - seconds < (one.hour + 1) * HOUR_SECONDS <= end]
        for (_, role), period in periods(chosen, whats).items():
            told = truth(period, role, truths, seconds)
            if told:
                what = period.what
                head = {"model_name": what.model_name, "model_version": what.model_version}
                head |= {"role": ROLES[role], "source": "target", "window": name, "column": what.output}
                yield head | {"labels": period.labelled.rows} | told


class Truth:
    """`read` on the loop, `samples` from any thread. `truths` grow elsewhere."""

    def __init__(self, truths: Truths) -> None:
        self._truths = truths
        self._found: list[dict[str, Any]] = []

    async def read(
        self, cohorts: Sequence[Cohort], whats: Mapping[int, What], span: tuple[float, float]
    ) -> None:
        """What is made of the cohorts of a store, in a thread; see `windows`."""
        known = dict(whats), dict(self._truths)
        if known[1]:
            self._found = await asyncio.to_thread(lambda: list(windows(cohorts, *known, span)))

    def samples(self) -> Iterator[Sample]:
        """Of the reference, rows by bin and its own levels; of the hours that matured last, distances."""
        truths = dict(self._truths)
        for (*head, role), known in truths.items():
            target = known.target
            for label, count in zip(target.bins.labels, known.counts, strict=True):
                yield Sample("model.reference.target_bin", (*head, label, target.reference, role), count)
        for (*head, role), known in truths.items():
            for (statistic, seconds), level in known.levels.items():
                labels = (*head, window_name(seconds), statistic, known.target.reference, role)
                yield Sample("model.reference.target_level", labels, level)
        yield from _gauges(self._found)


def _gauges(found: Sequence[Mapping[str, Any]]) -> Iterator[Sample]:
    """What `windows` told, families together; absent while there are too few labels."""
    ready = [one for one in found if one["statistics"]]
    for family, word in _GAUGES.items():
        for one in ready:
            for told in one["statistics"]:
                yield Sample(family, (*_where(one), told["statistic"], *_whose(one)), told[word])
    for one in ready:
        yield Sample("model.target.effective_rows", (*_where(one), *_whose(one)), one["effective_rows"])


def _where(one: Mapping[str, Any]) -> tuple[str, str, str, str]:
    return one["model_name"], one["model_version"], one["column"], one["window"]


def _whose(one: Mapping[str, Any]) -> tuple[str, str]:
    return one["reference"], one["role"]


def _uneven(period: Period) -> bool:
    """Whether labels choose among the groups of a segment."""
    shares: dict[int, list[float]] = {}
    for (segment, _), (labelled, rows) in period.groups.items():
        if rows >= _GROUP_ROWS:
            shares.setdefault(segment, []).append(labelled / rows)
    return any(min(own) < _EVENNESS * max(own) for own in shares.values())
