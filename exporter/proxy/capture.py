"""A body as it is kept while it is forwarded: within the bounds on one body and on all of them together."""

from typing import Final

from exporter.proxy.plane import Plane

_MAX_PIECES: Final = 16


class Capture:
    """A body as it is kept: whole, or not at all once it is over a bound."""

    __slots__ = ("chunks", "kept", "reason", "size")

    def __init__(self, wanted: bool) -> None:
        self.chunks: list[bytes | bytearray] = []
        self.size = 0
        self.kept = wanted
        self.reason = ""

    def take(self, chunk: bytes, start: int, end: int, plane: Plane) -> None:
        """Keep chunk[start:end] if the bounds allow."""
        size = end - start
        self.size += size
        if not self.kept:
            return
        if self.size > plane.capture_bytes:
            self._drop("too_large", plane)
        elif plane.captured + size > plane.capture_total:
            self._drop("capture_full", plane)
        else:
            plane.captured += size
            chunks = self.chunks
            piece = chunk if size == len(chunk) else chunk[start:end]
            if len(chunks) < _MAX_PIECES:
                chunks.append(piece)
            else:
                # A body that drips in would cost an object per byte.
                last = chunks[-1]
                if type(last) is not bytearray:
                    last = chunks[-1] = bytearray(last)
                last += piece

    def _drop(self, reason: str, plane: Plane) -> None:
        self.reason = reason
        self.free(plane)

    @property
    def lost(self) -> int:
        """How many bytes were not kept, where there is a reason."""
        return self.size

    def free(self, plane: Plane) -> None:
        """Give the bytes back to the bound; nothing more is kept."""
        self.kept = False
        if self.chunks:
            plane.captured -= sum(map(len, self.chunks))
            self.chunks = []

    def body(self) -> bytes:
        """The whole body, if it was kept."""
        chunks = self.chunks
        return chunks[0] if len(chunks) == 1 and type(chunks[0]) is bytes else b"".join(chunks)
