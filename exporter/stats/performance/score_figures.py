"""Figures of scores: how well they rank (areas under the curves) and how well they are calibrated.

Refuses to know thresholds. Invariants: what bins cannot tell is told as a bound or an interval, never hidden in a
single number; a figure that is not defined (one class only, no probabilities) is absent.

- AUC-ROC = sum over bins of P_b (N_below + N_b / 2) / (P N); of the scores themselves it is within half of
  sum P_b N_b / (P N), since ties within a bin may be of any order. Its error has the Q1 and Q2 of Hanley and McNeil,
  "The meaning and use of the area under a receiver operating characteristic (ROC) curve" (1982), formed from the bins
  as in their table II; limits at the logit.
- AUC-PR, as average precision: within a bin positives may all come first or all last, which gives two bounds; the
  value lets them come evenly mixed (Davis and Goadrich, "The relationship between Precision-Recall and ROC curves",
  2006). Limits are those of the bounds at the logit (Boyd, Eng and Page, "Area under the precision-recall curve: point
  estimates and confidence intervals", 2013).
- Brier score and log loss are means. ECE = sum |P_b - S_b| / n and MCE = max |P_b - S_b| / n_b, S_b the sum of scores.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from exporter.stats.bins import FloatArray
from exporter.stats.performance.figures import Basis, Figure, Interval, logit, mean_of, share_mean, wilson
from exporter.stats.performance.scores import ScoreBins, totals
from exporter.stats.performance.sums import ROWS, SQUARES, WEIGHT, effective

_Z_ONE_SIDED = 1.6448536269514722
_FOLDED = math.sqrt(2.0 / math.pi)  # mean of |Z|


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One bin of the calibration curve: mean score, share of positives, its limits, rows."""

    score: float
    share: float
    low: float
    high: float
    rows: int


def score_figures(bins: ScoreBins) -> list[Figure]:
    """All figures that these bins have."""
    found = [area_roc(bins), area_precision_recall(bins)]
    if bins.probability and bins.whole[ROWS].any():
        found += [*_losses(bins), *_calibration(bins)]
    return [figure for figure in found if figure is not None]


def area_roc(bins: ScoreBins) -> Figure | None:
    """AUC-ROC with its bin bound; None with one class only."""
    p, n = bins.positives[WEIGHT], bins.negatives[WEIGHT]
    positive, negative = totals(bins.positives), totals(bins.negatives)
    if not positive[0] or not negative[0]:
        return None
    p, n = p / positive[1], n / negative[1]
    below, above = np.cumsum(n) - n, 1.0 - np.cumsum(p)
    area = float((p * (below + n / 2.0)).sum())
    q1 = float((n * (above**2 + above * p + p**2 / 3.0)).sum())
    q2 = float((p * (below**2 + below * n + n**2 / 3.0)).sum())
    many, others = effective(*positive[1:]), effective(*negative[1:])
    square = area * (1.0 - area) + (many - 1.0) * (q1 - area**2) + (others - 1.0) * (q2 - area**2)
    error = math.sqrt(max(0.0, square) / (many * others))
    bound = float((p * n).sum()) / 2.0
    basis = _basis(bins)
    limits = _limits(area, error, min(many, others))
    return Figure("auc_roc", area, *limits, error, basis, bound=bound)


def area_precision_recall(bins: ScoreBins) -> Figure | None:
    """Average precision, and how far bins leave it open; None with one class only."""
    positive, negative = totals(bins.positives), totals(bins.negatives)
    if not positive[0] or not negative[0]:
        return None
    least, value, most = (max(0.0, min(1.0, total / positive[1])) for total in _precision_sums(bins))
    rows = effective(*positive[1:])
    low = _limits(least, math.sqrt(least * (1.0 - least) / rows), rows).low
    high = _limits(most, math.sqrt(most * (1.0 - most) / rows), rows).high
    error = math.sqrt(value * (1.0 - value) / rows)
    bound = max(value - least, most - value)
    return Figure("auc_pr", value, min(low, value), max(high, value), error, _basis(bins), bound=bound)


def _precision_sums(bins: ScoreBins) -> tuple[float, float, float]:
    """Sums of precision over the positives: all of a bin's positives last, evenly mixed, first.

    Precision rises along a run of positives, so the integral over the run is at most the sum over its rows, which is at
    most the integral and one row's rise; the heaviest row's weight is bounded by Samuelson's inequality (1968).
    """
    least = value = most = before = wrong = 0.0
    for place in range(bins.positives.shape[1] - 1, -1, -1):
        own, other = float(bins.positives[WEIGHT, place]), float(bins.negatives[WEIGHT, place])
        if own > 0.0:
            heaviest = _heaviest(bins.positives[:, place])
            least += _run(own, before, wrong + other)
            value += _run(own, before, wrong, 1.0 + other / own)
            first, last = _precision(before, wrong), (before + own) / (before + own + wrong)
            most += min(last * own, _run(own, before, wrong) + heaviest * max(0.0, last - first))
        before, wrong = before + own, wrong + other
    return least, value, most


def _precision(before: float, wrong: float) -> float:
    return before / (before + wrong) if before + wrong > 0.0 else 1.0


def _heaviest(rows: FloatArray) -> float:
    count, weight, squares = rows.tolist()
    return float(
        weight / count + math.sqrt(max(0.0, squares - weight * weight / count) * (count - 1.0) / count)
    )


def _run(own: float, before: float, wrong: float, step: float = 1.0) -> float:
    """Integral of (before + x) / (before + wrong + step x) for x from 0 to own."""
    start = before + wrong
    if start <= 0.0:
        return own / step
    return own / step + (before - start / step) / step * math.log1p(step * own / start)


def _losses(bins: ScoreBins) -> Iterator[Figure | None]:
    _, weight, squares = totals(bins.whole)
    basis, whole = _basis(bins)._replace(rarest=None), (weight, squares)
    yield share_mean("brier", float(bins.squared_errors.sum()), bins.losses.squared_squares, whole, basis)
    yield mean_of("log_loss", bins.losses.log_loss, bins.losses.log_loss_squares, whole, basis)


def calibration_curve(bins: ScoreBins) -> list[CurvePoint]:
    """Mean score against share of positives, of every bin that has rows."""
    found = []
    for place in np.flatnonzero(bins.whole[ROWS]).tolist():
        rows, weight, squares = bins.whole[:, place].tolist()
        share = min(1.0, float(bins.positives[WEIGHT, place]) / weight)
        limits = wilson(share, effective(weight, squares))
        found.append(CurvePoint(float(bins.scores[place]) / weight, share, *limits, int(rows)))
    return found


def _chances(bins: ScoreBins) -> FloatArray:
    """Sums of p (1 - p) by bin: the variance of the positives, if scores are calibrated."""
    return np.maximum(bins.scores - bins.positive_squares - bins.negative_squares, 0.0)


def _spread(bins: ScoreBins) -> float:
    """Sum of squared weights per weight: what a variance of sums is larger by than with weights of 1."""
    return float(bins.whole[SQUARES].sum() / bins.whole[WEIGHT].sum())


def _calibration(bins: ScoreBins) -> Iterator[Figure]:
    """Limits from the size of the noise: |ECE - truth| <= sum of |noise| of the bins, a sum of folded normals, which is
    at most its mean and 1.645 deviations in 95 %. They hold at least as often as stated, near 0 too.
    """
    own = bins.whole[WEIGHT]
    whole = float(own.sum())
    gaps = np.abs(bins.positives[WEIGHT] - bins.scores)
    # A bin of few rows may show no scatter at all: it has at least that of its scores.
    variances = np.maximum(bins.squared_errors, _chances(bins)) * _spread(bins)
    deviations = np.sqrt(variances)
    noise = _FOLDED * deviations.sum() + _Z_ONE_SIDED * math.sqrt((1.0 - _FOLDED**2) * variances.sum())
    value, half = float(gaps.sum()) / whole, float(noise) / whole
    basis = _basis(bins)
    error = math.sqrt(float(variances.sum())) / whole
    yield Figure("ece", value, max(0.0, value - half), min(1.0, value + half), error, basis)
    there = own > 0.0
    # All bins at once, by Bonferroni: the largest is one of them.
    z = NormalDist().inv_cdf(1.0 - 0.025 / int(there.sum()))
    each, errors = gaps[there] / own[there], deviations[there] / own[there]
    low, high = float((each - z * errors).max()), float((each + z * errors).max())
    largest = int(each.argmax())
    yield Figure("mce", float(each[largest]), max(0.0, low), min(1.0, high), float(errors[largest]), basis)


def _basis(bins: ScoreBins) -> Basis:
    rows, weight, squares = totals(bins.whole)
    rarest = min(totals(bins.positives)[0], totals(bins.negatives)[0])
    return Basis(rows, effective(weight, squares), rarest)


def _limits(value: float, error: float, rows: float) -> Interval:
    """At the logit; where that is infinite, or no error was seen, as a share of the rarer class's rows."""
    if error <= 0.0 or not 1e-9 < value < 1.0 - 1e-9:
        return wilson(value, rows)
    found = logit(value, error)
    return Interval(min(found.low, value), max(found.high, value))
