"""Cohorts in memory: the cells of each hour of predictions, their leases, and whether they were released.

Refuses to know what a cell means. Invariant: cells in all hours are at most `limit`; a settled hour never changes.
"""

from collections.abc import Mapping
from typing import Final

from exporter.pending.contract import NAME_BYTES, Cohort

# Cohorts outlive the rows that are counted in them, so that what was settled can still be read.
AGES_KEPT: Final = 2
_LARGEST: Final = 1e100


class _Hour:
    __slots__ = ("cells", "owner", "settled", "until")

    def __init__(self) -> None:
        self.cells: dict[str, float] = {}
        self.owner = ""
        self.until = 0.0
        self.settled = False


class Cohorts:
    """One caller at a time."""

    def __init__(self, limit: int, age_seconds: float) -> None:
        self.refused = 0
        self._limit = limit
        self._kept = AGES_KEPT * age_seconds
        self._size = 0
        self._hours: dict[int, _Hour] = {}

    def add(self, hour: int, cells: Mapping[str, float], now: float) -> bool:
        """See `Store.add_cells`."""
        found = self._hours.get(hour)
        if gone(hour, now, self._kept) or (found is not None and found.settled):
            return False
        fits = fitting(cells)
        self.refused += len(cells) - len(fits)
        for name, value in fits.items():
            if found is not None and name in found.cells:
                found.cells[name] += value
            elif self._size < self._limit:
                found = self._hours.setdefault(hour, _Hour())
                found.cells[name] = value
                self._size += 1
            else:
                self.refused += 1
        return True

    def all(self) -> list[Cohort]:
        """Oldest first, as copies."""
        return [self._told(hour) for hour in sorted(self._hours)]

    def claim(self, hour: int, owner: str, until: float, now: float) -> Cohort | None:
        """See `Store.claim`."""
        found = self._hours.get(hour)
        if found is None or found.settled or (found.until > now and found.owner != owner):
            return None
        found.owner, found.until = owner, until
        return self._told(hour)

    def settle(self, hour: int, owner: str, now: float) -> bool:
        """See `Store.settle`."""
        found = self._hours.get(hour)
        if found is None or found.settled or found.owner != owner or found.until <= now:
            return False
        found.settled, found.until = True, 0.0
        return True

    def expire(self, now: float) -> None:
        """Forget hours that are too old."""
        for hour in [hour for hour in self._hours if gone(hour, now, self._kept)]:
            self._size -= len(self._hours.pop(hour).cells)

    def _told(self, hour: int) -> Cohort:
        found = self._hours[hour]
        return Cohort(hour, dict(found.cells), found.until, found.settled)


def fitting(cells: Mapping[str, float]) -> dict[str, float]:
    """Those whose names are short enough, and whose values leave the sum a number: one that is none would stay so."""
    return {
        name: value
        for name, value in cells.items()
        if len(name.encode()) <= NAME_BYTES and abs(value) <= _LARGEST
    }


def gone(hour: int, now: float, kept: float) -> bool:
    """Whether the hour ended longer ago than cohorts are kept."""
    return (hour + 1) * 3600 + kept <= now
