"""What a sink of the payload log is, why an attempt fails, and when it is worth another one. Pure but for `Sink`.

Back-off is exponential with full jitter; what the sink asks for itself (Retry-After) is honoured up to a minute.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Protocol

from exporter.publish.cloudevents import Event

# Why attempts fail: label values that exist from the start.
FAILURES: Final = (
    *("connect", "tls", "timeout", "reset", "protocol", "token"),
    *("redirect", "status_4xx", "status_429", "status_5xx", "disk"),
)
MAX_DELAY: Final = 30.0
MAX_RETRY_AFTER: Final = 60.0  # a hostile sink could ask for years
QUIET_SECONDS: Final = 10.0


class Failed(Exception):
    """An attempt failed: `reason` is one of FAILURES, `again` whether to try again, `after` what the sink asks for."""

    def __init__(self, reason: str, detail: str, again: bool = True, after: float = 0.0) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.again = again
        self.after = after


class Sink(Protocol):
    """Where events go. Called in the log's thread and its loop only.

    `concurrency` deliveries run at once; each gets events of about `group_bytes` together, 0 for one. `exhausted` is
    the reason under which events are dropped when all attempts failed.
    """

    concurrency: int
    group_bytes: int
    exhausted: str

    async def deliver(self, events: list[Event]) -> int:
        """All of them or none; returns the bytes written. Raises Failed and nothing else; may block the thread."""

    async def close(self) -> None:
        """Release sockets and files; OSError if the last file cannot be closed. Safe twice."""


def delay(attempt: int, base: float, random: Callable[[], float]) -> float:
    """Seconds before the attempt after the `attempt`-th failed one; `random` gives numbers in [0, 1)."""
    bound: float = min(MAX_DELAY, base * 2 ** min(attempt - 1, 32))
    return bound * random()


def retry_after(value: str, now: float) -> float:
    """Seconds that a Retry-After field asks for, as a number or a date; 0 if it asks for nothing that is understood."""
    value = value.strip()
    if value.isascii() and value.isdecimal():
        return float(min(int(value[:9]), MAX_RETRY_AFTER))
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return 0.0
    date = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
    seconds = (date - datetime.fromtimestamp(now, UTC)).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


class Changes:
    """Says when a state is worth a line in the log: when it is another than was told, and not every moment."""

    def __init__(self) -> None:
        self._told = ""
        self._at = float("-inf")

    def news(self, state: str, now: float) -> bool:
        """Whether to tell that state now (seconds of a clock that does not go back)."""
        if state == self._told or now - self._at < QUIET_SECONDS:
            return False
        self._told, self._at = state, now
        return True
