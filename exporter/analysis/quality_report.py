"""Copies of what was found wrong with data -> Samples. Pure: it runs in any thread and changes nothing."""

from collections.abc import Iterator
from typing import Final

from exporter.analysis.quality import ENCODING, UNEXPECTED, UNREAD
from exporter.analysis.series import State
from exporter.analysis.side import SideState
from exporter.records.sample import Sample
from exporter.stats import CategoricalBins
from exporter.stats.bins import UNSEEN

VIOLATIONS: Final = "model.data.violations"


def samples(state: State) -> Iterator[Sample]:
    """All counters of data quality of one model version, and what the reference has of the same."""
    for side in state.sides:
        yield from _violations(state, side)
        for (name, reason), share in side.quality.shares.items():
            labels = (*column_labels(state, side, name), side.reference(name), reason, state.key.role)
            yield Sample("model.reference.outlier_ratio", labels, share)


def column_labels(state: State, side: SideState, name: str) -> tuple[str, str, str, str]:
    """model_name, model_version, output, feature."""
    output, feature = (name, "") if side.role == "prediction" else ("", name)
    return state.key.model_name, state.key.model_version, output, feature


def _violations(state: State, side: SideState) -> Iterator[Sample]:
    found = side.quality.counts | _binned(side)
    for (name, reason), rows in found.items():
        labels = (*column_labels(state, side, name), reason, state.key.role)
        yield Sample(VIOLATIONS, labels, rows, state.created)
    for name, rows in _checked(side).items():
        yield Sample(
            "model.data.checked", (*column_labels(state, side, name), state.key.role), rows, state.created
        )


def _binned(side: SideState) -> dict[tuple[str, str], int]:
    """What the bins tell: categories that the reference never had, and texts that are no text."""
    found = {}
    for column in side.layout.columns:
        bins = column.bins
        if not isinstance(bins, CategoricalBins):
            continue
        counts = side.totals.counts(column.name)
        if column.name.endswith(":form") and "invalid" in bins.codes:
            found[column.name.removesuffix(":form"), ENCODING] = int(counts[bins.codes["invalid"]])
        elif bins.rest == UNSEEN and side.profiled(column.name) is not None:
            found[column.name, UNEXPECTED] = int(counts[len(bins.categories)])
    return found


def _checked(side: SideState) -> dict[str, int]:
    """Rows of each counted column and of its aspects, those that could not be read included."""
    found = {name: int(side.totals.counts(name).sum()) for name in side.layout.names}
    for name, (part, _, _) in side.reasons.items():
        unread = sum([side.quality.counts.get((name, reason), 0) for reason in UNREAD])
        found[name] = found[part] + unread
    return found
