"""One file, hashed a piece at a time, so that whoever hashes it can rest, look around and stop in between.

Refuses to know what digest is expected. Invariant: a digest is given only of a file that is afterwards, by its own
descriptor and by its path, the very file that it was before the first byte was read.
"""

import errno
import hashlib
import os
import stat
from typing import Final, NamedTuple

PIECE_BYTES: Final = 1 << 20


class Identity(NamedTuple):
    """What changes when a file does; the time of the inode's change cannot be set back by whoever writes."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int


class Changed(Exception):
    """The file is another one than when its first byte was read, or was written to meanwhile."""


class Outside(OSError):
    """A link leads out of the folder that it has to stay in."""


def inside(path: str, folder: str) -> None:
    """Nothing for a path that stays below a folder whatever its links are, or for no folder. Raises Outside."""
    if not folder:
        return
    there, root = os.path.realpath(path), os.path.realpath(folder)
    if os.path.commonpath((there, root)) != root:
        raise Outside(errno.EXDEV, "a link leads out of the folder of the description that declares it", path)


def identity(path: str) -> Identity:
    """Of the file that a path leads to, through links. Raises OSError, IsADirectoryError for what is no file."""
    return _identity(os.stat(path), path)


def _identity(found: os.stat_result, path: str) -> Identity:
    if not stat.S_ISREG(found.st_mode):
        raise IsADirectoryError(21, "is no regular file", path)
    return Identity(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class Hashing:
    """A file in hand. Raises OSError where it cannot be opened; a pipe of that name is not waited for."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.read = 0
        self._digest = hashlib.sha256()
        self._buffer = memoryview(bytearray(PIECE_BYTES))
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            self.identity = _identity(os.fstat(self._fd), path)
        except OSError:
            self.close()
            raise
        if hasattr(os, "posix_fadvise"):
            # Weights are read once here, and should push out nothing that the model reads again (Linux 6.3 and later).
            os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_NOREUSE)

    def step(self) -> bool:
        """Take in the next piece; whether that was all. Raises OSError, and Changed at the end."""
        size = os.readv(self._fd, [self._buffer])
        if size:
            self._digest.update(self._buffer[:size])
            self.read += size
            # A file that grows would never end.
            if self.read > self.identity.size:
                raise Changed(self.path)
            return False
        try:
            same = self.identity == _identity(os.fstat(self._fd), self.path) == identity(self.path)
        except OSError:
            same = False
        if not same or self.read != self.identity.size:
            raise Changed(self.path)
        return True

    @property
    def digest(self) -> str:
        """64 hexadecimal digits."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """Safe twice."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1
