"""When to try again: back-off with full jitter, what a sink asks for, and what the log is told."""

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.publish.delivery import MAX_DELAY, MAX_RETRY_AFTER, QUIET_SECONDS, Changes, delay, retry_after

NOW = 1_700_000_000.0


def test_the_bound_doubles() -> None:
    """Full jitter: anything from nothing to a bound that doubles with each failure, up to half a minute."""
    assert [delay(attempt, 0.5, lambda: 1.0) for attempt in (1, 2, 3, 7, 8, 1000)] == [0.5, 1, 2, 30, 30, 30]
    assert delay(3, 0.5, lambda: 0.0) == 0.0
    assert delay(3, 0.5, lambda: 0.25) == 0.5


@given(st.integers(1, 10_000), st.floats(0, 100), st.floats(0, 1, exclude_max=True))
def test_no_wait_is_over_the_bound(attempt: int, base: float, chance: float) -> None:
    """Whatever the settings."""
    assert 0 <= delay(attempt, base, lambda: chance) <= MAX_DELAY


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5", 5.0),
        (" 0 ", 0.0),
        ("99999999999999999999", MAX_RETRY_AFTER),
        (format_datetime(datetime.fromtimestamp(NOW + 7, UTC), usegmt=True), 7.0),
        (format_datetime(datetime.fromtimestamp(NOW - 7, UTC), usegmt=True), 0.0),
        ("Wed, 31 Dec 2099 23:59:59", MAX_RETRY_AFTER),
        *((junk, 0.0) for junk in ("", "-5", "1.5", "soon", "٣", "Wed, 99 Foo 2099 25:61:61 GMT", "\x00")),
    ],
)
def test_retry_after(value: str, seconds: float) -> None:
    """A number or a date, at most a minute; anything else asks for nothing."""
    assert retry_after(value, NOW) == seconds


@given(st.text(max_size=60))
def test_retry_after_takes_anything(value: str) -> None:
    """No answer of a sink makes it fail."""
    assert 0 <= retry_after(value, NOW) <= MAX_RETRY_AFTER


def test_a_state_is_told_once() -> None:
    """A line per change, and for a sink that flaps one in a while; the last state is told in the end."""
    changes = Changes()
    assert changes.news("up", 0.0)
    assert not changes.news("up", 1e9)
    told = [second for second in range(100) if changes.news("down" if second % 2 else "up", 1e9 + second)]
    assert 5 < len(told) <= 100 / QUIET_SECONDS
    assert changes.news("down", 2e9) or changes.news("up", 2e9)
