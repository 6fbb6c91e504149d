"""Copies of what was found wrong with data -> Samples. Pure: it runs in any thread and changes nothing."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec

from exporter.analysis.quality import DATA_TYPE, ENCODING, UNEXPECTED, UNREAD
from exporter.analysis.series import State
from exporter.analysis.side import SideState
from exporter.records.exchange import OTHER
from exporter.records.quality_metrics import LAG_BUCKETS
from exporter.records.sample import Histogram, Sample
from exporter.stats import CategoricalBins, View
from exporter.stats.bins import UNSEEN

LEAST_CONSTANT: Final = 30  # values that are all the same by more than chance
VIOLATIONS: Final = "model.data.violations"


def samples(state: State) -> Iterator[Sample]:
    """All counters of data quality of one model version, and what the reference has of the same."""
    for side in state.sides:
        yield from together(_violations, state, side)
        for (name, reason), share in side.quality.shares.items():
            if name in side.hidden:
                continue
            labels = (*column_labels(state, side, name), side.reference(name), reason, state.key.role)
            yield Sample("model.reference.outlier_ratio", labels, share)
    yield from _rows(state)
    yield from _rules(state)


def moving(state: State, side: SideState) -> dict[int, tuple[str, str, str, str]]:
    """The first labels of the columns that move in the reference, by their places in the layout."""
    names = side.quality.moving - side.hidden - side.derived
    return {
        place: column_labels(state, side, name) for name, place in side.layout.places.items() if name in names
    }


def gauges(
    columns: Mapping[int, tuple[str, str, str, str]], view: View, window: str, role: str
) -> list[Sample]:
    """Whether columns stand still in a window; `columns`: those of `moving`."""
    still = ((view.values >= LEAST_CONSTANT) & view.constant).tolist()
    return [
        Sample("model.window.constant", (*labels, window, role), int(still[place]))
        for place, labels in columns.items()
    ]


def together(
    find: Callable[[State, SideState], Iterator[Sample]], state: State, side: SideState
) -> Iterator[Sample]:
    """Counters of a side, and in those of inputs what failed exchanges asked."""
    asked = state.asked if side.role == "feature" else None
    more = {(one.name, one.labels): one for one in find(state, asked)} if asked is not None else {}
    for one in find(state, side):
        other = more.pop((one.name, one.labels), None)
        yield one if other is None else msgspec.structs.replace(one, value=_sum(one, other))
    yield from more.values()


def _sum(one: Sample, other: Sample) -> float:
    assert not isinstance(one.value, Histogram) and not isinstance(other.value, Histogram)
    return one.value + other.value


def column_labels(state: State, side: SideState, name: str) -> tuple[str, str, str, str]:
    """model_name, model_version, output, feature."""
    output, feature = (name, "") if side.role == "prediction" else ("", name)
    return state.key.model_name, state.key.model_version, output, feature


def _violations(state: State, side: SideState) -> Iterator[Sample]:
    found = side.quality.counts | _binned(side)
    shown = {*side.layout.names, *side.reasons, OTHER} - side.hidden
    for (name, reason), rows in found.items():
        if name not in shown:
            continue
        labels = (*column_labels(state, side, name), reason, state.key.role)
        yield Sample(VIOLATIONS, labels, rows, state.since)
    for name, rows in _checked(side).items():
        yield Sample(
            "model.data.checked", (*column_labels(state, side, name), state.key.role), rows, state.since
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
    shown = (name for name in side.layout.names if name not in side.hidden)
    found = {name: int(side.totals.counts(name).sum()) for name in shown}
    for name, (part, _, _) in side.reasons.items():
        unread = sum([side.quality.counts.get((name, reason), 0) for reason in UNREAD])
        found[name] = found[part] + unread
    return found


def _rows(state: State) -> Iterator[Sample]:
    """Repeats, ages, and what the reference says of both."""
    facts, role, created = state.facts, state.key.role, state.created
    model = (state.key.model_name, state.key.model_version)
    yield Sample("model.duplicates", (*model, role), facts.repeated, created)
    yield Sample("model.duplicates.checked", (*model, role), facts.hashed, created)
    if facts.duplicates is not None:
        yield Sample("model.reference.duplicate_ratio", (*model, state.reference, role), facts.duplicates)
    if facts.rate is not None:
        yield Sample("model.reference.row_rate", (*model, state.reference, role), facts.rate)
    if not facts.time_column:
        return
    lag = Histogram(LAG_BUCKETS, facts.lags, facts.lag_sum)
    yield Sample("model.event.lag", (*model, role), lag, created)
    yield Sample("model.event.future", (*model, role), facts.future, created)
    if facts.latest is not None:
        yield Sample("model.event.time.latest", (*model, role), facts.latest)
    yield Sample(VIOLATIONS, (*model, "", facts.time_column, DATA_TYPE, role), facts.unread, created)
    missing = (*model, facts.time_column, "null", role)
    yield Sample("model.feature.missing", missing, facts.null, created)


def _rules(state: State) -> Iterator[Sample]:
    """A rule's violations are among the others, under its name; a check is of no single column."""
    model, role, created = (state.key.model_name, state.key.model_version), state.key.role, state.created
    for one in state.rules:
        rule = one.rule
        output, feature = (rule.column, "") if rule.side == "output" else ("", rule.column)
        yield Sample(VIOLATIONS, (*model, output, feature, rule.name, role), one.broken, created)
        yield Sample("model.rules.checked", (*model, rule.name, role), one.checked, created)
        yield Sample("model.rules.failures", (*model, rule.name, role), one.failures, created)
