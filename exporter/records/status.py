"""A page shared by the root and the analysis: restarts (root writes), the work in hand (analysis writes), reloads.

When the analysis dies, the root reads what it was working on; a dialect that kills it three times is switched off.
What a dying process left half-written is read as some text, never as an error.
"""

import mmap
import os

RESTARTS = (
    *(("analysis", reason) for reason in ("exit", "signal", "hung", "memory")),
    *(("data_plane", reason) for reason in ("exit", "signal", "hung", "memory")),
)
# What is read again while the sidecar runs; each kind has one writer: config the root, the others the analysis.
OUTCOMES = ("success", "failure")
RELOADS = tuple((kind, outcome) for kind in ("config", "profile", "web_config") for outcome in OUTCOMES)
_SIZE = 4096
_IN_HAND = 1024


def create() -> int:
    """A new page; the caller owns the descriptor."""
    fd = os.memfd_create("modeltap-status", os.MFD_CLOEXEC)
    os.ftruncate(fd, _SIZE)
    return fd


class Status:
    """Either side's view."""

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, _SIZE)
        self._slots = memoryview(self._map).cast("Q")

    def restarted(self, component: str, reason: str) -> None:
        """Count a restart; ValueError for a pair that is not in RESTARTS."""
        self._slots[RESTARTS.index((component, reason))] += 1

    def restarts(self) -> dict[tuple[str, str], int]:
        """All restart counts."""
        return {key: self._slots[index] for index, key in enumerate(RESTARTS)}

    def reloaded(self, kind: str, outcome: str) -> None:
        """Count a reload; ValueError for a pair that is not in RELOADS."""
        self._slots[len(RESTARTS) + RELOADS.index((kind, outcome))] += 1

    def reloads(self) -> dict[tuple[str, str], int]:
        """All reload counts."""
        return {key: self._slots[len(RESTARTS) + index] for index, key in enumerate(RELOADS)}

    def take(self, protocol: str, path: str) -> None:
        """The analysis starts on an exchange; "" when it is done."""
        text = f"{protocol} {path}".encode("utf-8", "replace")[: _SIZE - _IN_HAND - 2]
        self._map[_IN_HAND : _IN_HAND + 2 + len(text)] = len(text).to_bytes(2, "little") + text

    def in_hand(self) -> tuple[str, str]:
        """Protocol and path of what it worked on; both "" if it was nothing."""
        size = int.from_bytes(self._map[_IN_HAND : _IN_HAND + 2], "little")
        text = self._map[_IN_HAND + 2 : _IN_HAND + 2 + size].decode("utf-8", "replace")
        protocol, _, path = text.partition(" ")
        return protocol, path
