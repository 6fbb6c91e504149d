"""Durations: how long something took, counted in buckets; becomes a Sample's Histogram. Knows no metric."""

from bisect import bisect_left

from exporter.records.sample import Histogram


class Durations:
    """`bounds` in seconds, inclusive."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        """One more; what a clock made negative counts as nothing."""
        seconds = max(0.0, seconds)
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def histogram(self) -> Histogram:
        """A copy."""
        return Histogram(self._bounds, tuple(self._counts), self._sum)
