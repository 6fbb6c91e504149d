"""When a command that ended is started again, and after how long. Pure: how long it lived is an argument."""

from typing import Final

POLICIES: Final = ("never", "on-failure", "always")
FIRST_DELAY: Final = 0.1
HEALTHY_SECONDS: Final = 60.0  # a life of that length makes good for the short ones before it


class Policy:
    """`most` restarts in a row, 0 = any number; delays double from FIRST_DELAY to `longest` seconds."""

    def __init__(self, when: str, most: int = 0, longest: float = 30.0) -> None:
        self._when = when
        self._most = most
        self._longest = longest
        self._restarts = 0
        self._delay = min(FIRST_DELAY, longest)

    def delay(self, lived_seconds: float, failed: bool) -> float | None:
        """Seconds until the next start, None if there is none."""
        if lived_seconds > HEALTHY_SECONDS:
            self._restarts, self._delay = 0, min(FIRST_DELAY, self._longest)
        if self._when == "never" or (self._when == "on-failure" and not failed):
            return None
        if self._most and self._restarts >= self._most:
            return None
        self._restarts += 1
        delay, self._delay = self._delay, min(self._delay * 2, self._longest)
        return delay
