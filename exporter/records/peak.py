"""The largest value seen lately: a stall that lasted half a second must still show when the next scrape comes.

`now` is seconds of any clock that does not go back. Bounded: one cell per second.
"""

# Two scrape intervals of Prometheus' default configuration, or one of a slow one.
PEAK_SECONDS = 30


class Peak:
    """`see` values, ask for the `largest` of the last PEAK_SECONDS; how old a value is counts in whole seconds."""

    __slots__ = ("_cells",)

    def __init__(self) -> None:
        # A value of this second and of PEAK_SECONDS before it.
        self._cells = [(-PEAK_SECONDS - 1, 0.0)] * (PEAK_SECONDS + 1)

    def see(self, value: float, now: float) -> None:
        """One more value."""
        second = int(now)
        place = second % len(self._cells)
        known, largest = self._cells[place]
        self._cells[place] = second, max(value, largest) if known == second else value

    def largest(self, now: float) -> float:
        """0.0 if nothing was seen; changes nothing."""
        second = int(now)
        return max((value for known, value in self._cells if second - known <= PEAK_SECONDS), default=0.0)
