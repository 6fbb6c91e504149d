"""Copies of what model versions counted -> Samples of all that adds up. Pure functions, for any thread."""

from collections.abc import Iterable, Iterator

from exporter.analysis import quality_report, threshold_report
from exporter.analysis.classes import word
from exporter.analysis.performance import expected
from exporter.analysis.series import Key, State
from exporter.analysis.side import SideState
from exporter.records.observation_metrics import BATCH_BUCKETS
from exporter.records.sample import Exponential, Histogram, Sample
from exporter.stats import Bins, NumericBins
from exporter.stats.exponential import SCALE, ZERO_THRESHOLD

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
        for reason, columns in state.left_out.items():
            yield Sample("model.columns.left_out", (*model, reason, key.role), columns)
        for (output, name), count in state.classes.items():
            yield Sample("model.predictions", (*model, output, name, key.role), count, state.created)
        for side in state.sides:
            if side.role == "prediction":
                yield from _values(state, side)
                yield from expected.references(state, side)
            yield from quality_report.together(_missing, state, side)
            yield from _bins(state, side)
            yield from _clusters(state, side)
            yield from _sums(state, side)
            yield from _reference(state.key, side)
        yield from quality_report.samples(state)
        yield from threshold_report.samples(state)


def _labels(bins: Bins) -> Iterable[str]:
    return bins.labels if isinstance(bins, NumericBins) else map(word, bins.labels)


def column_labels(key: Key, side: SideState, name: str) -> tuple[str, str, str, str]:
    """model_name, model_version, output, feature."""
    output, feature = (name, "") if side.role == "prediction" else ("", name)
    return key.model_name, key.model_version, output, feature


def _values(state: State, side: SideState) -> Iterator[Sample]:
    for output, (positive, negative) in side.signed.items():
        if output in side.hidden:
            continue
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
        if column.name in side.hidden:
            continue
        labels = (state.key.model_name, state.key.model_version, column.name, side.reference(column.name))
        counts = side.totals.counts(column.name).tolist()
        for label, count in zip(_labels(column.bins), counts, strict=True):
            yield Sample(family, (*labels, label, state.key.role), count, state.since)


def _clusters(state: State, side: SideState) -> Iterator[Sample]:
    """What effective rows are formed from; a row whose request is not known counts as a request of its own."""
    places = side.layout.compared.column
    for name, place in side.layout.places.items():
        if name in side.hidden or side.profiled(name) is None or places[place] < 0:
            continue
        known, rows, bins = side.totals.clusters[:, places[place]].tolist()
        alone = side.totals.rows(name) - known
        labels = (*column_labels(state.key, side, name), side.reference(name), state.key.role)
        yield Sample("model.column.squared_rows", labels, rows + alone, state.since)
        yield Sample("model.column.squared_bins", labels, bins + alone, state.since)


def _sums(state: State, side: SideState) -> Iterator[Sample]:
    """Apart by sign, for the sum of signed numbers can fall, and would read as a counter reset."""
    for name, (positive, negative) in side.signed.items():
        if name not in side.hidden:
            labels = (*column_labels(state.key, side, name), side.reference(name), state.key.role)
            yield Sample("model.column.positive_sum", labels, positive, state.since)
            yield Sample("model.column.negative_sum", labels, negative, state.since)


def _reference(key: Key, side: SideState) -> Iterator[Sample]:
    for name in side.layout.names:
        column = side.profiled(name)
        if column is None or name in side.hidden:
            continue
        labels = (*column_labels(key, side, name), side.reference(name))
        for label, count in zip(_labels(column.bins), column.counts, strict=True):
            yield Sample("model.reference.bin.rows", (*labels, label, key.role), count)
