"""Selection: labels that choose are found, labels that do not are not."""

import numpy as np
import pytest

from exporter.stats.performance.selection import selection

EVEN = np.full(10, 1000)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_labels_at_random_are_no_selection(share: float) -> None:
    """On average PSI is its floor, within 8 %; the critical value is exceeded in 1 of 1,000, within 5,000 draws."""
    rng = np.random.default_rng(1)
    shares = np.array([0.3, 0.2, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.03, 0.02])
    values, above, floor = [], 0, 0.0
    for _ in range(5000):
        every = rng.multinomial(5000, shares)
        labelled = rng.multivariate_hypergeometric(every, int(5000 * share))
        found = selection(labelled, every)
        assert found is not None
        values.append(found.value)
        floor, above = found.floor, above + found.exceeds(0.0)
    assert np.mean(values) == pytest.approx(floor, rel=0.08)
    assert above <= 13


def test_labels_that_choose_are_found() -> None:
    """High scores labelled three times as often."""
    found = selection(np.array([100] * 5 + [300] * 5), EVEN)
    assert found is not None
    assert found.exceeds()
    assert found.floor < found.critical < 0.05 < found.value


def test_what_cannot_be_said_is_absent() -> None:
    """Few labels, all labels; more labels than rows are an error."""
    assert selection(np.full(10, 4), EVEN) is None
    assert selection(EVEN, EVEN) is None
    assert selection(np.zeros(3, np.int64), np.zeros(3, np.int64)) is None
    with pytest.raises(ValueError, match="labelled rows among all rows"):
        selection(EVEN + 1, EVEN)
