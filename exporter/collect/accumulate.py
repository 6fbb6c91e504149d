"""Counters of members that come and go (processes, network interfaces), as one sum that never falls.

Knows neither processes nor interfaces. What a member counted after its last reading is lost with it.
"""

from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

Member = TypeVar("Member", bound=Hashable)


class MonotonicSum(Generic[Member]):
    """Sums of `width` counters over members. A member that is gone keeps counting with its last values.

    A value that fell means a new member of the same name; without `restarts` it is noise, and the higher one holds.
    """

    def __init__(self, width: int, restarts: bool = True) -> None:
        self._restarts = restarts
        self._ended = (0.0,) * width
        self._last: dict[Member, tuple[float, ...]] = {}
        self._totals = (0.0,) * width

    def update(self, readings: Mapping[Member, tuple[float, ...]]) -> tuple[float, ...]:
        """The totals after these readings of all present members."""
        if not self._restarts:
            readings = {each: self._highest(each, values) for each, values in readings.items()}
        for member, last in self._last.items():
            values = readings.get(member)
            if values is None or any(new < old for new, old in zip(values, last, strict=True)):
                self._ended = _add(self._ended, last)
        self._last = dict(readings)
        total = self._ended
        for values in readings.values():
            total = _add(total, values)
        # The order of additions changes when a member ends: without max() a float's last bit could go back.
        self._totals = tuple(map(max, self._totals, total))
        return self._totals

    def _highest(self, member: Member, values: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(map(max, values, self._last.get(member, values)))


def _add(left: tuple[float, ...], right: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(map(sum, zip(left, right, strict=True)))
