"""What was counted of labels -> Samples. Pure; any thread.

A class is a label value only among the first ones of its output and where its name was known then, else `<other>`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from exporter.analysis.performance.judged import What
from exporter.analysis.performance.outcome import Standing
from exporter.analysis.performance.scored import RANGES, RESIDUALS, SCORE_EDGES, SCORES, Tally, errors_of
from exporter.records.exchange import OTHER
from exporter.records.performance_metrics import LABEL_LAG_BUCKETS
from exporter.records.sample import Histogram, Sample
from exporter.stats.bins import FloatArray
from exporter.stats.performance.band import Band
from exporter.stats.performance.sums import WEIGHT

BINS: Final = (*(f"{edge:g}" for edge in SCORE_EDGES), "1")
# Of the sums of errors those that figures need; the others serve intervals and stay in the store's cells.
ERRORS: Final = (
    *("weight", "weight_squares", "over", "under", "squares", "truth_above", "truth_below", "truth_squares"),
    *("percent", "percent_weight", "near_zero"),
)
_RANGES: Final = ("inside", "below", "above", "width")
_FAMILIES: Final = (
    "model.performance.rows",
    "model.performance.unusable",
    "model.performance.confusion",
    "model.performance.score",
    "model.performance.score_negatives",
    "model.performance.score_sum",
    "model.performance.error",
    "model.performance.residual",
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


def band_samples(bands: Bands) -> Iterator[Sample]:
    """Of each figure the band over the longest periods, which live windows are most like."""
    for (name, version, role), (reference, listed) in bands.items():
        longest: dict[tuple[str, str], Band] = {}
        for band in sorted(listed, key=lambda one: one.seconds):
            longest[band.figure, band.of] = band
        for (figure, of), band in longest.items():
            for state, value in (("low", band.low), ("high", band.high)):
                labels = (name, version, figure, of, reference, state, role)
                yield Sample("model.reference.performance", labels, value)


def performance_samples(standing: Standing) -> Iterator[Sample]:
    """The sums; families together."""
    parts: dict[str, list[Sample]] = {family: [] for family in _FAMILIES}
    for account in standing.accounts:
        for maturity, state, tally in (
            ("arrival", "added", account.added),
            ("arrival", "withdrawn", account.withdrawn),
            ("mature", "added", account.mature),
        ):
            tail = (maturity, state, account.role)
            for family, labels, value in _sums(tally, account.classes):
                head = (account.what.model_name, account.what.model_version, account.what.output)
                sample = Sample(family, (*head, *labels, *tail), value, standing.created)
                parts[family].append(sample)
    for samples in parts.values():
        yield from samples


_Sum = tuple[str, tuple[str, ...], float]


def _sums(tally: Tally, kept: Mapping[int, str]) -> Iterator[_Sum]:
    yield "model.performance.rows", (), tally.rows
    yield "model.performance.unusable", (), tally.unusable
    yield from _confusion(tally, kept)
    if tally.scores is not None:
        yield from _scores(tally.scores)
    if tally.errors is not None:
        yield from _errors(tally.what, tally.errors)
    if tally.ranges is not None:
        sums = RANGES.read(tally.ranges)
        yield from (("model.performance.error", (f"interval_{name}",), sums[name]) for name in _RANGES)


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
    for name, weight in zip(BINS, np.cumsum(bins.negatives[WEIGHT]).tolist(), strict=True):
        yield "model.performance.score_negatives", (name,), weight
    for name, total in zip(BINS, bins.scores.tolist(), strict=True):
        yield "model.performance.score_sum", (name,), total
    yield "model.performance.error", ("brier",), float(bins.squared_errors.sum())
    yield "model.performance.error", ("log_loss",), bins.losses.log_loss
    yield "model.performance.error", ("log_loss_clipped",), float(bins.losses.clipped)


def _errors(what: What, sums: FloatArray) -> Iterator[_Sum]:
    layout = errors_of(what)
    named = layout.read(sums)
    for name in ERRORS:
        yield "model.performance.error", (name,), max(named[name], 0.0)
    if what.scale > 0:
        edges = (*(f"{step * what.scale:g}" for step in RESIDUALS), "+Inf")
        for edge, weight in zip(edges, layout.residuals(sums).tolist(), strict=True):
            yield "model.performance.residual", (edge,), max(weight, 0.0)
