"""Up or down over time: seconds in each state since the start, and the share that was up in rolling windows.

What was seen holds until the next look, but no longer than `most` seconds: then nothing is known, and what is not known
counts in neither state. `now` is monotonic. The counters add up over replicas and to any window; the ratios are for
those who have no Prometheus. A window is sixty slices, so it is exact to a sixtieth.
"""

from typing import Final

WINDOWS: Final = {"5m": 300.0, "1h": 3600.0, "24h": 86_400.0, "7d": 604_800.0}
SLICES: Final = 60


class Availability:
    """`see` each look; the rest is as of that look."""

    def __init__(self, most: float) -> None:
        self._most = most
        self._at: float | None = None
        self._up = False
        self._since = 0.0
        self.seconds = {"up": 0.0, "down": 0.0}
        self._windows = {name: _Window(length) for name, length in WINDOWS.items()}

    def see(self, now: float, up: bool) -> None:
        """What was seen at `now`."""
        gap = self._at is None or now - self._at > self._most
        if self._at is not None:
            spent = min(max(0.0, now - self._at), self._most)
            self.seconds["up" if self._up else "down"] += spent
            for window in self._windows.values():
                window.add(now, spent, self._up)
        if up and (gap or not self._up):
            self._since = now
        self._at, self._up = now, up

    def up_for(self, now: float) -> float | None:
        """Seconds without a look that found it down; None while it is down."""
        return now - self._since if self._up else None

    def ratios(self) -> dict[str, float]:
        """The share of the time that was observed in each window; none where nothing was."""
        found = {name: window.ratio() for name, window in self._windows.items()}
        return {name: ratio for name, ratio in found.items() if ratio is not None}


class _Window:
    def __init__(self, length: float) -> None:
        self._width = length / SLICES
        self._up = [0.0] * SLICES
        self._all = [0.0] * SLICES
        self._last = 0

    def add(self, now: float, seconds: float, up: bool) -> None:
        here = int(now // self._width)
        for place in range(max(self._last + 1, here - SLICES + 1), here + 1):
            self._up[place % SLICES] = self._all[place % SLICES] = 0.0
        self._last = max(self._last, here)
        self._all[here % SLICES] += seconds
        if up:
            self._up[here % SLICES] += seconds

    def ratio(self) -> float | None:
        observed = sum(self._all)
        return min(1.0, sum(self._up) / observed) if observed > 0 else None
