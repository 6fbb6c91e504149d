"""Champion against challenger where each row was scored by one of them: a difference of means that holds at every look.

Traffic is split, and the shares change: a canary that gets more of the nights than of the days would look like night.
So only rows of one stratum (an hour) are compared, and strata are weighed by what they can tell: m = n n' / (n + n'),
for n rows of the champion and n' of the challenger. With mean losses x and x' and variances s^2 and s'^2 of each,

    M = sum m,  D = sum m (x - x') / M,  V = sum m^2 (s^2 / n + s'^2 / n'),  half = sqrt(V / M) boundary(M)

D is the advantage of the challenger, above 0: better. If variances are alike V = s^2 M, whatever the shares are: M is
the time, in pairs of rows, by which the boundary of contest.py goes. Weights follow from counts alone, so that what a
stratum adds is no bet on its losses, and differences may drift: D is the weighted mean of those until now. Strata need
no variance in common; with fewer than two rows of either there is none, and nothing is compared.

Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic confidence
sequences" (Annals of Statistics, 2024), of means that change; weights: Cochran, "Some methods for strengthening the
common chi-squared tests" (Biometrics, 1954).

Refuses to know hours and models. Invariants: the sums of an arm add up within a stratum, and those of strata add up
over everything (hours, replicas); none is below 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from exporter.stats.bins import BoolArray, FloatArray
from exporter.stats.performance.contest import ALPHA, Contest, boundary, judged
from exporter.stats.performance.figures import LEAST_POSITIVES, LEAST_ROWS
from exporter.stats.performance.sums import LARGEST, effective, named, usable

# Pairs' worth of rows at which the interval is to be shortest: 2,000 rows of halves, 5,600 of which one in ten is the
# challenger's.
TUNED_PAIRS: Final = 500.0
# Of one arm in one stratum: its losses and their squares, weighted; `events`: rows of the outcome that may be rare.
ARM: Final = ("rows", "weight", "weight_squares", "losses", "squares", "events")
# Of strata.
SPLIT: Final = ("strata", "pairs", "above", "below", "variance", "champion", "challenger", "events")


def arm_of(losses: FloatArray, events: BoolArray, weights: FloatArray | None = None) -> FloatArray:
    """The sums of rows of one arm in one stratum; a loss that is no number is left out."""
    w, fit = usable(weights, len(losses))
    fit = fit & (np.abs(losses) <= LARGEST)
    w, x = w[fit], losses[fit]
    return np.array([float(len(w)), w.sum(), w @ w, w @ x, w @ (x * x), float(np.count_nonzero(events[fit]))])


def compared(champion: FloatArray, challenger: FloatArray) -> FloatArray | None:
    """The sums of one stratum, of two arms in it; None if either has too few rows to tell how they scatter."""
    ours, theirs = _moments(champion), _moments(challenger)
    if ours is None or theirs is None:
        return None
    (mean, spread, rows), (other_mean, other_spread, other_rows) = ours, theirs
    pairs = rows * other_rows / (rows + other_rows)
    gain = pairs * (mean - other_mean)
    variance = pairs * pairs * (spread / rows + other_spread / other_rows)
    events = champion[-1] + challenger[-1]
    counts = [champion[0], challenger[0], events]
    return np.array([1.0, pairs, max(gain, 0.0), max(-gain, 0.0), variance, *counts])


def advantage(sums: FloatArray, rare: bool, tuned_pairs: float = TUNED_PAIRS) -> Contest | None:
    """What strata say together; None of none. `rare`: the loss is an outcome, which has to be seen often enough."""
    s = named(SPLIT, sums)
    if s["pairs"] <= 0.0:
        return None
    difference = (s["above"] - s["below"]) / s["pairs"]
    half = math.sqrt(s["variance"] / s["pairs"]) * boundary(s["pairs"], tuned_pairs, ALPHA)
    return judged(difference, half, int(s["champion"] + s["challenger"]), (_enough(s, rare), False))


def _enough(s: Mapping[str, float], rare: bool) -> bool:
    """200 rows of either; and if it is an outcome, so many that, were both alike, either would have it 20 times.

    What either had does not matter: one that never fails may win, and one that had no failure yet may not.
    """
    fewest, both = min(s["champion"], s["challenger"]), s["champion"] + s["challenger"]
    seldom = fewest * min(s["events"], both - s["events"]) / both if rare else fewest
    return fewest >= LEAST_ROWS and seldom >= LEAST_POSITIVES


def _moments(arm: FloatArray) -> tuple[float, float, float] | None:
    """(mean, variance, effective rows)."""
    s = named(ARM, arm)
    rows = effective(s["weight"], s["weight_squares"])
    if s["rows"] < 2.0 or rows <= 1.0 + 1e-9 or s["weight"] <= 0.0:
        return None
    mean = s["losses"] / s["weight"]
    scatter = max(0.0, s["squares"] / s["weight"] - mean * mean)
    return mean, scatter * rows / (rows - 1.0), rows
