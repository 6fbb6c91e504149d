"""The devices of one driver, read one by one: what each tells, what it refuses, which were lost.

Knows no vendor. Invariants: a value that a device does not give is absent; a device that is lost takes all its values
with it, keeps its state and the events that were seen of it, and does not keep the others from being read.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, TypeVar

import psutil

from exporter.collect.contract import Unavailable
from exporter.records.catalogue import metric
from exporter.records.sample import Sample

_log = logging.getLogger(__name__)
# Where there is no driver, every attempt to load it searches the file system.
RETRY_SECONDS = 60.0
# Devices with their instances; the largest machines have 16 devices of 7.
MAX_UNITS = 256
MAX_PROCESSES = 32
MAX_LABEL = 128
OTHER = "<other>"

# Why a value is not there; "" is not counted, for the device does not have the value at all.
Reason = Literal["", "permission", "too_old", "lost", "driver", "failed", "too_many"]
REASONS: Final[tuple[Reason, ...]] = ("permission", "too_old", "lost", "driver", "failed", "too_many")
STATES: Final = ("ok", "degraded", "predicted_failure", "failed")
# A sample without its unit: family, labels after those of the unit, value in the unit of measure of the family.
BareSample = tuple[str, tuple[str, ...], float]
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Unit:
    """A device, or an instance of the device `parent`."""

    handle: Any
    id: str
    name: str
    parent: str = ""

    @property
    def labels(self) -> tuple[str, str, str]:
        """As the rows of the catalogue begin."""
        return self.id, self.name, self.parent


Find = Callable[[], Unit | None]


class Driver(Protocol):
    """A vendor's library. Any call may block, and raise one of `errors`; one caller at a time."""

    name: str
    errors: tuple[type[Exception], ...]

    def reason(self, error: Exception) -> Reason:
        """What the error says; "lost" ends a device, "driver" all of them."""

    def open(self) -> None:
        """Start; Unavailable where there is no binding or no driver."""

    def close(self) -> None:
        """Let go; safe twice and before `open`."""

    def units(self) -> Sequence[Find]:
        """One for each device, in an order that stays."""

    def parts(self, unit: Unit) -> Iterable[Find]:
        """One for each place where the device may have an instance."""

    def reads(self, unit: Unit) -> Iterable[Callable[[], Iterable[BareSample]]]:
        """What can be asked of a device or an instance; each fails for itself."""

    def state(self, unit: Unit) -> str:
        """One of STATES; any but "failed" of a device that answers."""

    def events(self, unit: Unit) -> Iterable[BareSample]:
        """What was seen of the device, lost or not; does not ask the driver."""

    def refused(self) -> Counter[Reason]:
        """What was asked for those events in vain; from any thread."""


class _Lost(Exception):
    """This device is gone."""


class Devices:
    """Samples of all devices of a driver; for one thread. `boot_time`: since when a driver counts at the earliest."""

    def __init__(self, driver: Driver, boot_time: Callable[[], float] = psutil.boot_time) -> None:
        self.driver = driver
        self._refused: Counter[Reason] = Counter()
        self.created = time.time()
        self._boot_time = boot_time
        self._open = False
        self._retry_at = float("-inf")
        self._renew_at = float("-inf")
        self._why = ""
        self._known: dict[str, Unit] = {}
        self._places: dict[int, str] = {}
        self._lost: set[str] = set()
        # By series: the last value, and since when it counts.
        self._counters: dict[tuple[str, tuple[str, ...]], tuple[float, float]] = {}

    def read(self, now: float) -> list[Sample]:
        """Samples as of `now`, unix seconds. Unavailable: no driver or device; a driver's error if it was there."""
        self._start(now)
        try:
            samples = list(self._all(now))
        except self.driver.errors:
            # The driver itself is gone (unloaded, updated): handles and library state are worthless.
            self.close()
            raise
        if self._lost and not now < self._renew_at <= now + RETRY_SECONDS:
            # A device that comes back is seen by a driver that is started anew.
            self.close()
            self._renew_at = now + RETRY_SECONDS
        if not samples:
            raise Unavailable("no GPU answers")
        return samples

    def refused(self) -> Counter[Reason]:
        """Reads that gave nothing, by reason; from any thread."""
        return self._refused.copy() + self.driver.refused()

    def close(self) -> None:
        """Let the driver go; safe twice. `read` starts it again."""
        if self._open:
            self._open = False
            self.driver.close()

    def _start(self, now: float) -> None:
        if self._open:
            return
        if not self._known and now < self._retry_at <= now + RETRY_SECONDS:
            raise Unavailable(self._why)
        try:
            self.driver.open()
        except Unavailable as reason:
            self._retry_at, self._why = now + RETRY_SECONDS, str(reason)
            if self._known:
                self._refused["driver"] += 1
                raise RuntimeError(f"the driver that was there is not: {reason}") from reason
            raise
        self._open = True

    def _all(self, now: float) -> Iterator[Sample]:
        answered: dict[str, list[Sample]] = {}
        spared: set[str] = set()
        room = MAX_UNITS
        for place, find in enumerate(self._ask(self.driver.units) or ()):
            if not room:
                self._refused["too_many"] += 1
                continue
            try:
                unit = self._ask(find)
                if unit is None:
                    spared.add(self._places.get(place, ""))
                    continue
                self._known[unit.id], self._places[place] = unit, unit.id
                parts = self._parts(unit, room - 1)
                answered[unit.id] = [*self._samples(unit, now), *self._status(unit)]
                answered[unit.id] += [sample for part in parts for sample in self._samples(part, now)]
                room -= 1 + len(parts)
            except _Lost:
                continue
        yield from (sample for samples in answered.values() for sample in samples)
        self._notice(self._known.keys() - answered.keys() - spared)
        for unit in self._known.values():
            if unit.id in self._lost:
                yield from _status(unit, "failed")
            yield from self._made(unit, self.driver.events(unit), now)

    def _parts(self, unit: Unit, room: int) -> list[Unit]:
        found = [
            part for find in self._ask(lambda: self.driver.parts(unit)) or () if (part := self._ask(find))
        ]
        self._refused["too_many"] += max(0, len(found) - room)
        return found[:room]

    def _samples(self, unit: Unit, now: float) -> Iterator[Sample]:
        for read in self.driver.reads(unit):
            yield from self._made(unit, self._ask(lambda read=read: list(read())) or (), now)  # type: ignore[misc]

    def _status(self, unit: Unit) -> Iterator[Sample]:
        return _status(unit, self._ask(lambda: self.driver.state(unit)) or "ok")

    def _made(self, unit: Unit, values: Iterable[BareSample], now: float) -> Iterator[Sample]:
        for family, labels, value in values:
            counts = metric(family).kind == "counter"
            created = self._counted_since((family, (unit.id, *labels)), value, now) if counts else 0.0
            yield Sample(family, (*unit.labels, *labels), value, created)

    def _ask(self, call: Callable[[], _Answer]) -> _Answer | None:
        """The answer, or None where there is none to be had; a loss is raised."""
        try:
            return call()
        except self.driver.errors as error:
            reason = self.driver.reason(error)
            if reason:
                self._refused[reason] += 1
            if reason == "driver":
                raise
            if reason == "lost":
                raise _Lost from error
            return None

    def _notice(self, lost: set[str]) -> None:
        for name in sorted(lost - self._lost):
            _log.warning("GPU %s does not answer any more: lost, or in need of a reset", name)
        for name in sorted(self._lost - lost):
            _log.info("GPU %s answers again", name)
        self._lost = lost

    def _counted_since(self, series: tuple[str, tuple[str, ...]], value: float, now: float) -> float:
        """When the counter was 0: before the driver was loaded, or at a reset that was seen."""
        last, since = self._counters.get(series, (0.0, 0.0))
        if value < last:
            since = now
        since = since or (self.created if series[0] == "hw.gpu.xid.errors" else self._boot_time())
        self._counters[series] = (value, since)
        return since


def _status(unit: Unit, state: str) -> Iterator[Sample]:
    for each in STATES:
        yield Sample("hw.status", (*unit.labels, "gpu", each), int(each == state))


def processes(found: Iterable[tuple[int, float | None]]) -> Iterator[BareSample]:
    """Memory by pid: the larger of two readings of one process; the smallest beyond the bound in one."""
    largest: dict[int, float] = {}
    for pid, used in found:
        if used is not None:
            largest[pid] = max(used, largest.get(pid, 0.0))
    ranked = sorted(largest.items(), key=lambda item: (-item[1], item[0]))
    for pid, used in ranked[:MAX_PROCESSES]:
        yield "hw.gpu.process.memory.usage", (str(pid),), used
    if rest := ranked[MAX_PROCESSES:]:
        yield "hw.gpu.process.memory.usage", (OTHER,), sum(used for _, used in rest)


def text(value: str | bytes) -> str:
    """As a label value, bounded."""
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else value)[:MAX_LABEL]
