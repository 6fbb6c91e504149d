"""The CPU budget: what share of exchanges the analysis can afford. Pure: CPU seconds and `now` are arguments."""

_LOW, _DOWN, _UP = 0.7, 0.7, 1.3
MIN_RATE = 1 / 1024


class Budget:
    """`cores` on average over each interval between two calls."""

    def __init__(self, cores: float) -> None:
        self._cores = cores
        self._last: tuple[float, float] | None = None
        self.rate = 1.0

    def update(self, now: float, cpu_seconds: float) -> float:
        """The share from now on: lowered at once when over budget, raised slowly when well under it."""
        last, self._last = self._last, (now, cpu_seconds)
        if last is None or now <= last[0]:
            return self.rate
        used = (cpu_seconds - last[1]) / (now - last[0])
        if used > self._cores:
            self.rate = max(self.rate * max(self._cores / used, 0.1) * _DOWN, MIN_RATE)
        elif used < _LOW * self._cores:
            self.rate = min(self.rate * _UP, 1.0)
        return self.rate
