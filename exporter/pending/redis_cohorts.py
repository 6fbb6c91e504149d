"""The part of the Redis store that keeps cohorts and what versions are called. Knows no rows.

Invariant: as `Cohorts` in memory, and one replica of all gets the lease of an hour. Everything is under two hash tags.
"""

from collections.abc import Mapping
from typing import Final

from exporter.pending.cohorts import AGES_KEPT, fitting, gone
from exporter.pending.contract import MAX_VERSIONS, TEXT_BYTES, Cohort, Limits
from exporter.pending.redis_link import Call, Link
from exporter.pending.redis_scripts import ADD_CELLS, CLAIM, FORGET, SETTLE

_SETTLED: Final = ":settled"
_UNTIL: Final = ":until"


class RedisCohorts:
    """Half of `Redis`."""

    def __init__(self, link: Link, limits: Limits, namespace: str) -> None:
        self._link = link
        self._limits = limits
        self._kept_seconds = AGES_KEPT * limits.age_seconds
        self._hours = f"{{{namespace}:c}}hours"
        self._cohort_ledger = f"{{{namespace}:c}}ledger"
        self._versions = f"{{{namespace}:v}}versions"

    def learn(self, versions: Mapping[int, str]) -> None:
        """See `Store`."""
        (known,) = self._link.ask(("HLEN", self._versions))
        room = 0 if known is None else MAX_VERSIONS - known
        given = [(number, text) for number, text in versions.items() if len(text.encode()) <= TEXT_BYTES]
        if fits := given[: max(room, 0)]:
            self._link.ask(*(("HSETNX", self._versions, str(number), text) for number, text in fits))

    def versions(self) -> Mapping[int, str]:
        """See `Store`."""
        (found,) = self._link.ask(("HGETALL", self._versions))
        return {int(number): text.decode() for number, text in _pairs(found).items()}

    def add_cells(self, hour: int, cells: Mapping[str, float], now: float) -> bool:
        """See `Store`."""
        if gone(hour, now, self._kept_seconds):
            return False
        fits = fitting(cells)
        given = [part for name, value in fits.items() for part in (name, repr(float(value)))]
        names = (self._hours, self._cohort_ledger, self._cells(hour))
        start = [hour, self._limits.cells, len(cells) - len(fits)]
        (added,) = self._link.run([Call(ADD_CELLS, names, [*start, *given], len(cells))])
        return bool(added)

    def cohorts(self) -> list[Cohort]:
        """See `Store`."""
        known = self._known()
        hours = sorted(int(name) for name in known if name.isdecimal())
        cells = self._link.ask(*(("HGETALL", self._cells(hour)) for hour in hours)) if hours else []
        return [
            Cohort(
                hour,
                _cells(found),
                float(known.get(f"{hour}{_UNTIL}", 0.0)),
                f"{hour}{_SETTLED}" in known,
            )
            for hour, found in zip(hours, cells, strict=True)
            if found is not None
        ]

    def claim(self, hour: int, owner: str, until: float, now: float) -> Cohort | None:
        """See `Store`."""
        names = (self._hours, self._cells(hour))
        (found,) = self._link.run([Call(CLAIM, names, [hour, owner, repr(until), repr(now)])])
        return Cohort(hour, _cells(found), until) if isinstance(found, list | dict) else None

    def settle(self, hour: int, owner: str, now: float) -> bool:
        """See `Store`."""
        (settled,) = self._link.run([Call(SETTLE, (self._hours,), [hour, owner, repr(now)])])
        return bool(settled)

    def close(self) -> None:
        """See `Store`."""
        self._link.close()

    def _forget_hours(self, now: float) -> None:
        old = [int(name) for name in self._known() if name.isdecimal()]
        names = (self._hours, self._cohort_ledger)
        self._link.run(
            [
                Call(FORGET, (*names, self._cells(hour)), [hour])
                for hour in old
                if gone(hour, now, self._kept_seconds)
            ]
        )

    def _known(self) -> dict[str, str]:
        (found,) = self._link.ask(("HGETALL", self._hours))
        return {name.decode(): value.decode() for name, value in _pairs(found).items()}

    def _cells(self, hour: int) -> str:
        return f"{self._hours.removesuffix('hours')}{hour}"


def _cells(found: object) -> dict[str, float]:
    return {name.decode(): float(value) for name, value in _pairs(found).items()}


def _pairs(found: object) -> dict[bytes, bytes]:
    """A hash as the server tells it, by either version of its protocol."""
    if isinstance(found, dict):
        return found
    if isinstance(found, list):
        return dict(zip(found[::2], found[1::2], strict=True))
    return {}
