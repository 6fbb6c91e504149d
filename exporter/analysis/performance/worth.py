"""What labels are worth to their owner: costs, KPIs, contests, and labels that were asked for -> Samples.

Sums are counted as they come; KPIs and contests are read from cohorts now and then. Refuses to know stores.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from exporter.analysis.performance import asked, kpis
from exporter.analysis.performance.contested import Contested
from exporter.analysis.performance.costs import Costs
from exporter.analysis.performance.judged import What
from exporter.analysis.performance.kpis import Moment
from exporter.analysis.performance.outcome import Account, Standing
from exporter.analysis.performance.requests import Requests
from exporter.analysis.performance.scored import CLASSIFIED, Tally
from exporter.analysis.role import ROLES
from exporter.pending.contract import Cohort
from exporter.records.cost import Cost
from exporter.records.kpi import Kpi
from exporter.records.sample import Sample

_WEIGHTED: Final = ("weight", "weight_squares", "right", "over", "under", "squares")


class Worth:
    """`read` on the loop, `samples` from any thread."""

    def __init__(self, costs: Sequence[Cost], listed: Sequence[Kpi]) -> None:
        self.costs = Costs(costs)
        self._kpis = listed
        self._valued: list[kpis.Valued] = []
        self.contested = Contested()

    async def read(self, cohorts: Sequence[Cohort], whats: Mapping[int, What], moment: Moment) -> None:
        """What is made of the cohorts of a store, in a thread."""
        known = dict(whats)
        await self.contested.read(cohorts, known, moment)
        if self._kpis:
            how = self.costs, moment
            self._valued = await asyncio.to_thread(kpis.values, self._kpis, cohorts, known, how)

    def samples(self, standing: Standing, requests: Requests | None) -> Iterator[Sample]:
        """Everything; families together."""
        yield from self._costs(standing)
        yield from self._targets()
        yield from self.contested.samples(standing.created)
        yield from _weighted(standing)
        if requests is not None:
            yield from _requests(requests, standing.created)

    def _costs(self, standing: Standing) -> Iterator[Sample]:
        if not self.costs:
            return
        for account in standing.accounts:
            if account.what.form in CLASSIFIED:
                for *tail, tally, _ in _sides(account):
                    for direction, value in zip(("gain", "loss"), self.costs.realised(tally), strict=True):
                        labels = (*_head(account.what), direction, *tail)
                        yield Sample("model.cost.realised", labels, value, standing.created)
        expected = list(self.costs.totals())
        for what, role, (_, *both) in expected:
            for direction, value in zip(("gain", "loss"), both, strict=True):
                labels = (*_head(what), direction, ROLES[role])
                yield Sample("model.cost.expected", labels, value, standing.created)
        for what, role, (rows, *_) in expected:
            yield Sample("model.cost.rows", (*_head(what), ROLES[role]), rows, standing.created)

    def _targets(self) -> Iterator[Sample]:
        for one in self._kpis:
            yield Sample("model.kpi.target", (one.name, one.owner, one.direction), one.target)
        for valued in self._valued:
            name, version, role = valued.place
            yield Sample("model.kpi.value", (name, version, valued.name, role), valued.value)
        for valued in self._valued:
            name, version, role = valued.place
            yield Sample("model.kpi.rows", (name, version, valued.name, role), valued.rows)


def _sides(account: Account) -> Iterator[tuple[str, str, str, Tally, Tally]]:
    """(maturity, state, role, all rows, those that were asked for)."""
    role = account.role
    yield "arrival", "added", role, account.added, account.asked_added
    yield "arrival", "withdrawn", role, account.withdrawn, account.asked_withdrawn
    yield "mature", "added", role, account.mature, account.asked_mature


def _head(what: What) -> tuple[str, str, str]:
    return what.model_name, what.model_version, what.output


def _weighted(standing: Standing) -> Iterator[Sample]:
    for account in standing.accounts:
        for *tail, _, tally in _sides(account):
            if account.asked_added.rows > 0 or account.asked_mature.rows > 0:
                for name, value in zip(_WEIGHTED, asked.sums(tally), strict=True):
                    labels = (*_head(account.what), name, *tail)
                    yield Sample("model.performance.asked", labels, max(value, 0.0), standing.created)


def _requests(requests: Requests, created: float) -> Iterator[Sample]:
    for what, role, reason, count in requests.counted():
        yield Sample("model.label.requested", (*_head(what), reason, role), count, created)
    yield Sample("modeltap.label_requests.open", (), requests.open())
    for outcome, count in requests.states.items():
        yield Sample("modeltap.label_requests.closed", (outcome,), count, created)
