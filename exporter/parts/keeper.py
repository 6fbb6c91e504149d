"""Keeper: the analysis' rolling windows in a file, written every minute and at the end, read at the start.

What cannot be used is set aside as `windows.bad`, counted, and never stops the start: nor does a file that ends the
process that reads it, for it has another name while it is read. Writing happens in a thread; the event loop copies one
side at a time. A folder is one sidecar's own.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from exporter.analysis.engine import Engine
from exporter.analysis.historian import write_whole
from exporter.analysis.kept import KeptSide, packed, unpacked
from exporter.records.sample import Sample
from exporter.stats import SnapshotError

log = logging.getLogger("modeltap.analysis")
EVERY_SECONDS: Final = 60.0
OUTCOMES: Final = ("saved", "restored", "corrupt", "foreign", "failed")
_LARGEST: Final = 1 << 30


class Keeper:
    """`restore` once, `save` now and then. An empty folder name switches it off."""

    def __init__(self, folder: str, created: float) -> None:
        self.on = bool(folder)
        self._created = created
        self._file = Path(folder) / "windows"
        self._reading = self._file.with_suffix(".reading")
        self._outcomes = dict.fromkeys(OUTCOMES, 0)
        self._saving = asyncio.Lock()

    def restore(self, engine: Engine, now: float) -> None:
        """Fill the engine's windows from the file, as far as it fits; raises nothing."""
        if not self.on:
            return
        try:
            if self._reading.exists():
                self._aside("corrupt", "the analysis ended while it was read")
            if not self._file.exists():
                return
            self._file.replace(self._reading)
            if self._reading.stat().st_size > _LARGEST:
                self._aside("corrupt", f"larger than {_LARGEST} bytes")
                return
            self._taken(engine, unpacked(self._reading.read_bytes()), now)
        except SnapshotError as error:
            self._aside("corrupt", str(error))
        except OSError as error:
            self._failed("read", error)

    def _taken(self, engine: Engine, sides: list[KeptSide], now: float) -> None:
        problems = [problem for side in sides if (problem := engine.restore(side, now))]
        if problems:
            self._aside("foreign", "; ".join(problems[:3]))
            return
        self._reading.replace(self._file)
        self._outcomes["restored"] += 1
        log.info("windows were restored from %s: %d sides of model versions", self._file, len(sides))

    def _aside(self, outcome: str, reason: str) -> None:
        self._outcomes[outcome] += 1
        bad = self._file.with_suffix(".bad")
        log.warning("windows in %s cannot all be used, set aside as %s: %s", self._file, bad, reason)
        with contextlib.suppress(OSError):
            self._reading.replace(bad)

    async def save(self, engine: Engine) -> None:
        """Write all windows as they are; raises nothing for a disk that is full or gone."""
        if not self.on:
            return
        async with self._saving:
            sides: list[KeptSide] = []
            for head, write in engine.kept():
                sides.append(KeptSide(**head, windows=await asyncio.to_thread(write)))
            try:
                await asyncio.to_thread(self._write, sides)
                self._outcomes["saved"] += 1
            except OSError as error:
                self._failed("written", error)

    async def run(self, engine: Engine) -> None:
        """Save every minute, for good."""
        while self.on:
            await asyncio.sleep(EVERY_SECONDS)
            await self.save(engine)

    async def finish(self, engine: Engine, seconds: float) -> None:
        """Save a last time; what is not written in time stays as it was a minute ago."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.save(engine)

    def _write(self, sides: list[KeptSide]) -> None:
        """The file appears whole or not at all."""
        write_whole(self._file, packed(sides))

    def _failed(self, verb: str, error: OSError) -> None:
        if not self._outcomes["failed"]:
            log.warning("windows cannot be %s in %s: %s", verb, self._file, error)
        self._outcomes["failed"] += 1

    def samples(self) -> Iterator[Sample]:
        """How often each outcome came."""
        for outcome, count in self._outcomes.items() if self.on else ():
            yield Sample("modeltap.window.snapshots", (outcome,), count, self._created)
