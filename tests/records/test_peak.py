"""peak.py against the plain definition."""

from hypothesis import given
from hypothesis import strategies as st

from exporter.records.peak import PEAK_SECONDS, Peak

STEPS = st.lists(st.tuples(st.floats(0, 40), st.floats(0, 10)))


@given(STEPS, st.floats(0, 100))
def test_the_largest_of_the_last_seconds(steps: list[tuple[float, float]], later: float) -> None:
    """Whatever comes when: the largest of what is at most so many whole seconds old, else 0; asking changes nothing."""
    peak, now, seen = Peak(), 0.0, list[tuple[int, float]]()
    for pause, value in steps:
        now += pause
        peak.see(value, now)
        seen.append((int(now), value))
        wanted = max(value for second, value in seen if int(now) - second <= PEAK_SECONDS)
        assert peak.largest(now) == peak.largest(now) == wanted
    now += later
    found = [value for second, value in seen if int(now) - second <= PEAK_SECONDS]
    assert peak.largest(now) == max(found, default=0.0)


def test_a_stall_is_seen_by_the_next_scrape() -> None:
    """Beats that are in time do not hide the one that was late, until it is old."""
    peak = Peak()
    for beat in range(200):
        peak.see(0.7 if beat == 10 else 0.001, 1000.0 + beat / 2)
        late = 10 <= beat < 10 + 2 * (PEAK_SECONDS + 1)
        assert peak.largest(1000.0 + beat / 2) == (0.7 if late else 0.001)
