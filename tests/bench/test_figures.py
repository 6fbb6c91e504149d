"""Arithmetic: medians, differences from a baseline, ratios, validity."""

import math

import pytest

from bench.figures import TOTAL, Metric, Outcome, Reading, figure, ratio, roles, summarise

COST = Metric("cost", "µs")
ADDED = Metric("time", "µs", over="direct")


def outcome(**values: float) -> Outcome:
    return Outcome(tuple(Reading(name, value) for name, value in values.items()))


def test_summarise() -> None:
    """A figure is the median with the extremes; of an even number of rounds the mean of the middle two."""
    made = summarise([5.0, 1.0, 9.0, 3.0])
    assert (made.median, made.low, made.high, made.rounds, made.valid) == (4.0, 1.0, 9.0, 4, True)
    with pytest.raises(ValueError, match="no values"):
        summarise([])


def test_baseline_is_subtracted_round_by_round() -> None:
    """What disturbs a whole round cancels: differences are taken before the median."""
    rounds = {
        "direct": [outcome(time=10.0), outcome(time=110.0), outcome(time=12.0)],
        "proxy": [outcome(time=15.0), outcome(time=114.0), outcome(time=18.0)],
    }
    made = figure(ADDED, TOTAL, "proxy", rounds)
    assert made is not None
    assert (made.median, made.low, made.high) == (5.0, 4.0, 6.0)


def test_the_baseline_adds_nothing_to_itself() -> None:
    """The baseline has no added figure, and nobody has one without it."""
    rounds = {"direct": [outcome(time=1.0)], "proxy": [outcome(time=2.0)]}
    assert figure(ADDED, TOTAL, "direct", rounds) is None
    assert figure(ADDED, TOTAL, "proxy", {"proxy": rounds["proxy"]}) is None


def test_one_bad_round_makes_the_figure_invalid() -> None:
    """Errors are never averaged in: two good rounds do not save a bad one, and no number is left."""
    rounds = {"proxy": [outcome(cost=1.0), Outcome(problems=("3 read errors",)), outcome(cost=2.0)]}
    made = figure(COST, TOTAL, "proxy", rounds)
    assert made is not None
    assert not made.valid
    assert math.isnan(made.median)
    assert made.problems == ("3 read errors",)


def test_a_bad_baseline_makes_the_difference_invalid() -> None:
    """What is added cannot be told when the direct way failed, and the reason names it."""
    rounds = {"direct": [Outcome(problems=("reset",))], "proxy": [outcome(time=2.0)]}
    made = figure(ADDED, TOTAL, "proxy", rounds)
    assert made is not None
    assert made.problems == ("direct: reset",)


def test_absent_is_not_zero() -> None:
    """A peer without a process has no cost rather than a cost of 0."""
    assert figure(COST, TOTAL, "direct", {"direct": [outcome(rate=9.0)]}) is None


def test_roles_of_a_tree() -> None:
    """Parts are listed after the total, in the order in which they came."""
    readings = (Reading("cost", 1.0, "plane"), Reading("cost", 3.0), Reading("cost", 2.0, "analysis"))
    assert roles([Outcome(readings)], "cost") == [TOTAL, "plane", "analysis"]
    assert roles([Outcome(readings)], "other") == []


def test_ratio() -> None:
    """A ratio needs two valid figures and something above 0 to divide by."""
    two, four, zero = summarise([2.0]), summarise([4.0]), summarise([0.0])
    bad = figure(COST, TOTAL, "p", {"p": [Outcome(problems=("x",))]})
    assert ratio(four, two) == 2.0
    assert [ratio(four, zero), ratio(None, two), ratio(two, None), ratio(bad, two), ratio(two, bad)] == [
        None
    ] * 5
