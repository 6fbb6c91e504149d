"""Which dialects killed the analysis: after three deaths with one in hand its decoding is switched off for a while.

Pure: `now` is an argument, in seconds of any clock that does not go back.
"""

DEATHS = 3
OFF_SECONDS = 600.0
REMEMBERED_SECONDS = 3600.0  # deaths further apart than that have hardly one cause


class Suspects:
    """One per root; outlives every analysis."""

    def __init__(self) -> None:
        self._deaths: dict[str, list[float]] = {}
        self._off: dict[str, float] = {}

    def died(self, dialect: str, now: float) -> bool:
        """An analysis died with this dialect in hand; whether that switches it off."""
        deaths = [then for then in self._deaths.get(dialect, []) if now - then < REMEMBERED_SECONDS] + [now]
        if len(deaths) < DEATHS:
            self._deaths[dialect] = deaths
            return False
        self._deaths.pop(dialect, None)
        self._off[dialect] = now + OFF_SECONDS
        return True

    def off(self, now: float) -> tuple[str, ...]:
        """The dialects that are switched off now."""
        self._off = {dialect: until for dialect, until in self._off.items() if until > now}
        return tuple(sorted(self._off))
