"""CloudEvents as lines of JSON in files that are rotated by size and age; only so many are kept.

Knows no queue. A write is whole or undone, so that every line of a file is one event, also after a full disk. What is
written is with the kernel at once; it is forced to the disk when a file is closed. With gzip each write is a member of
its own, so the file can be read at any time, to its end. A file that an earlier process left is put among the rotated.
"""

import gzip
import os
import re
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from exporter.publish.cloudevents import Event, line
from exporter.publish.delivery import Failed

_SUFFIX: Final = ".jsonl"
_STAMP: Final = "%Y%m%dT%H%M%S.%fZ"
_GZIP_LEVEL: Final = 6
# Payloads are for nobody else on the machine.
_FILE_MODE, _FOLDER_MODE = 0o600, 0o700


@dataclass(frozen=True, slots=True)
class Rotation:
    """A file is closed at `size` bytes or `seconds` of age, whichever comes first; `kept` closed ones stay."""

    size: int
    seconds: float
    kept: int
    gzip: bool = False


class FileSink:
    """`target` is a folder, or a file in one whose name ends in .jsonl; `now` gives unix seconds."""

    concurrency = 1
    group_bytes = 256 << 10
    exhausted = "disk"

    def __init__(self, target: str, rotation: Rotation, now: Callable[[], float] = time.time) -> None:
        path = Path(target)
        named = path.suffix == _SUFFIX
        self._folder = path.parent if named else path
        # Two sidecars that share a folder must not take each other's file.
        self._stem = path.stem if named else f"payload-{socket.gethostname()}"
        self._ending = _SUFFIX + (".gz" if rotation.gzip else "")
        self._rotation = rotation
        self._now = now
        self._fd = -1
        self._size = 0
        self._opened = 0.0

    @property
    def active(self) -> Path:
        """The file that is being written."""
        return self._folder / (self._stem + self._ending)

    async def deliver(self, events: list[Event]) -> int:
        """All events in one write; returns its bytes. Raises Failed("disk")."""
        data = b"".join(map(line, events))
        if self._rotation.gzip:
            data = gzip.compress(data, _GZIP_LEVEL)
        try:
            if self._fd >= 0 and self._due(len(data)):
                self._rotate()
            if self._fd < 0:
                self._open()
            self._write(data)
        except OSError as error:
            raise Failed("disk", f"{self.active}: {error.strerror or error}") from error
        return len(data)

    async def close(self) -> None:
        """Close the file and put it among the rotated; OSError if the disk does not take it. Safe twice."""
        if self._fd >= 0:
            self._rotate()

    def _due(self, more: int) -> bool:
        full = self._size > 0 and self._size + more > self._rotation.size
        return full or self._now() - self._opened >= self._rotation.seconds

    def _open(self) -> None:
        self._folder.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
        if self.active.is_symlink() or self.active.exists():
            self._put_away()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(self.active, flags, _FILE_MODE)
        self._size, self._opened = 0, self._now()

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError:
            if len(rest) < len(data):
                self._undo()
            raise
        self._size += len(data)

    def _undo(self) -> None:
        """Half a line would make the next one unreadable too; where it cannot be taken back the file is given up."""
        try:
            os.ftruncate(self._fd, self._size)
        except OSError:
            self._abandon()

    def _abandon(self) -> None:
        fd, self._fd = self._fd, -1
        with suppress(OSError):
            os.close(fd)

    def _rotate(self) -> None:
        fd, self._fd = self._fd, -1
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        self._put_away()

    def _put_away(self) -> None:
        """Among the rotated, as the newest: also where the clock went back, for the oldest are removed by name."""
        moment = datetime.fromtimestamp(self._now(), UTC)
        rotated = self._rotated()
        if rotated:
            last = rotated[-1].name.removeprefix(f"{self._stem}-").partition(".jsonl")[0]
            moment = max(
                moment, datetime.strptime(last, _STAMP).replace(tzinfo=UTC) + timedelta(microseconds=1)
            )
        with suppress(FileNotFoundError):  # somebody took it away, as a shipper may
            self.active.rename(self._folder / f"{self._stem}-{moment.strftime(_STAMP)}{self._ending}")
        for path in self._rotated()[: -self._rotation.kept]:
            path.unlink(missing_ok=True)

    def _rotated(self) -> list[Path]:
        pattern = re.compile(re.escape(self._stem) + r"-\d{8}T\d{6}\.\d{6}Z\.jsonl(?:\.gz)?")
        return sorted(path for path in self._folder.iterdir() if pattern.fullmatch(path.name))
