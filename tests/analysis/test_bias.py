"""bias.py: windows of which more than 1 % of the bytes were too large to be kept."""

import pytest

from exporter.analysis.bias import Bias
from tests.analysis.world import NOW


@pytest.mark.parametrize(("left", "biased"), [(0, False), (10, False), (11, True), (1000, True)])
def test_more_than_one_percent_is_biased(left: int, biased: bool) -> None:
    """Of the bytes that passed since the first look; at 1 % it is not yet."""
    made = Bias((300.0, 3600.0))
    made.see(NOW, 5000, 5000)
    assert made.biased(NOW) == frozenset()
    made.see(NOW + 1, 6000, 5000 + left)
    assert made.biased(NOW + 1) == (frozenset({300.0, 3600.0}) if biased else frozenset())


def test_it_passes_as_the_window_does() -> None:
    """The short window recovers first; bytes that come later dilute the long one."""
    made = Bias((300.0, 3600.0))
    made.see(NOW, 0, 0)
    made.see(NOW + 1, 1000, 500)
    assert made.biased(NOW + 400) == {3600.0}
    made.see(NOW + 400, 1_000_000, 500)
    assert made.biased(NOW + 400) == frozenset()


def test_nothing_passed_is_not_biased() -> None:
    """Without traffic nothing is left out; totals that went back count as none."""
    made = Bias((300.0,))
    made.see(NOW, 100, 100)
    made.see(NOW + 1, 0, 0)
    assert made.biased(NOW + 1) == frozenset()
