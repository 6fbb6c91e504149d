"""What a renderer keeps of the series that it wrote lately, so that labels are escaped once and not at every scrape."""

from collections.abc import Callable
from typing import Generic, TypeVar

from exporter.records.catalogue import Metric

Kept = TypeVar("Kept")
Bounds = tuple[float, ...]


class SeriesCache(Generic[Kept]):
    """At most two generations of `capacity` series; `build` makes what is kept of one, anew when its bounds changed.

    A full generation becomes the old one, and what is used again moves to the new one, so that labels which are no
    longer exported leave. Not for two threads at once.
    """

    def __init__(
        self, build: Callable[[Metric, tuple[str, ...], Bounds], Kept], capacity: int = 20_000
    ) -> None:
        self._build = build
        self._capacity = capacity
        self._young: dict[tuple[str, tuple[str, ...]], tuple[Bounds, Kept]] = {}
        self._old: dict[tuple[str, tuple[str, ...]], tuple[Bounds, Kept]] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, row: Metric, labels: tuple[str, ...], bounds: Bounds) -> Kept:
        """What is kept of one series."""
        key = (row.name, labels)
        found = self._young.get(key)
        if found is not None and found[0] == bounds:
            return found[1]
        found = self._old.pop(key, None)
        if found is None or found[0] != bounds:
            found = bounds, self._build(row, labels, bounds)
        if len(self._young) >= self._capacity:
            self._young, self._old = {}, self._young
        self._young[key] = found
        return found[1]
