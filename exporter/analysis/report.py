"""Copies of what model versions counted -> Samples. Pure functions: they run in any thread and change nothing."""

from collections.abc import Iterable, Iterator

from exporter.analysis.classes import word
from exporter.analysis.series import Key, SideState, State
from exporter.records.sample import Histogram, Sample
from exporter.stats import PSI, Bins, NumericBins, View

_READY_ROWS = 1
_STATISTICS = (PSI,)  # a gauge each per column and window: what more is worth its series is not decided here
_BIN_FAMILIES = {"feature": "model.feature.bin", "prediction": "model.prediction.bin"}


def counters(states: Iterable[State]) -> Iterator[Sample]:
    """Everything that adds up over replicas, and the references' own counts."""
    for state in states:
        key = state.key
        model = (key.model_name, key.model_version)
        yield Sample("model.info", (*model, key.protocol, state.reference, key.match), 1)
        for (output, name), count in state.classes.items():
            yield Sample("model.predictions", (*model, output, name), count, state.created)
        for side in state.sides:
            if side.role == "prediction":
                yield from _values(state, side)
            yield from _bins(state, side)
            yield from _reference(state.key, side)


def gauges(states: Iterable[State]) -> list[Sample]:
    """The rolling windows, and how far they are from their references."""
    return [
        sample
        for state in states
        for side in state.sides
        for length, view in side.windows.items()
        for name in side.layout.names
        for sample in _column(state.key, side, view, name, window_name(length))
    ]


def window_name(seconds: float) -> str:
    """The label of a window: 5m, 1h, 24h, 7d; odd lengths in seconds."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds % size == 0 and (seconds > size or unit != "d"):
            return f"{int(seconds // size)}{unit}"
    return f"{seconds:g}s"


def _labels(bins: Bins) -> Iterable[str]:
    return bins.labels if isinstance(bins, NumericBins) else map(word, bins.labels)


def _column_labels(key: Key, side: SideState, name: str) -> tuple[str, str, str, str]:
    """model_name, model_version, output, feature."""
    output, feature = (name, "") if side.role == "prediction" else ("", name)
    return key.model_name, key.model_version, output, feature


def _values(state: State, side: SideState) -> Iterator[Sample]:
    for output, (positive, negative) in side.signed.items():
        bins = side.layout.column(output).bins
        assert isinstance(bins, NumericBins)
        counts = tuple(side.totals.counts(output)[: bins.ranges].tolist())
        # A sum that can fall would read as a counter reset, and OpenMetrics forbids one beside negative bounds.
        signed = negative > 0.0 or any(edge < 0.0 for edge in bins.edges[:1])
        value = Histogram(bins.edges, counts, None if signed else positive)
        labels = (state.key.model_name, state.key.model_version, output, side.reference)
        yield Sample("model.prediction.value", labels, value, state.created)


def _bins(state: State, side: SideState) -> Iterator[Sample]:
    family = _BIN_FAMILIES[side.role]
    for column in side.layout.columns:
        labels = (state.key.model_name, state.key.model_version, column.name, side.reference)
        counts = side.totals.counts(column.name).tolist()
        for label, count in zip(_labels(column.bins), counts, strict=True):
            yield Sample(family, (*labels, label), count, state.created)


def _reference(key: Key, side: SideState) -> Iterator[Sample]:
    if side.profile is None:
        return
    for name in side.layout.names:
        column = side.profile.column(name)
        labels = (*_column_labels(key, side, name), side.reference)
        for label, count in zip(_labels(column.bins), column.counts, strict=True):
            yield Sample("model.reference.bin.rows", (*labels, label), count)


def _column(key: Key, side: SideState, view: View, name: str, window: str) -> Iterator[Sample]:
    labels = (*_column_labels(key, side, name), window)
    summary = view.summary(name)
    ready = summary.rows >= _READY_ROWS
    yield Sample("model.window.rows", labels, summary.rows)
    if summary.mean is not None and summary.std is not None:
        yield Sample("model.window.mean", labels, summary.mean)
        yield Sample("model.window.standard_deviation", labels, summary.std)
        for probability, value in summary.quantiles:
            yield Sample("model.window.quantile", (*labels, f"{probability:g}"), value)
    if side.profile is not None:
        ready = False
        pair = side.profile.column(name).pair(view.counts(name))
        for statistic in _STATISTICS:
            drift = statistic.measure(pair)
            if drift is not None:
                ready = True
                cell = (*labels, drift.statistic, side.reference)
                yield Sample("model.drift", cell, drift.value)
                yield Sample("model.drift.noise_floor", cell, drift.floor)
                yield Sample("model.drift.critical_value", cell, drift.critical)
    for state, holds in (("ready", ready), ("insufficient", not ready)):
        yield Sample("model.window.state", (*labels, state), int(holds))
