"""Small files of /proc and /sys below a root. What is missing, denied, gone or not text is None, never an error.

Knows no format but "numbers" and "keys with numbers". Invariant: nothing over LARGEST is kept: a file that is larger
is none of those that are read here.
"""

import os
from pathlib import Path

LARGEST = 4 << 20  # a node with a thousand pods has a megabyte of mounts
_PART = 64 << 10


class Files:
    """The files below `root`; paths are given without a leading slash."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = str(root)

    def text(self, path: str) -> str | None:
        """What the file holds now."""
        try:
            # Through a process's root lies what another put there: a pipe must not hold the reader up.
            file = os.open(os.path.join(self._root, path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError):
            return None
        try:
            held = _whole(file)
        except OSError:
            return None
        finally:
            os.close(file)
        return None if len(held) > LARGEST else held.decode("utf-8", "replace")

    def link(self, path: str) -> str | None:
        """Where the link leads."""
        try:
            return os.readlink(os.path.join(self._root, path))
        except (OSError, ValueError):
            return None

    def names(self, path: str) -> tuple[str, ...] | None:
        """The names in the folder."""
        try:
            return tuple(os.listdir(os.path.join(self._root, path)))
        except (OSError, ValueError):
            return None

    def has(self, path: str) -> bool:
        """Whether it is there, as far as can be seen."""
        return os.path.lexists(os.path.join(self._root, path))

    def identity(self, path: str) -> tuple[int, int] | None:
        """What tells it from a later one of the same name."""
        try:
            found = os.stat(os.path.join(self._root, path))
        except (OSError, ValueError):
            return None
        return found.st_dev, found.st_ino


def _whole(file: int) -> bytes:
    held = b""
    # A sysctl refuses to be asked for as much as 4 MiB.
    while len(held) <= LARGEST and (part := os.read(file, _PART)):
        held += part
    return held


def number(text: str | None) -> int | None:
    """The one whole number, not negative, that the text is; None for anything else ("max", "-1", two words)."""
    word = (text or "").strip()
    return int(word) if word.isascii() and word.isdigit() and len(word) <= 20 else None


def table(text: str | None, separator: str | None = None) -> dict[str, int]:
    """The lines "key number …" by key; a line of another form is left out."""
    found = {}
    for line in (text or "").splitlines():
        words = line.split(separator, 1)
        value = number(words[1].removesuffix(" kB")) if len(words) == 2 else None
        if value is not None:
            found[words[0].strip()] = value
    return found


def started(files: Files, pid: int) -> int | None:
    """The clock tick since boot at which the process began; None when it is no more, a zombie too."""
    fields = stat(files, pid)
    return None if fields is None or fields[0] in ("Z", "X", "x") else number(fields[19])


def stat(files: Files, pid: int | str) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on; None when it is gone or has another form."""
    # A name may hold spaces and parentheses: what follows the last one counts.
    _, closed, rest = (files.text(f"proc/{pid}/stat") or "").rpartition(")")
    fields = rest.split()
    return fields if closed and len(fields) >= 20 else None
