"""Where lines go: a file that others may rotate, or a descriptor that nobody may read. Knows not what a line says.

An output takes whole lines: of a file what could not be written whole is undone. It raises OSError, and can be asked
again. BlockingIOError means later, with what is left.
"""

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from select import PIPE_BUF
from typing import Final, Protocol

_FILE_MODE: Final = 0o640  # a shipper's group may read it


class Output(Protocol):
    """`group_bytes` is how much at most is handed over at once, unless one line is longer."""

    group_bytes: int

    def write(self, data: bytes) -> int:
        """Take some of it; returns how many bytes. BlockingIOError if nothing can be taken now."""

    def reopen(self) -> None:
        """What was open may be another file's by now."""

    def close(self) -> None:
        """Safe twice."""


class LogFile:
    """Appends to `path`; at `most` bytes the file becomes `path`.1 in place of the last one of that name; 0 = never."""

    group_bytes = 64 << 10

    def __init__(self, path: str, most: int) -> None:
        self._path = Path(path)
        self._most = most
        self._fd = -1

    def write(self, data: bytes) -> int:
        """All of it, or OSError and nothing of it."""
        if self._fd >= 0 and self._moved():
            self.close()
        if self._fd < 0:
            self._open()
        size = os.fstat(self._fd).st_size
        if self._most and size and size + len(data) > self._most:
            self.close()
            self._path.rename(f"{self._path}.1")
            self._open()
            size = 0
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError:
            if len(rest) < len(data):
                self._undo(size)
            raise
        return len(data)

    def reopen(self) -> None:
        """Open the path anew with the next line."""
        self.close()

    def close(self) -> None:
        """Safe twice."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with suppress(OSError):
                os.close(fd)

    def _moved(self) -> bool:
        """Whether the path is another file by now, or none: it was rotated away."""
        own = os.fstat(self._fd)
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return True
        return (own.st_dev, own.st_ino) != (found.st_dev, found.st_ino)

    def _open(self) -> None:
        # A pipe without a reader must not hold up the thread before it is told from a file.
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        fd = os.open(self._path, flags, _FILE_MODE)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError("no regular file; expected a file, or - for standard output")
        self._fd = fd

    def _undo(self, size: int) -> None:
        """Half a line would make the next one unreadable too."""
        try:
            os.ftruncate(self._fd, size)
        except OSError:
            self.close()


class Descriptor:
    """`take` writes without waiting, as standard output is written to; lines up to PIPE_BUF are never mixed."""

    group_bytes = PIPE_BUF

    def __init__(self, take: Callable[[bytes], int]) -> None:
        self._take = take

    def write(self, data: bytes) -> int:
        """What a pipe takes whole or not at all."""
        return self._take(data[:PIPE_BUF])

    def reopen(self) -> None:
        """There is no other."""

    def close(self) -> None:
        """It is not ours."""
