"""Historian: the history in a file, read at the start and written when it has changed.

What cannot be used is set aside as `history.bad`, counted, and never stops the start; a folder that cannot be written
costs counts and one line of the log. `save` may be called in a thread, by one caller at a time. A folder is one
sidecar's own.
"""

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from exporter.analysis.history import History, packed, unpacked
from exporter.records.sample import Sample
from exporter.stats import SnapshotError

log = logging.getLogger("modeltap.analysis")
OUTCOMES: Final = ("saved", "restored", "corrupt", "foreign", "failed")
# 32 models with 64 versions each, 16 descriptions and 64 files, their names at their longest, several times over.
LARGEST: Final = 8 << 20
# A folder that could not be written is tried again after so long.
RETRY_SECONDS: Final = 60.0


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def write_whole(file: Path, data: bytes) -> None:
    """The file appears whole or not at all, also if whoever writes it is killed. Raises OSError."""
    part = file.with_suffix(".part")  # one writer, so one name: what a killed one left is written over
    with open(part, "wb", opener=_private) as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(file)


class Historian:
    """`restore` once, then `save` whenever it is `due`. An empty folder name switches it off."""

    def __init__(self, folder: str, identity: str, created: float) -> None:
        """`identity`: of whose past the file has to be."""
        self.on = bool(folder)
        self.identity = identity
        self._created = created
        self._file = Path(folder) / "history"
        self._outcomes = dict.fromkeys(OUTCOMES, 0)
        self._written: History | None = None
        self._failed_at: float | None = None

    def restore(self) -> History:
        """What was kept, or nothing; raises nothing."""
        try:
            if self.on and (raw := self._read()) is not None:
                return self._taken(unpacked(raw))
        except SnapshotError as error:
            self._aside("corrupt", str(error))
        except OSError as error:
            self._failed("read", error)
        return History(self.identity)

    def _read(self) -> bytes | None:
        try:
            with open(self._file, "rb") as file:
                raw = file.read(LARGEST + 1)
        except FileNotFoundError:
            return None
        if len(raw) > LARGEST:
            raise SnapshotError(f"larger than {LARGEST} bytes")
        return raw

    def _taken(self, history: History) -> History:
        if history.identity != self.identity:
            self._aside("foreign", f"it is of {history.identity!r}, and this is {self.identity!r}")
            return History(self.identity)
        self._outcomes["restored"] += 1
        self._written = history
        return history

    def _aside(self, outcome: str, reason: str) -> None:
        self._outcomes[outcome] += 1
        bad = self._file.with_suffix(".bad")
        log.warning("the history in %s cannot be used, set aside as %s: %s", self._file, bad, reason)
        with contextlib.suppress(OSError):
            self._file.replace(bad)

    def due(self, history: History, now: float) -> bool:
        """Whether it has to be written."""
        if not self.on or history == self._written:
            return False
        return self._failed_at is None or not 0.0 <= now - self._failed_at < RETRY_SECONDS

    def save(self, history: History, now: float) -> None:
        """Write it; raises nothing for a disk that is full or gone."""
        try:
            write_whole(self._file, packed(history))
        except OSError as error:
            self._failed_at = now
            self._failed("written", error)
            return
        self._outcomes["saved"] += 1
        self._written, self._failed_at = history, None

    def _failed(self, verb: str, error: OSError) -> None:
        if not self._outcomes["failed"]:
            log.warning("the history cannot be %s in %s: %s", verb, self._file, error)
        self._outcomes["failed"] += 1

    def samples(self) -> Iterator[Sample]:
        """How often each outcome came."""
        for outcome, count in self._outcomes.items() if self.on else ():
            yield Sample("modeltap.history.files", (outcome,), count, self._created)
