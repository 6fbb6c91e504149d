"""Intervals hold as often as they say; a contest that is looked at again and again is seldom decided wrongly.

Seeded and short; `python -m tests.stats.performance.simulation` prints the long form.
"""

import pytest

from tests.stats.performance.simulation import SETTINGS, coverage, peeked_apart, peeked_pairs

DRAWS = 500
# Heavy tails have errors of their own errors that 500 rows do not show; docs/performance.md has the figures.
LEAST = {"errors, heavy tails": 0.87}


@pytest.mark.parametrize(("name", "shown", "make"), SETTINGS, ids=[name for name, _, _ in SETTINGS])
def test_intervals_hold_the_truth(name: str, shown: object, make: object) -> None:
    """In 95 of 100 draws of 500 rows, within what 500 draws can tell; those that are bounds in more."""
    draw, truth = make()  # type: ignore[operator]
    found = coverage(draw, truth, 500, DRAWS)
    assert set(found) >= set(shown)  # type: ignore[call-overload]
    for key, share in found.items():
        assert share >= LEAST.get(name, 0.92), key
        if key[0] not in ("ece", "mce", "auc_pr"):
            assert share <= 0.985, key


@pytest.mark.parametrize("peek", [peeked_pairs, peeked_apart])
def test_many_looks_decide_wrongly_less_than_5_in_100(peek: object) -> None:
    """Of equal models; an interval for one look does so in many more."""
    found = peek(150, 6000, 100)  # type: ignore[operator]
    assert found["better"] + found["worse"] <= 0.05
    assert found["single"] > 0.15


def test_a_better_model_is_found() -> None:
    """Five points better on the same rows: every stream is decided, and for it."""
    found = peeked_pairs(40, 8000, 200, gain=0.05)
    assert found["better"] == 1.0
    assert found["worse"] == 0.0
