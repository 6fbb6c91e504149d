"""One model version in one role as its bodies show it: windows over features and outputs, classes, task, batches.

Inputs and outputs have windows of their own, so a feature and an output may share a name; what is derived from outputs
is counted beside them. Refuses to know Samples: `report.py` turns what is counted here into them.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from exporter.analysis.asked import Asked
from exporter.analysis.batch import Batch, Members, form
from exporter.analysis.classes import Classes
from exporter.analysis.columns import columns_of
from exporter.analysis.joint import JointState
from exporter.analysis.kept import KeptSide
from exporter.analysis.kept_joint import JOINT, joint_head, kept_joint, restore_joint
from exporter.analysis.keys import without_ids
from exporter.analysis.known import Known
from exporter.analysis.role import LIVE
from exporter.analysis.rows import RowFacts, Rows
from exporter.analysis.rules import Rules, RuleState
from exporter.analysis.side import Side, SideState, Times
from exporter.analysis.task import PREDICTED, Outputs
from exporter.analysis.thresholds import Thresholds, ThresholdState
from exporter.records.observation import Observation
from exporter.records.observation_metrics import BATCH_BUCKETS
from exporter.stats import CategoricalBins, Profile, SnapshotError, to_bytes
from exporter.stats.joint import JointParts, JointWindows


@dataclass(frozen=True, slots=True)
class Key:
    """What the series of one model version are labelled with; `match`: exact, inherited or none."""

    model_name: str
    model_version: str
    protocol: str
    match: str
    role: str = LIVE


@dataclass(frozen=True, slots=True)
class State:
    """A copy of what one model version has counted; safe to read from any thread.

    `batches`: exchanges per bucket of their rows. `left_out`: columns without counters, by reason. `since` is when its
    reference came into force: what columns count is from then on, all else from `created`.
    `asked`: what the inputs of failed exchanges count; None where there was none.
    """

    key: Key
    created: float
    since: float
    reference: str
    sides: tuple[SideState, ...]
    classes: dict[tuple[str, str], int]
    task: str
    task_source: str
    contradictions: int
    batches: tuple[int, ...]
    rows: int
    left_out: dict[str, int]
    facts: RowFacts
    rules: tuple[RuleState, ...]
    thresholds: tuple[ThresholdState, ...]
    joint: JointState | None = None
    asked: SideState | None = None


class Series:
    """`add` observations, `flush` now and then, `state` for what is exported. Not for two threads at once."""

    def __init__(
        self, key: Key, profile: Profile | None, known: Known, created: float, wide: bool = True
    ) -> None:
        """`wide`: there is room to count columns that have no counters."""
        self.key = key
        self.created = self.since = created
        self.used = created
        self.pristine = True  # nothing was ever counted
        self.seen = 0  # exchanges, those of the warm-up included
        self.outputs = Outputs(known, profile.task if profile is not None else "")
        self._known = known
        self._wide = wide
        self._whole = Rows(known)
        self._rules = Rules(known.rules, known.missing_values)
        self._thresholds = Thresholds(known, key.model_name)
        self._refer(profile)
        self._classes = Classes(_declared(profile))
        self._batches = [0] * (len(BATCH_BUCKETS) + 1)
        self._rows = 0
        self._pending: list[Observation] = []
        self._unanswered: list[Observation] = []

    def _refer(self, profile: Profile | None) -> None:
        self.profile = profile
        self._whole.refer(profile)
        self._ids = (*self._known.id_columns, *filter(None, (self._whole.time_column,)))
        chosen = columns_of(profile, self._known.series_budget, self._wide)
        self.columns = len(chosen.counted)
        self._left_out = dict(chosen.left_out or {})
        self._inputs = Side("feature", profile, self._known, chosen)
        self._outputs = Side("prediction", profile, self._known, chosen)
        self._asked = Asked(profile, self._known, chosen)
        # Where room is short columns are counted by themselves alone.
        parts = JointParts.of(profile, [one.name for one in chosen.counted]) if self._wide else None
        self._joint = JointWindows(parts, self._known.windows) if parts is not None else None
        self._inputs.remembers = self._outputs.remembers = parts is not None

    def refer(self, profile: Profile | None, now: float) -> None:
        """Compare with another reference: other bins, empty windows; classes count on. Flush before."""
        self.since = now
        self._refer(profile)
        self._classes.declare(_declared(profile))

    def add(self, observation: Observation) -> None:
        """Keep one observation for the next `flush`."""
        self._pending.append(observation)
        if observation.task:
            self.outputs.told(observation.task)
        self._batches[bisect_left(BATCH_BUCKETS, observation.rows)] += 1
        self._rows += observation.rows

    def ask(self, request: Observation) -> None:
        """Keep the request of a failed exchange for the next `flush`: for data quality alone."""
        self._unanswered.append(request)

    def flush(self, now: float) -> dict[str, int]:
        """Count what was added, as one batch: windows cost by the call, hardly by the row.

        Returns how many exchanges did not fit, by reason; one that misfits on both sides counts on each.
        """
        pending, self._pending = self._pending, []
        self.used = now
        self.pristine = False
        problems: dict[str, int] = {}
        self._whole.ages(pending, now)
        self._rules.update(pending, now)
        for at, observations in _timed(pending):
            times = Times(now, at)
            for outputs, inputs in _alike(observations, self._ids):
                _put(problems, self._predictions(times, outputs))
                self._whole.repeats(inputs, now)
                _put(problems, self._inputs.update(times, self._inputs.placed(inputs)))
                if self._joint is not None:
                    self._together(self._joint, times, inputs.rows)
        self._judge_unanswered(now)
        return problems

    def _judge_unanswered(self, now: float) -> None:
        requests, self._unanswered = self._unanswered, []
        self._rules.update(requests, now, answered=False)
        for _, asked in _alike(requests, self._ids):
            self._asked.update(self._inputs, now, self._inputs.placed(asked))

    def _together(self, joint: JointWindows, times: Times, rows: int) -> None:
        """Count what the last exchanges' columns have in common; those of a profile have distinct names."""
        inputs, outputs = self._inputs.latest(), self._outputs.latest()
        joint.add(times.now, outputs.batch | inputs.batch, outputs.nulls | inputs.nulls, rows, times.at)

    def _predictions(self, times: Times, outputs: Batch) -> dict[str, int]:
        batch = self._outputs.placed(outputs)
        reading = self.outputs.read(batch)
        self._thresholds.update(batch)
        problems = self._outputs.update(times, batch, reading.columns)
        for place, name in enumerate(batch.names):
            self._classes.count(name, batch.columns(place), self._outputs.nature(name))
        self._classes.add(PREDICTED, reading.classes)
        return problems

    def placed_outputs(self, names: tuple[str, ...], members: Members) -> tuple[tuple[str, ...], Members]:
        """Outputs under the names of the profile's columns."""
        batch = self._outputs.placed(Batch(names, members))
        return batch.names, batch.members

    def kept(self) -> Iterator[tuple[dict[str, Any], Callable[[], bytes]]]:
        """What a `KeptSide` says of each side, and what writes a copy of its rolling windows, made when asked for."""
        key = self.key
        whose: dict[str, Any] = {"model_name": key.model_name, "model_version": key.model_version}
        whose |= {"protocol": key.protocol, "role": key.role, "used": self.used}
        for side in (self._inputs, self._outputs):
            head, windows = side.kept()
            yield whose | head, partial(to_bytes, windows)
        if self._joint is not None and self.profile is not None:
            yield whose | joint_head(self.profile.reference), kept_joint(self._joint)

    def restore(self, kept: KeptSide) -> None:
        """Take over the rolling windows of one side, before anything is counted. Raises SnapshotError."""
        if self._rows or self._pending:
            raise SnapshotError(f"side {kept.side!r} has counted already")
        if kept.side == JOINT:
            restore_joint(self._joint, self.profile, kept)
        else:
            side = next((one for one in (self._inputs, self._outputs) if one.role == kept.side), None)
            if side is None:
                raise SnapshotError(f"side {kept.side!r} is not known")
            side.restore(kept)
        self.used = kept.used
        self.pristine = False

    @property
    def shape(self) -> tuple[object, ...]:
        """Changes when there is a series more to export."""
        sizes = self._inputs.layout.size, self._outputs.layout.size
        return self.since, *sizes, len(self._classes.counts), self.outputs.task, self._asked.used

    def state(self, now: float | None = None) -> State:
        """A copy; with the rolling windows as of `now`, unless that is None."""
        reference = self.profile.reference if self.profile is not None else ""
        sides = self._inputs.state(now), self._outputs.state(now)
        outputs = self.outputs
        left_out = self._left_out | {"unprofiled": self._inputs.refused + self._outputs.refused}
        return State(
            *(self.key, self.created, self.since, reference, sides, dict(self._classes.counts)),
            *(outputs.task, outputs.source, outputs.contradictions, tuple(self._batches), self._rows),
            left_out=left_out,
            facts=self._whole.facts(),
            rules=self._rules.states(),
            thresholds=self._thresholds.states(),
            joint=self._joint_state(now),
            asked=self._asked.state(),
        )

    def _joint_state(self, now: float | None) -> JointState | None:
        if self._joint is None:
            return None
        lengths = self._known.windows if now is not None else ()
        views = {length: self._joint.read(now or 0.0, length) for length in lengths}
        return JointState(self._joint.parts, views)


def _put(problems: dict[str, int], more: dict[str, int]) -> None:
    for reason, exchanges in more.items():
        problems[reason] = problems.get(reason, 0) + exchanges


def _declared(profile: Profile | None) -> dict[str, frozenset[str]]:
    """The classes of each output that the profile names."""
    columns = profile.columns if profile is not None else ()
    return {
        column.name: frozenset(column.bins.categories)
        for column in columns
        if column.role == "prediction" and isinstance(column.bins, CategoricalBins)
    }


def _timed(observations: list[Observation]) -> Iterable[tuple[float | None, list[Observation]]]:
    """Those that belong where they arrive, None, together; the others by their times."""
    if not any(one.time for one in observations):
        return ((None, observations),) if observations else ()
    groups: dict[float | None, list[Observation]] = {}
    for one in observations:
        groups.setdefault(one.time or None, []).append(one)
    return groups.items()


def _alike(observations: Sequence[Observation], ids: tuple[str, ...]) -> Iterator[tuple[Batch, Batch]]:
    """Outputs and inputs of observations with the same names and kinds on both sides, in order of first appearance."""
    groups: dict[tuple[tuple[str, ...], ...], tuple[Members, Members]] = {}
    for one in observations:
        outputs, inputs = one.outputs, one.inputs
        if ids:
            outputs, inputs = without_ids(outputs, ids), without_ids(inputs, ids)
        signature = *form(outputs), *form(inputs)
        group = groups.get(signature)
        if group is None:
            groups[signature] = [outputs], [inputs]
        else:
            group[0].append(outputs)
            group[1].append(inputs)
    for (output_names, _, input_names, _), members in groups.items():
        yield Batch(output_names, members[0]), Batch(input_names, members[1])
