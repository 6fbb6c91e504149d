"""Time in each state: nothing is counted that was not seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collect.availability import WINDOWS, Availability

LOOKS = st.lists(st.tuples(st.floats(0.0, 5000.0), st.booleans()), max_size=60)


def test_time_goes_to_the_state_that_was_seen() -> None:
    """Until the next look, and no longer than it may be believed."""
    found = Availability(30.0)
    assert found.ratios() == {}
    assert found.up_for(0.0) is None
    for now, up in ((0.0, True), (10.0, True), (20.0, False), (25.0, True), (1000.0, True)):
        found.see(now, up)
    assert found.seconds == {"up": 20.0 + 30.0, "down": 5.0}
    assert found.ratios()["1h"] == pytest.approx(50 / 55)
    assert found.up_for(1003.0) == 3.0  # nobody looked for a while: what was before is not known


def test_windows_roll() -> None:
    """An outage leaves the short window first, the counters never."""
    found = Availability(30.0)
    for second in range(0, 2400, 10):
        found.see(float(second), not 100 <= second < 160)
    assert found.ratios()["5m"] == 1.0
    assert found.ratios()["1h"] == pytest.approx(1 - 60 / 2390)
    assert found.seconds["down"] == 60.0


@given(LOOKS)
def test_laws(looks: list[tuple[float, bool]]) -> None:
    """Ratios lie between 0 and 1, observed time never exceeds what passed, and both states add up to it."""
    found, now, bound = Availability(60.0), 0.0, 0.0
    for number, (step, up) in enumerate(looks):
        now += step
        bound += min(step, 60.0) if number else 0.0
        found.see(now, up)
    assert sum(found.seconds.values()) == pytest.approx(bound)
    assert all(0.0 <= ratio <= 1.0 for ratio in found.ratios().values())
    assert found.ratios().keys() <= WINDOWS.keys()


def test_a_clock_that_goes_back_counts_nothing() -> None:
    """It is monotonic; were it not, no counter would go back."""
    found = Availability(30.0)
    found.see(100.0, True)
    found.see(50.0, True)
    assert found.seconds == {"up": 0.0, "down": 0.0}
