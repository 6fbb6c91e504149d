"""Chance: what statistics are by chance alone, when nothing drifted, at so many rows.

Closed forms, so that PromQL can form the same numbers, and arrays in, arrays out, so that all columns are judged at
once. Refuses to know columns and time. The critical values stand for 99.9 % quantiles, one false alarm in 1,000
windows. How near each comes, on shapes that it was fitted on and on others, is in docs/statistics.md.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from exporter.stats.bins import FloatArray

# Below five rows per bin the chi-square approximation behind the critical values errs (simulated: 30 bins and
# 50 rows give 1.17 instead of 0.70).
ROWS_PER_BIN = 5
ALPHA = 0.001
Z_999 = 3.0902  # the 99.9 % quantile of the normal distribution, to the digits that the fleet's rules use
# Asymptotic mean and 99.9 % quantile of D / sqrt(1/N + 1/M), Kolmogorov's distribution.
KOLMOGOROV_MEAN = math.sqrt(math.pi / 2) * math.log(2)
KOLMOGOROV_999 = 1.9495
# Polynomials in ln B, by linear programming: the 1 - 0.0005/B quantile of the normal distribution, within 1.3e-5, and
# the mean of the largest |Z| of B, within 8e-5 (tests/stats/test_chance.py).
UNION = (3.290531247, 0.281282724, -0.01033234, 0.00067074, -3.9207e-05, 1.227e-06)
MOST_UNITED = 1024
LARGEST = (0.797807298, 0.454412407, 0.05029183, -0.028981241, 0.005211836, -0.000350394)
MOST_ALIKE = 64


def sufficient(bins: ArrayLike, rows: ArrayLike, reference_rows: ArrayLike) -> np.ndarray:
    """At least one bin, and five rows per bin on both sides."""
    counts = np.asarray(bins)
    return np.asarray((counts > 0) & (np.minimum(rows, reference_rows) >= ROWS_PER_BIN * counts))


def noise(rows: ArrayLike, reference_rows: ArrayLike) -> FloatArray:
    """1/N + 1/M: the variance of a difference of shares, but for the share itself."""
    return np.asarray(1.0 / np.asarray(rows) + 1.0 / np.asarray(reference_rows), np.float64)


def noise_floor(bins: ArrayLike, rows: ArrayLike, reference_rows: ArrayLike) -> FloatArray:
    """Expectation of PSI when nothing drifted: (B - 1)(1/N + 1/M), in nats, > 0 for B > 1.

    B occupied bins, N live and M reference rows, both > 0. Source: Yurdakul, "Statistical properties of
    population stability index" (2018): PSI / (1/N + 1/M) is asymptotically chi-square with B - 1 degrees.
    """
    return np.asarray((np.asarray(bins) - 1.0) * noise(rows, reference_rows), np.float64)


def critical_value(
    bins: ArrayLike, rows: ArrayLike, reference_rows: ArrayLike, z: float = Z_999
) -> FloatArray:
    """The value that PSI exceeds with probability 0.1 % when nothing drifted, in nats.

    floor * (1 - 2/(9k) + z sqrt(2/(9k)))^3 with k = B - 1; 0 for one bin, where PSI is always 0. Source:
    Wilson and Hilferty, "The distribution of chi-square" (1931). Within 7 % of simulation for N >= 100, B <= 20.
    """
    ninth = 2.0 / (9.0 * np.maximum(np.asarray(bins) - 1.0, 1.0))
    return np.asarray(noise_floor(bins, rows, reference_rows) * (1.0 - ninth + z * np.sqrt(ninth)) ** 3)


def skewed(z: ArrayLike, skew: ArrayLike) -> FloatArray:
    """z of a normal distribution as that of one with this skewness: z + (z^2 - 1) skew / 6.

    Source: Cornish and Fisher, "Moments and cumulants in the specification of distributions" (1938), first term.
    """
    return np.asarray(np.asarray(z) + (np.square(z) - 1.0) * np.asarray(skew) / 6.0, np.float64)


def union_quantiles(bins: ArrayLike) -> FloatArray:
    """z such that the largest of so many normal deviations, either sign, exceeds it in 0.1 %.

    By Bonferroni: one of B exceeds it with at most B times the probability of each.
    """
    return _polynomial(UNION, np.log(np.clip(bins, 1, MOST_UNITED)))


def largest_of(count: ArrayLike) -> FloatArray:
    """Mean of the largest of so many independent deviations |Z|; `count` need not be whole."""
    return _polynomial(LARGEST, np.log(np.clip(count, 1.0, MOST_ALIKE)))


def _polynomial(coefficients: tuple[float, ...], x: FloatArray) -> FloatArray:
    """By Horner, the constant first."""
    total = np.zeros_like(x)
    for each in reversed(coefficients):
        total = total * x + each
    return np.asarray(total, np.float64)


def chi_square_tail(value: ArrayLike, degrees: ArrayLike) -> FloatArray:
    """P(chi-square > value) for whole degrees of freedom, 1 for none; exact but for rounding.

    The finite sums of Abramowitz and Stegun, 26.4.4 and 26.4.5.
    """
    half, k = np.broadcast_arrays(np.asarray(value, np.float64) / 2.0, np.asarray(degrees, np.int64))
    odd, pairs = k % 2, k // 2
    # Steps first: a sum over few of them is then one over whole rows.
    steps = np.arange(int(k.max(initial=0)) // 2).reshape(-1, *[1] * k.ndim)
    twice = 2 * steps + odd
    gammas = np.array([math.lgamma(step / 2.0 + 1.0) for step in range(2 * len(steps) + 2)])
    exponents = twice * (np.log(np.maximum(half, 1e-300)) / 2.0)
    exponents -= half
    exponents -= gammas[twice]
    tail = np.asarray((np.exp(exponents) * (steps < pairs)).sum(axis=0))
    some = odd > 0
    tail[some] += [math.erfc(root) for root in np.sqrt(half[some]).tolist()]
    return np.asarray(np.where(k > 0, np.minimum(tail, 1.0), 1.0), np.float64)


def kolmogorov_tail(value: ArrayLike) -> FloatArray:
    """P(K > value) of Kolmogorov's distribution; both of its series, each where it converges at once.

    Source: Feller, "On the Kolmogorov-Smirnov limit theorems" (1948).
    """
    x = np.maximum(np.asarray(value, np.float64), 1e-3)
    # The terms are powers 1, 4, 9, 16, 25 of one exponential, and 1, 9, 25, 49, 81 of another.
    one = np.exp(-2.0 * x * x)
    four = np.square(np.square(one))
    sixteen = np.square(np.square(four))
    upper = 2.0 * (one - four + four * four * one - sixteen + sixteen * four * four * one)
    first = np.exp(-np.square(math.pi / x) / 8.0)
    eight = np.square(np.square(np.square(first)))
    cube = eight * eight * eight
    powers = first * (1.0 + eight + cube + cube * cube + cube * cube * cube * eight)
    lower = 1.0 - math.sqrt(2.0 * math.pi) / x * powers
    return np.asarray(np.clip(np.where(x > 1.0, upper, lower), 0.0, 1.0), np.float64)
