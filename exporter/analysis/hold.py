"""A new series shows 0 once, so that `increase()` sees its first counts. Pure: `now` is an argument.

Series that exist when the analysis starts are never held: they may have been exported before, and would go back.
"""

from collections.abc import Hashable


class Hold:
    """`seconds` bounds how long a series may wait for the scrape that shows it at 0; 0 switches holding off."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._released: set[Hashable] = set()
        self._waiting: dict[Hashable, float] = {}

    def release(self, key: Hashable) -> None:
        """Show this one as it is."""
        self._waiting.pop(key, None)
        self._released.add(key)

    def shows_zero(self, key: Hashable, now: float, scrape: bool) -> bool:
        """Whether the series is to be shown at 0 this time; a scrape that shows it so is the last to do so."""
        if key in self._released or not self._seconds:
            return False
        since = self._waiting.setdefault(key, now)
        if now - since >= self._seconds:
            self.release(key)
            return False
        if scrape:
            self.release(key)
        return True
