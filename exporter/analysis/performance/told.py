"""Named outcomes -> their sums by version: told with a label, counted where that label counts, withdrawn where it is.

A store keeps of outcomes only four bytes, behind the label (`mark`); what they were is remembered here, for so many
labels, the latest ones. Refuses to know stores. Invariants: nothing counted falls; what was forgotten, or told to
another replica, is counted as lost and never counted twice.
"""

import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from exporter.analysis.performance.judged import What
from exporter.analysis.performance.label import mark_in
from exporter.analysis.performance.margins import HOUR_SECONDS, Margins
from exporter.analysis.role import ROLES
from exporter.pending.row import NotRows, RowArray, unpacked
from exporter.records.exchange import OTHER

MOST_NAMES: Final = 16
_MOST_PLACES: Final = 2048
_REMEMBERED: Final = 50_000  # labels, some 200 bytes each
# How the cells of sums, and of rows, begin.
SUM, ROWS = "o", "n"
Outcomes = Sequence[tuple[str, float]]
# Model, version, name, added or withdrawn, role.
Place = tuple[str, str, str, str, str]


@dataclass(slots=True)
class Outcome:
    """Sums of one named outcome: rows, what is above 0, and what is below as a positive number."""

    rows: int = 0
    gain: float = 0.0
    loss: float = 0.0


def mark(outcomes: Outcomes) -> int:
    """What stands for them behind a label; 0 without any."""
    return _mark(_packed(outcomes)) if outcomes else 0


class Told:
    """One thread tells, others copy. `losses` of Performance, whose reason is `outcomes`."""

    def __init__(self, whats: Mapping[int, What], margins: Margins, losses: dict[str, int]) -> None:
        self._whats = whats
        self._margins = margins
        self._losses = losses
        self._lock = threading.Lock()
        self._sums: dict[Place, Outcome] = {}
        self._names: set[str] = set()
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()

    def parked(self, key: bytes, outcomes: Outcomes) -> None:
        """Told with a label that waits; it replaces what was told with an earlier one."""
        self._kept.pop(key, None)
        if outcomes:
            self._keep(key, _packed(outcomes))

    def joined(self, key: bytes, rows: bytes, outcomes: Outcomes) -> None:
        """Told with a label that met rows."""
        if outcomes:
            self._keep(key, _packed(outcomes))
            self._count(rows, outcomes, "added")

    def corrected(self, key: bytes, rows: bytes, outcomes: Outcomes, before: bytes) -> None:
        """Told with a label in whose place another one stood: what that gave is withdrawn."""
        told = mark_in(before)
        kept = self._kept.pop(key, b"")
        if told and _mark(kept) != told:
            # Added without the other's withdrawal it would count twice.
            self._losses["outcomes"] += 1
            return
        if told:
            self._count(rows, _read(kept), "withdrawn")
        self.joined(key, rows, outcomes)

    def released(self, key: bytes, row: bytes, value: bytes) -> None:
        """A row met a label that was there before it."""
        told = mark_in(value)
        kept = self._kept.get(key, b"")
        if told and _mark(kept) == told:
            self._count(row, _read(kept), "added")
        elif told:
            self._losses["outcomes"] += 1

    def sums(self) -> dict[Place, Outcome]:
        """A copy."""
        with self._lock:
            return {place: replace(one) for place, one in self._sums.items()}

    def _keep(self, key: bytes, packed: bytes) -> None:
        self._kept[key] = packed
        if len(self._kept) > _REMEMBERED:
            self._kept.popitem(last=False)

    def _count(self, rows: bytes, outcomes: Outcomes, state: str) -> None:
        try:
            found = unpacked(rows)
        except NotRows:
            return  # counted as unreadable where its label is
        sign = 1.0 if state == "added" else -1.0
        with self._lock:
            for what, role, hour in self._answers(found):
                cells: dict[str, float] = {}
                for name, value in outcomes:
                    name = self._named(name)
                    place = what.model_name, what.model_version, name, state, ROLES[role]
                    if self._add(place, value):
                        cells[SUM + name] = cells.get(SUM + name, 0.0) + sign * value
                        cells[ROWS + name] = cells.get(ROWS + name, 0.0) + sign
                self._margins.add(hour, what, role, cells)

    def _answers(self, rows: RowArray) -> Iterator[tuple[What, int, int]]:
        hours = rows["seconds"] // HOUR_SECONDS
        for number, role, hour in zip(
            rows["version"].tolist(), rows["role"].tolist(), hours.tolist(), strict=True
        ):
            what = self._whats.get(number)
            if what is not None and role < len(ROLES):
                yield what, role, hour

    def _named(self, name: str) -> str:
        if name not in self._names and len(self._names) >= MOST_NAMES:
            return OTHER
        self._names.add(name)
        return name

    def _add(self, place: Place, value: float) -> bool:
        if place not in self._sums and len(self._sums) >= _MOST_PLACES:
            return False
        sums = self._sums.setdefault(place, Outcome())
        sums.rows += 1
        sums.gain += max(value, 0.0)
        sums.loss += max(-value, 0.0)
        return True


def _packed(outcomes: Outcomes) -> bytes:
    return msgspec.json.encode(sorted(outcomes))


def _read(packed: bytes) -> Outcomes:
    return msgspec.json.decode(packed, type=list[tuple[str, float]])


def _mark(packed: bytes) -> int:
    return (zlib.crc32(packed) or 1) if packed else 0
