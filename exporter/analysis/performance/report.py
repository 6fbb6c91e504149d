"""What was counted of labels -> Samples. Pure; any thread.

A class is a label value only among the first ones of its output and where its name was known then, else `<other>`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from exporter.analysis.performance import grouped, listed
from exporter.analysis.performance.coverage import Coverage
from exporter.analysis.performance.judged import What
from exporter.analysis.performance.outcome import Standing
from exporter.analysis.performance.scored import BINS, RANGES, RESIDUALS, SCORES, Tally, errors_of
from exporter.analysis.performance.targets import SUMS, Target
from exporter.records.exchange import OTHER
from exporter.records.performance_metrics import LABEL_LAG_BUCKETS
from exporter.records.sample import Histogram, Sample
from exporter.stats.bins import FloatArray
from exporter.stats.performance.band import Band
from exporter.stats.performance.sums import WEIGHT

# Of the sums of errors those that figures need; the others serve intervals and stay in the store's cells.
ERRORS: Final = (
    *("weight", "weight_squares", "over", "under", "squares", "truth_above", "truth_below", "truth_squares"),
    *("fourths", "percent", "percent_weight", "near_zero"),
)
# Classes that are told apart by group.
_GROUP_CLASSES: Final = 5
_RANGES: Final = ("inside", "below", "above", "width")
_FAMILIES: Final = (
    "model.performance.rows",
    "model.performance.unusable",
    "model.performance.confusion",
    "model.performance.score",
    "model.performance.score_negatives",
    "model.performance.score_positives",
    "model.performance.score_sum",
    "model.performance.error",
    "model.performance.residual",
    "model.performance.label",
    "model.performance.group",
    "model.performance.group_error",
    "model.performance.target",
    "model.performance.target_sum",
)
# (reference, bands) of a model version in a role.
Bands = Mapping[tuple[str, str, str], tuple[str, Sequence[Band]]]


def label_samples(
    standing: Standing, ledger: Mapping[tuple[str, str, str], Mapping[str, int]]
) -> Iterator[Sample]:
    """Where predictions went, and how late labels are."""
    created = standing.created
    for (name, version, role), states in ledger.items():
        for state, count in states.items():
            yield Sample("model.label.predictions", (name, version, state, role), count, created)
    for (name, version, role), count in standing.joined.items():
        yield Sample("model.label.joined", (name, version, role), count, created)
    for place, lag in standing.lags.items():
        yield Sample(
            "model.label.lag", place, Histogram(LABEL_LAG_BUCKETS, tuple(lag.counts), lag.total), created
        )
    for outcome, sums in standing.outcomes.items():
        yield Sample("model.outcome.rows", outcome, sums.rows, created)
    for (*head, state, role), sums in standing.outcomes.items():
        for direction, value in (("gain", sums.gain), ("loss", sums.loss)):
            yield Sample("model.outcome.sum", (*head, direction, state, role), value, created)
    for reason, count in standing.losses.items():
        yield Sample("modeltap.labels.uncounted", (reason,), count, created)


def coverage_samples(kept: Coverage, met: Coverage, created: float) -> Iterator[Sample]:
    """Rows that wait, and those that met a label, by group, class and score."""
    for state, side in (("kept", kept), ("joined", met)):
        for place, segment, group, count in side.counts():
            *head, role = place
            yield Sample("model.label.segment", (*head, segment, group, state, role), count, created)


def band_samples(bands: Bands) -> Iterator[Sample]:
    """Of each figure the band over the longest periods, which live windows are most like."""
    for (name, version, role), (reference, told) in bands.items():
        longest: dict[tuple[str, str], Band] = {}
        for band in sorted(told, key=lambda one: one.seconds):
            longest[band.figure, band.of] = band
        for (figure, of), band in longest.items():
            for state, value in (("low", band.low), ("high", band.high)):
                labels = (name, version, figure, of, reference, state, role)
                yield Sample("model.reference.performance", labels, value)


# (reference, test rows by true class) of an output of a model version in a role.
Targets = Mapping[tuple[str, str, str, str], tuple[str, Mapping[str, int]]]


def target_samples(targets: Targets) -> Iterator[Sample]:
    """How many rows of a reference are truly of each class."""
    for (name, version, output, role), (reference, counts) in targets.items():
        for klass, count in counts.items():
            yield Sample("model.reference.target", (name, version, output, klass, reference, role), count)


def performance_samples(standing: Standing) -> Iterator[Sample]:
    """The sums; families together. What a reload of the profile split in two is one series still."""
    parts: dict[str, dict[tuple[str, ...], float]] = {family: {} for family in _FAMILIES}
    for account in standing.accounts:
        for maturity, state, tally in (
            ("arrival", "added", account.added),
            ("arrival", "withdrawn", account.withdrawn),
            ("mature", "added", account.mature),
        ):
            tail = (maturity, state, account.role)
            for family, labels, value in _sums(tally, account.classes):
                head = (account.what.model_name, account.what.model_version, account.what.output)
                own, place = parts[family], (*head, *labels, *tail)
                own[place] = own.get(place, 0.0) + value
    for family, sums in parts.items():
        for place, value in sums.items():
            yield Sample(family, place, value, standing.created)


_Sum = tuple[str, tuple[str, ...], float]


def _sums(tally: Tally, kept: Mapping[int, str]) -> Iterator[_Sum]:
    yield "model.performance.rows", (), tally.rows
    yield "model.performance.unusable", (), tally.unusable
    yield from _confusion(tally, kept)
    if tally.listed is not None:
        yield from _listed(tally)
    elif tally.scores is not None:
        yield from _scores(tally.scores)
    if tally.errors is not None:
        yield from _errors(tally.what, tally.errors)
    if tally.quantile is not None:
        _, _, _, loss, _, reached, _ = np.maximum(tally.quantile, 0.0).tolist()
        yield "model.performance.error", ("pinball",), loss
        yield "model.performance.error", ("reached",), reached
    if tally.ranges is not None:
        sums = RANGES.read(tally.ranges)
        yield from (("model.performance.error", (f"interval_{name}",), sums[name]) for name in _RANGES)
    if tally.what.segments:
        yield from _groups(tally, kept)
    if tally.target is not None and tally.what.target is not None:
        yield from _target(tally.what.target, tally.target)


def _confusion(tally: Tally, kept: Mapping[int, str]) -> Iterator[_Sum]:
    # All cells of the classes that are known, so that none begins anywhere but at 0.
    names = [name for name in kept.values() if name != OTHER]
    cells = {(truth, name, "right" if truth == name else "wrong"): 0.0 for truth in names for name in names}
    for (truth, predicted), planes in tally.pairs.items():
        outcome = "right" if truth == predicted else "wrong"
        cell = kept.get(truth, OTHER), kept.get(predicted, OTHER), outcome
        cells[cell] = cells.get(cell, 0.0) + max(float(planes[WEIGHT]), 0.0)
    for cell, weight in cells.items():
        yield "model.performance.confusion", cell, weight


def _scores(sums: FloatArray) -> Iterator[_Sum]:
    bins = SCORES.read(np.maximum(sums, 0.0))
    for truth, rows in (("positive", bins.positives), ("negative", bins.negatives)):
        for name, weight in zip(BINS, rows[WEIGHT].tolist(), strict=True):
            yield "model.performance.score", (truth, name), weight
    for family, rows in (
        ("model.performance.score_negatives", bins.negatives),
        ("model.performance.score_positives", bins.positives),
    ):
        for name, weight in zip(BINS, np.cumsum(rows[WEIGHT]).tolist(), strict=True):
            yield family, (name,), weight
    for name, total in zip(BINS, bins.scores.tolist(), strict=True):
        yield "model.performance.score_sum", (name,), total
    yield "model.performance.error", ("brier",), float(bins.squared_errors.sum())
    yield "model.performance.error", ("log_loss",), bins.losses.log_loss
    yield "model.performance.error", ("log_loss_clipped",), float(bins.losses.clipped)


def _listed(tally: Tally) -> Iterator[_Sum]:
    """What says several things: sums of its figures, cells of labels, calibration of the likeliest class."""
    assert tally.listed is not None
    sums = np.maximum(tally.listed, 0.0)
    for name, value in listed.statistics(tally.what, sums):
        yield "model.performance.error", (name,), value
    if tally.what.form == "labels":
        for label, outcome, weight in listed.label_cells(tally.what, sums):
            yield "model.performance.label", (label, outcome), weight
    if tally.scores is not None:
        bins = SCORES.read(np.maximum(tally.scores, 0.0))
        for truth, rows in (("right", bins.positives), ("wrong", bins.negatives)):
            for name, weight in zip(BINS, rows[WEIGHT].tolist(), strict=True):
                yield "model.performance.score", (truth, name), weight
        for name, total in zip(BINS, bins.scores.tolist(), strict=True):
            yield "model.performance.score_sum", (name,), total


def _groups(tally: Tally, kept: Mapping[int, str]) -> Iterator[_Sum]:
    """Sums by group; all of them that the known classes have, so that none begins anywhere but at 0."""
    what = tally.what
    numbers = what.form in ("number", "interval")
    family = "model.performance.group_error" if numbers else "model.performance.group"
    names = list(dict.fromkeys(name for name in kept.values() if name != OTHER))[:_GROUP_CLASSES]
    ends: list[tuple[str, ...]] = [(name,) for name in grouped.ERRORS]
    if not numbers:
        ends = [(name, outcome) for name in names for outcome in grouped.OUTCOMES]
    heads = [(segment.column, group) for segment in what.segments for group in segment.groups]
    sums = {(*head, *end): 0.0 for head in heads for end in ends}
    for (segment, group, number, outcome), planes in tally.groups.items():
        if segment >= len(what.segments) or group >= len(what.segments[segment].groups):
            continue
        own = what.segments[segment]
        name = kept.get(number, OTHER)
        name = name if name in names else OTHER
        end = (grouped.ERRORS[outcome],) if numbers else (name, grouped.OUTCOMES[outcome])
        place = own.column, own.groups[group], *end
        sums[place] = sums.get(place, 0.0) + max(float(planes[WEIGHT]), 0.0)
    for place, weight in sums.items():
        yield family, place, weight


def _errors(what: What, sums: FloatArray) -> Iterator[_Sum]:
    layout = errors_of(what)
    named = layout.read(sums)
    for name in ERRORS:
        yield "model.performance.error", (name,), max(named[name], 0.0)
    if what.scale > 0:
        edges = (*(f"{step * what.scale:g}" for step in RESIDUALS), "+Inf")
        for edge, weight in zip(edges, layout.residuals(sums).tolist(), strict=True):
            yield "model.performance.residual", (edge,), max(weight, 0.0)


def _target(target: Target, sums: FloatArray) -> Iterator[_Sum]:
    """The truth by bin of the reference, all bins from the first label on, and what effective rows are formed of."""
    *bins, squared_weights, squared_rows, squared_bins = np.maximum(sums, 0.0).tolist()
    for label, weight in zip(target.bins.labels, bins, strict=True):
        yield "model.performance.target", (label, target.reference), weight
    for name, value in zip(SUMS, (squared_weights, squared_rows, squared_bins), strict=True):
        yield "model.performance.target_sum", (name, target.reference), value
