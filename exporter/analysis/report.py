"""Copies of what model versions counted -> Samples. Pure functions: they run in any thread and change nothing."""

from collections.abc import Iterable, Iterator

from exporter.analysis import quality_report
from exporter.analysis.classes import word
from exporter.analysis.series import Key, State
from exporter.analysis.side import SideState
from exporter.records.observation_metrics import BATCH_BUCKETS
from exporter.records.sample import Exponential, Histogram, Sample
from exporter.stats import PSI, Bins, NumericBins, View
from exporter.stats.exponential import SCALE, ZERO_THRESHOLD

_READY_ROWS = 1
_STATISTICS = (PSI,)  # a gauge each per column and window: what more is worth its series is not decided here
_MISSING_FAMILIES = {"feature": "model.feature.missing", "prediction": "model.prediction.missing"}
_BIN_FAMILIES = {"feature": "model.feature.bin", "prediction": "model.prediction.bin"}


def counters(states: Iterable[State]) -> Iterator[Sample]:
    """Everything that adds up over replicas, and the references' own counts."""
    for state in states:
        key = state.key
        model = (key.model_name, key.model_version)
        told = (key.role, state.task, state.task_source)
        yield Sample("model.info", (*model, key.protocol, state.reference, key.match, *told), 1)
        rows = Histogram(BATCH_BUCKETS, state.batches, state.rows)
        yield Sample("model.batch.rows", (*model, key.role), rows, state.created)
        yield Sample("model.task.contradictions", (*model, key.role), state.contradictions, state.created)
        for (output, name), count in state.classes.items():
            yield Sample("model.predictions", (*model, output, name, key.role), count, state.created)
        for side in state.sides:
            if side.role == "prediction":
                yield from _values(state, side)
            yield from _missing(state, side)
            yield from _bins(state, side)
            yield from _reference(state.key, side)
        yield from quality_report.samples(state)


def gauges(states: Iterable[State]) -> list[Sample]:
    """The rolling windows, and how far they are from their references."""
    return [
        sample
        for state in states
        for side in state.sides
        for length, view in side.windows.items()
        for name in side.layout.names
        for sample in (
            *_column(state.key, side, view, name, window_name(length)),
            *quality_report.gauges(state, side, view, name, window_name(length)),
        )
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
        # Nothing counted yet is nothing in base 2 as well: a series keeps its kind.
        base2 = side.exponentials.get(output, Exponential(SCALE, 0, ZERO_THRESHOLD, 0, ()))
        value = Histogram(bins.edges, counts, None if signed else positive, base2)
        labels = (
            state.key.model_name,
            state.key.model_version,
            output,
            side.reference(output),
            state.key.role,
        )
        yield Sample("model.prediction.value", labels, value, state.since)


def _missing(state: State, side: SideState) -> Iterator[Sample]:
    """By reason; the reasons that a column never had are no series, unless the reference knows the column."""
    family = _MISSING_FAMILIES[side.role]
    for name, (part, absent, sentinels) in side.reasons.items():
        bins, counts = side.layout.column(part).bins, side.totals.counts(part)
        found = {"absent": absent, "sentinel": sentinels, "null": int(counts[bins.null]) - absent - sentinels}
        if isinstance(bins, NumericBins):
            found["nan"] = int(counts[bins.null + 1])
        else:
            empty = "empty" if part != name else ""
            found["empty"] = int(counts[bins.codes[empty]]) if empty in bins.codes else 0
        labels = (state.key.model_name, state.key.model_version, name)
        for reason, count in found.items():
            if count > 0 or name in side.quality.known:
                yield Sample(family, (*labels, reason, state.key.role), count, state.since)


def _bins(state: State, side: SideState) -> Iterator[Sample]:
    family = _BIN_FAMILIES[side.role]
    for column in side.layout.columns:
        labels = (state.key.model_name, state.key.model_version, column.name, side.reference(column.name))
        counts = side.totals.counts(column.name).tolist()
        for label, count in zip(_labels(column.bins), counts, strict=True):
            yield Sample(family, (*labels, label, state.key.role), count, state.since)


def _reference(key: Key, side: SideState) -> Iterator[Sample]:
    for name in side.layout.names:
        column = side.profiled(name)
        if column is None:
            continue
        labels = (*_column_labels(key, side, name), side.reference(name))
        for label, count in zip(_labels(column.bins), column.counts, strict=True):
            yield Sample("model.reference.bin.rows", (*labels, label, key.role), count)


def _column(key: Key, side: SideState, view: View, name: str, window: str) -> Iterator[Sample]:
    labels, role = (*_column_labels(key, side, name), window), key.role
    summary = view.summary(name)
    ready = summary.rows >= _READY_ROWS
    yield Sample("model.window.rows", (*labels, role), summary.rows)
    if summary.mean is not None and summary.std is not None:
        yield Sample("model.window.mean", (*labels, role), summary.mean)
        yield Sample("model.window.standard_deviation", (*labels, role), summary.std)
        for probability, value in summary.quantiles:
            yield Sample("model.window.quantile", (*labels, f"{probability:g}", role), value)
    column = side.profiled(name)
    if column is not None:
        ready = False
        pair = column.pair(view.counts(name))
        for statistic in _STATISTICS:
            drift = statistic.measure(pair)
            if drift is not None:
                ready = True
                cell = (*labels, drift.statistic, side.reference(name), role)
                yield Sample("model.drift", cell, drift.value)
                yield Sample("model.drift.noise_floor", cell, drift.floor)
                yield Sample("model.drift.critical_value", cell, drift.critical)
    for state, holds in (("ready", ready), ("insufficient", not ready)):
        yield Sample("model.window.state", (*labels, state, role), int(holds))
