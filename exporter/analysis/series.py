"""One model version as its bodies show it: windows over features and outputs, and counts of classes.

Inputs and outputs have windows of their own, so a feature and an output may share a name. What is counted per column
is decided by the profile (or by the order of the payload without one), and its kind by the profile or its first
sight, never by later traffic. Refuses to know Samples: `report.py` turns what is counted here into them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from exporter.analysis.classes import Classes
from exporter.analysis.fit import Fitted, categorical, numeric
from exporter.records.observation import Column, Observation
from exporter.stats import Layout, NumericBins, Profile, View, Windows

MAX_COLUMNS = 100  # of a profile; the rest is left out, in the profile's order
MAX_UNPROFILED = 20
MISFITS = ("missing_column", "extra_column", "wrong_type")
Role = Literal["feature", "prediction"]
Members = list[tuple[Column, ...]]


@dataclass(frozen=True, slots=True)
class Key:
    """What the series of one model version are labelled with; `match`: exact, inherited or none."""

    model_name: str
    model_version: str
    protocol: str
    match: str


@dataclass(frozen=True, slots=True)
class SideState:
    """A copy of one side: totals since the start, and the rolling windows by length where they were asked for.

    `profile` is None and `reference` "" where no column of this role is profiled. `signed`: positive and negative
    sums of the numeric columns.
    """

    role: Role
    profile: Profile | None
    layout: Layout
    totals: View
    signed: dict[str, tuple[float, float]]
    windows: dict[float, View]

    @property
    def reference(self) -> str:
        """The label value of the reference."""
        return self.profile.reference if self.profile is not None else ""


@dataclass(frozen=True, slots=True)
class State:
    """A copy of what one model version has counted; safe to read from any thread."""

    key: Key
    created: float
    reference: str
    sides: tuple[SideState, ...]
    classes: dict[tuple[str, str], int]


class Side:
    """Inputs or outputs of one model version."""

    def __init__(self, role: Role, profile: Profile | None, lengths: tuple[float, ...]) -> None:
        columns = [column for column in profile.columns if column.role == role] if profile is not None else []
        self.role: Role = role
        self.profile = profile if columns else None
        # All names of the profile, for payloads without any; only the first MAX_COLUMNS are counted.
        self._order = tuple(column.name for column in columns)
        self._windows = Windows(Layout(tuple(column.spec() for column in columns[:MAX_COLUMNS])), lengths)

    @property
    def layout(self) -> Layout:
        """The columns counted now."""
        return self._windows.layout

    def named(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """The profile's names where the payload's are positional: same number, and none of them known."""
        order = self._order
        return order if len(order) == len(names) and not set(names) & set(order) else names

    def update(
        self, now: float, names: tuple[str, ...], members: Members, at: float | None = None
    ) -> dict[str, int]:
        """Add exchanges whose columns have these names and the same kinds; `at`: when they belong, if not now.

        Returns how many exchanges did not fit, by reason. A column of another kind than its bins is converted; it is
        a misfit where a cell cannot be, or where a column without a profile turned from classes to numbers.
        """
        batch: dict[str, NDArray[Any]] = {}
        nulls: dict[str, int] = {}
        wrong: set[int] = set()
        free = MAX_UNPROFILED - len(self.layout.columns) if self.profile is None else 0
        for place, name in enumerate(names):
            known = name in self.layout.places
            if not known and free <= 0:
                continue
            free -= not known
            fitted = self._fit(name, [member[place] for member in members])
            batch[name] = fitted.values
            if fitted.nulls:
                nulls[name] = fitted.nulls
            wrong |= fitted.misfits
        if self.profile is None:
            grown = self.layout.grown(batch)
            if grown is not self.layout:
                self._windows = self._windows.extended(grown)
        self._windows.update(now, batch, nulls, at=at)
        return self._misfits(names, wrong, len(members))

    def _fit(self, name: str, columns: list[Column]) -> Fitted:
        kind = columns[0].kind
        if name not in self.layout.places:
            return numeric(columns) if kind == "numeric" else categorical(columns)
        if isinstance(self.layout.column(name).bins, NumericBins):
            return numeric(columns)
        fitted = categorical(columns)
        turned = kind == "numeric" and self.profile is None
        return Fitted(fitted.values, 0, frozenset(range(len(columns)))) if turned else fitted

    def _misfits(self, names: tuple[str, ...], wrong: set[int], exchanges: int) -> dict[str, int]:
        found = {"wrong_type": len(wrong)} if wrong else {}
        if self.profile is not None:
            if not set(self._order) <= set(names):
                found["missing_column"] = exchanges
            if not set(names) <= set(self._order):
                found["extra_column"] = exchanges
        return found

    def state(self, now: float | None) -> SideState:
        """A copy; with the rolling windows as of `now`, unless that is None."""
        windows, layout = self._windows, self.layout
        signed = {
            column.name: windows.signed_sums(column.name)
            for column in layout.columns
            if isinstance(column.bins, NumericBins)
        }
        views = {} if now is None else {length: windows.read(now, length) for length in windows.lengths}
        return SideState(self.role, self.profile, layout, windows.totals(), signed, views)


class Series:
    """`add` observations, `flush` now and then, `state` for what is exported. Not for two threads at once."""

    def __init__(self, key: Key, profile: Profile | None, lengths: tuple[float, ...], created: float) -> None:
        self.key = key
        self.created = created
        self.used = created
        self.pristine = True  # nothing was ever counted
        self.profile = profile
        self._inputs = Side("feature", profile, lengths)
        self._outputs = Side("prediction", profile, lengths)
        self._classes = Classes()
        self._pending: list[Observation] = []

    def add(self, observation: Observation) -> None:
        """Keep one observation for the next `flush`."""
        self._pending.append(observation)

    def flush(self, now: float) -> dict[str, int]:
        """Count what was added, as one batch: windows cost by the call, hardly by the row.

        Returns how many exchanges did not fit, by reason; one that misfits on both sides counts on each.
        """
        pending, self._pending = self._pending, []
        self.used = now
        self.pristine = False
        problems: dict[str, int] = {}
        for at, observations in _timed(pending):
            self._count(now, at, observations, problems)
        return problems

    def _count(
        self, now: float, at: float | None, pending: list[Observation], problems: dict[str, int]
    ) -> None:
        for side, columns in (
            (self._outputs, [_counted(one.outputs) for one in pending]),
            (self._inputs, [_counted(one.inputs) for one in pending]),
        ):
            for names, members in _grouped(columns):
                known = side.named(names)
                for reason, exchanges in side.update(now, known, members, at).items():
                    problems[reason] = problems.get(reason, 0) + exchanges
                if side is self._outputs:
                    for place, name in enumerate(known):
                        self._classes.count(name, [member[place] for member in members])

    @property
    def shape(self) -> tuple[int, ...]:
        """Changes when there is a series more to export."""
        return self._inputs.layout.size, self._outputs.layout.size, len(self._classes.counts)

    def state(self, now: float | None = None) -> State:
        """A copy; with the rolling windows as of `now`, unless that is None."""
        reference = self.profile.reference if self.profile is not None else ""
        sides = (self._inputs.state(now), self._outputs.state(now))
        return State(self.key, self.created, reference, sides, dict(self._classes.counts))


def _counted(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """The columns that bins can count: a vector means nothing by its places."""
    if not any(column.kind == "vector" for column in columns):
        return columns
    return tuple([column for column in columns if column.kind != "vector"])


def _timed(observations: list[Observation]) -> Iterable[tuple[float | None, list[Observation]]]:
    """Those that belong where they arrive, None, together; the others by their times."""
    if not any(one.time for one in observations):
        return ((None, observations),) if observations else ()
    groups: dict[float | None, list[Observation]] = {}
    for one in observations:
        groups.setdefault(one.time or None, []).append(one)
    return groups.items()


def _grouped(observations: Sequence[tuple[Column, ...]]) -> list[tuple[tuple[str, ...], Members]]:
    """Columns of observations with the same names and kinds put together, in order of first appearance."""
    groups: dict[tuple[str, ...], Members] = {}
    for columns in observations:
        signature = (*[column.name for column in columns], *[column.kind for column in columns])
        group = groups.get(signature)
        if group is None:
            groups[signature] = [columns]
        else:
            group.append(columns)
    return [(key[: len(key) // 2], members) for key, members in groups.items()]
