"""One model version as its bodies show it: windows over features and outputs, counters, drift against its reference.

Inputs and outputs have windows of their own, so a feature and an output may share a name. What is exported per column
is decided by the profile (or by the order of the payload without one), never by the traffic's values.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.records.observation import Column, Observation
from exporter.records.sample import Histogram, Sample
from exporter.stats import STATISTICS, Layout, NumericBins, Profile, View, Windows

MAX_CLASSES = 20
MAX_COLUMNS = 100  # of a profile; the rest is left out, in the profile's order
MAX_UNPROFILED = 20
_INSUFFICIENT_ROWS = 1


@dataclass(frozen=True, slots=True)
class Key:
    """What the series of one model version are labelled with."""

    model_name: str
    model_version: str
    protocol: str
    match: str  # exact, inherited or none


@dataclass(slots=True)
class Side:
    """Inputs or outputs of one model version."""

    role: str
    profile: Profile | None
    lengths: tuple[float, ...]
    windows: Windows = field(init=False)
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        layout = self.profile.layout((self.role,)) if self.profile is not None else Layout(())
        self.names = layout.names[:MAX_COLUMNS]
        self.windows = Windows(layout, self.lengths)

    def update(self, now: float, columns: Sequence[Column]) -> list[str]:
        """Add one observation; returns what did not fit the profile, one word each."""
        named = self.named(columns)
        batch = {name: _values(column) for name, column in named.items()}
        if self.profile is None:
            batch = dict(list(batch.items())[:MAX_UNPROFILED])
            grown = self.windows.layout.grown(batch)
            if grown is not self.windows.layout:
                self.windows = self.windows.extended(grown)
                self.names = grown.names
        misfits = self.windows.update(
            now, batch, {name: named[name].nulls for name in batch if named[name].nulls}
        )
        problems = {misfit.reason for misfit in misfits}
        if self.profile is not None and any(name not in batch for name in self.names):
            problems.add("missing_column")
        return sorted(problems)

    def named(self, columns: Sequence[Column]) -> dict[str, Column]:
        """By the profile's names where the payload's are positional: same number, and none of them known."""
        names = self.windows.layout.names
        if (
            self.profile is not None
            and len(names) == len(columns)
            and not any(c.name in names for c in columns)
        ):
            return dict(zip(names, columns, strict=True))
        return {column.name: column for column in columns}

    def labels(self, key: Key, name: str) -> tuple[str, str, str, str]:
        """model_name, model_version, output, feature."""
        output, feature = (name, "") if self.role == "prediction" else ("", name)
        return key.model_name, key.model_version, output, feature


class Series:
    """`add` observations, `flush` now and then, `tick` for gauges, `counters` for what adds up."""

    def __init__(self, key: Key, profile: Profile | None, lengths: tuple[float, ...], created: float) -> None:
        self.key = key
        self.profile = profile
        self.reference = profile.reference if profile is not None else ""
        self.created = created
        self._inputs = Side("feature", profile, lengths)
        self._outputs = Side("prediction", profile, lengths)
        self._classes: dict[tuple[str, str], int] = {}
        self._lengths = lengths
        self._pending: list[Observation] = []

    def add(self, observation: Observation) -> None:
        """Keep one observation for the next `flush`."""
        self._pending.append(observation)

    def flush(self, now: float) -> dict[str, int]:
        """Count what was added, as one batch: windows cost by the call, hardly by the row.

        Returns how many exchanges did not fit the profile, by reason.
        """
        pending, self._pending = self._pending, []
        problems: dict[str, int] = {}
        for side, groups in (
            (self._outputs, _grouped([one.outputs for one in pending])),
            (self._inputs, _grouped([one.inputs for one in pending if one.inputs])),
        ):
            for columns, exchanges in groups:
                for reason in side.update(now, columns):
                    problems[reason] = problems.get(reason, 0) + exchanges
                if side is self._outputs:
                    for name, column in side.named(columns).items():
                        self._count_classes(name, column)
        return problems

    def _count_classes(self, name: str, column: Column) -> None:
        if column.kind == "numeric":
            self._bump(name, "", len(column.values))
            return
        found, times = np.unique(column.values.astype(str), return_counts=True)
        for text, count in zip(found.tolist(), times.tolist(), strict=True):
            self._bump(name, text[:128] or "<null>", count)

    def _bump(self, output: str, word: str, count: int) -> None:
        cell = (output, word)
        if (
            cell not in self._classes
            and sum(1 for known, _ in self._classes if known == output) >= MAX_CLASSES
        ):
            cell = (output, "<other>")
        self._classes[cell] = self._classes.get(cell, 0) + count

    # ---------------------------------------------------------------- what is exported

    def counters(self) -> Iterator[Sample]:
        """Everything that adds up over replicas."""
        name, version = self.key.model_name, self.key.model_version
        yield Sample("model.info", (name, version, self.key.protocol, self.reference, self.key.match), 1)
        for (output, word), count in self._classes.items():
            yield Sample("model.predictions", (name, version, output, word), count, self.created)
        yield from self._values(self._outputs.windows.totals())
        yield from self._bins(self._outputs, "model.prediction.bin")
        yield from self._bins(self._inputs, "model.feature.bin")

    def _values(self, totals: View) -> Iterator[Sample]:
        windows = self._outputs.windows
        for output in self._outputs.names:
            bins = windows.layout.column(output).bins
            if isinstance(bins, NumericBins):
                positive, negative = windows.signed_sums(output)
                counts = tuple(totals.counts(output)[: bins.ranges].tolist())
                value = Histogram(bins.edges, counts, None if negative else positive)
                labels = (self.key.model_name, self.key.model_version, output, self.reference)
                yield Sample("model.prediction.value", labels, value, self.created)

    def _bins(self, side: Side, family: str) -> Iterator[Sample]:
        totals = side.windows.totals()
        for name in side.names:
            labels = (self.key.model_name, self.key.model_version, name, self.reference)
            found = zip(
                side.windows.layout.column(name).bins.labels, totals.counts(name).tolist(), strict=True
            )
            for bin_label, count in found:
                yield Sample(family, (*labels, bin_label), count, self.created)

    def reference_samples(self) -> Iterator[Sample]:
        """The reference's own counts; they never change."""
        if self.profile is None:
            return
        for side in (self._inputs, self._outputs):
            for name in side.names:
                column = self.profile.column(name)
                for bin_label, count in zip(column.bins.labels, column.counts, strict=True):
                    labels = (*side.labels(self.key, name), self.reference, bin_label)
                    yield Sample("model.reference.bin.rows", labels, int(count))

    def tick(self, now: float) -> Iterator[Sample]:
        """Gauges of the rolling windows as of `now`; changes nothing."""
        for side in (self._inputs, self._outputs):
            for length in self._lengths:
                view = side.windows.read(now, length)
                for name in side.names:
                    yield from self._column(side, view, name, window_name(length))

    def _column(self, side: Side, view: View, name: str, window: str) -> Iterator[Sample]:
        labels = (*side.labels(self.key, name), window)
        summary = view.summary(name)
        ready = summary.rows >= _INSUFFICIENT_ROWS
        yield Sample("model.window.rows", labels, summary.rows)
        if summary.mean is not None and summary.std is not None:
            yield Sample("model.window.mean", labels, summary.mean)
            yield Sample("model.window.standard_deviation", labels, summary.std)
            for probability, value in summary.quantiles:
                yield Sample("model.window.quantile", (*labels, f"{probability:g}"), value)
        if self.profile is not None:
            ready = False
            pair = self.profile.column(name).pair(view.counts(name))
            for statistic in STATISTICS:
                drift = statistic.measure(pair)
                if drift is not None:
                    ready = True
                    cell = (*labels, drift.statistic, self.reference)
                    yield Sample("model.drift", cell, drift.value)
                    yield Sample("model.drift.noise_floor", cell, drift.floor)
                    yield Sample("model.drift.critical_value", cell, drift.critical)
        for state, holds in (("ready", ready), ("insufficient", not ready)):
            yield Sample("model.window.state", (*labels, state), int(holds))


def _grouped(observations: Sequence[tuple[Column, ...]]) -> list[tuple[tuple[Column, ...], int]]:
    """Columns of observations with the same names and kinds put together, with how many there were."""
    groups: dict[tuple[tuple[str, str], ...], list[tuple[Column, ...]]] = {}
    for columns in observations:
        groups.setdefault(tuple((column.name, column.kind) for column in columns), []).append(columns)
    return [(_joined(signature, members), len(members)) for signature, members in groups.items()]


def _joined(signature: tuple[tuple[str, str], ...], members: list[tuple[Column, ...]]) -> tuple[Column, ...]:
    if len(members) == 1:
        return members[0]
    return tuple(
        Column(
            name, columns[0].kind, np.concatenate([c.values for c in columns]), sum(c.nulls for c in columns)
        )
        for (name, _), columns in zip(signature, zip(*members, strict=True), strict=True)
    )


def window_name(seconds: float) -> str:
    """The label of a window: 5m, 1h, 24h, 7d; odd lengths in seconds."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds % size == 0 and (seconds > size or unit == "m" or size == 3600):
            return f"{int(seconds // size)}{unit}"
    return f"{seconds:g}s"


def _values(column: Column) -> NDArray[Any]:
    """The column's values; JSON nulls, which are NaN here, are taken out, for they are counted apart."""
    values = column.values
    if column.kind != "numeric" or not column.nulls:
        return values
    missing = np.isnan(values)
    true_nan = max(0, int(missing.sum()) - column.nulls)
    return np.concatenate((values[~missing], np.full(true_nan, np.nan)))
