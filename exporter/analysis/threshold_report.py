"""Copies of what was counted at thresholds -> Samples. Pure functions, for any thread."""

from collections.abc import Iterator

from exporter.analysis.series import State
from exporter.analysis.thresholds import POSITIONS
from exporter.records.sample import Sample


def samples(state: State) -> Iterator[Sample]:
    """Those of one model version."""
    key = state.key
    for each in state.thresholds:
        one = each.threshold
        labels = key.model_name, key.model_version, one.name
        yield Sample("model.threshold.value", (*labels, key.role), one.value)
        yield Sample("model.threshold.band", (*labels, key.role), one.band)
        for position, count in zip(POSITIONS, each.counts, strict=True):
            yield Sample("model.threshold.rows", (*labels, position, key.role), count, state.created)
