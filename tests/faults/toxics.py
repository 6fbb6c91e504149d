"""The toxics: what can happen to a connection, between client and sidecar as well as between sidecar and model.

Each is a value without state of its own, so that one may be put on any number of ends, and they stack: an End with
(Slicer(1), Latency(0.01)) sends each byte by itself and late. What befalls a listener is a function of its socket.
"""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.faults.ends import Cut, End, Receive, Send

SMALL_BUFFER = 4096


@dataclass(frozen=True)
class Toxic:
    """Passes everything on. `receive_buffer` is the kernel's, in bytes; 0 leaves it alone."""

    receive_buffer: int = field(default=0, kw_only=True)

    async def send(self, end: End, data: bytes, onward: Send) -> None:
        await onward(data)

    async def receive(self, end: End, size: int, onward: Receive) -> bytes:
        return await onward(size)


@dataclass(frozen=True)
class Latency(Toxic):
    """Everything comes later, both ways."""

    seconds: float

    async def send(self, end: End, data: bytes, onward: Send) -> None:
        await asyncio.sleep(self.seconds)
        await onward(data)

    async def receive(self, end: End, size: int, onward: Receive) -> bytes:
        await asyncio.sleep(self.seconds)
        return await onward(size)


@dataclass(frozen=True)
class Slicer(Toxic):
    """Segments of that many bytes."""

    size: int = 1

    async def send(self, end: End, data: bytes, onward: Send) -> None:
        for start in range(0, len(data), self.size):
            await onward(data[start : start + self.size])
            await asyncio.sleep(0)


@dataclass(frozen=True)
class SlowWriter(Toxic):
    """That many bytes, then a pause."""

    size: int
    seconds: float

    async def send(self, end: End, data: bytes, onward: Send) -> None:
        for start in range(0, len(data), self.size):
            await onward(data[start : start + self.size])
            await asyncio.sleep(self.seconds)


@dataclass(frozen=True)
class SlowReader(Toxic):
    """A pause, then that many bytes."""

    size: int
    seconds: float
    receive_buffer: int = field(default=SMALL_BUFFER, kw_only=True)

    async def receive(self, end: End, size: int, onward: Receive) -> bytes:
        await asyncio.sleep(self.seconds)
        return await onward(min(size, self.size))


@dataclass(frozen=True)
class ZeroWindow(Toxic):
    """Reads no byte, ever: whoever waits for one is cancelled with the scenario."""

    receive_buffer: int = field(default=SMALL_BUFFER, kw_only=True)

    async def receive(self, end: End, size: int, onward: Receive) -> bytes:
        await asyncio.Event().wait()
        return b""


@dataclass(frozen=True)
class BlackHole(ZeroWindow):
    """Nothing goes out either, and nobody is told."""

    async def send(self, end: End, data: bytes, onward: Send) -> None:
        return


@dataclass(frozen=True)
class Reset(Toxic):
    """RST once that many bytes went out."""

    after: int

    async def send(self, end: End, data: bytes, onward: Send) -> None:
        rest = self.after - len(end.outgoing)
        await onward(data[:rest])
        if len(data) >= rest:
            end.reset()
            raise Cut("reset")


@dataclass(frozen=True)
class ResetReader(Toxic):
    """RST once that many bytes came in."""

    after: int

    async def receive(self, end: End, size: int, onward: Receive) -> bytes:
        if len(end.received) >= self.after:
            end.reset()
            raise Cut("reset")
        return await onward(min(size, self.after - len(end.received)))


@dataclass(frozen=True)
class HalfClose(Toxic):
    """FIN once that many bytes went out; nothing more does, and reading goes on."""

    after: int

    async def send(self, end: End, data: bytes, onward: Send) -> None:
        rest = self.after - len(end.outgoing)
        await onward(data[:rest])
        if len(data) >= rest:
            with suppress(OSError):  # said before, or nobody is there any more
                end.fin()


# ---------------------------------------------------------------- of listeners


@contextmanager
def refusing(listener: socket.socket) -> Iterator[None]:
    """The port is closed within, and open again behind; who waited in the backlog is reset."""
    listener.shutdown(socket.SHUT_RD)
    try:
        yield
    finally:
        listener.listen(512)


@contextmanager
def full(listener: socket.socket) -> Iterator[None]:
    """The backlog is full within, and nobody accepts: SYNs are dropped, connecting lasts until the client gives up."""
    listener.listen(0)
    fillers = [socket.socket() for _ in range(4)]
    try:
        for filler in fillers:
            filler.setblocking(False)
            with suppress(BlockingIOError):
                filler.connect(listener.getsockname())
        yield
    finally:
        for filler in fillers:
            filler.close()
        listener.listen(512)
