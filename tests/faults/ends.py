"""One end of a TCP connection with toxics between it and the wire; what it sent is kept as well as what it received.

Clients and scripted models are both Ends, so that the same toxic can sit on either side of the sidecar.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Protocol

from tests.proxy.clients import Peer

Send = Callable[[bytes], Awaitable[None]]
Receive = Callable[[int], Awaitable[bytes]]


class Cut(ConnectionError):
    """A toxic ended the connection; a script that ends with it ended as intended."""


class Between(Protocol):
    """A toxic: may change when, in which pieces and whether bytes pass; never which bytes they are."""

    @property
    def receive_buffer(self) -> int:
        """The kernel's, in bytes; 0 leaves it alone."""

    async def send(self, end: "End", data: bytes, onward: Send) -> None:
        """`data` is on its way out."""

    async def receive(self, end: "End", size: int, onward: Receive) -> bytes:
        """At most `size` bytes are wanted."""


class End(Peer):
    """`toxics` stand in their order between this end and the wire. `outgoing` is all that went out."""

    def __init__(self, sock: socket.socket, toxics: tuple[Between, ...] = ()) -> None:
        super().__init__(sock)
        self.outgoing = bytearray()
        self._toxics = toxics

    async def send(self, data: bytes) -> None:
        await self._send(0, data)

    async def _send(self, level: int, data: bytes) -> None:
        if level < len(self._toxics):
            await self._toxics[level].send(self, data, partial(self._send, level + 1))
        elif data:
            # Before it leaves: what arrives is then always the beginning of it.
            self.outgoing += data
            await super().send(data)

    async def receive(self, size: int = 65536) -> bytes:
        return await self._receive(0, size)

    async def _receive(self, level: int, size: int) -> bytes:
        if level < len(self._toxics):
            return await self._toxics[level].receive(self, size, partial(self._receive, level + 1))
        return await super().receive(size)

    async def send_until_stuck(self, data: bytes, limit: int) -> int:
        """Repeat `data` until the other side takes no more for a while, at most `limit` bytes; how many went out."""
        total, stuck = 0, 0
        while total < limit and stuck < 25:
            try:
                sent = self.sock.send(data[total % len(data) :])
                self.outgoing += data[total % len(data) :][:sent]
                total, stuck = total + sent, 0
            except BlockingIOError:
                stuck += 1
            await asyncio.sleep(0.01 if stuck else 0)
        return total

    async def next(self) -> bytes:
        """What is there and was not taken yet, or what comes next; b"" at the end."""
        if not self.ahead:
            await self.receive()
        return self._take(len(self.received))

    async def patiently(self, seconds: float = 30) -> bytes:
        """What comes next, for which it may take longer than for anything else; b"" at the end."""
        async with asyncio.timeout(seconds):
            while not self.ahead and not self.over:
                with suppress(TimeoutError):
                    await self.receive()
        return self._take(len(self.received))

    async def ended(self) -> str:
        """Read to the end; how it came: fin or reset."""
        await self.read_all()
        return self.over


async def connect(address: tuple[str, int], *toxics: Between) -> End:
    """A client; the smallest receive buffer that a toxic asks for is set before the handshake."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    limit_buffer(sock, toxics)
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        async with asyncio.timeout(30):
            await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return End(sock, toxics)


def limit_buffer(sock: socket.socket, toxics: tuple[Between, ...]) -> None:
    """What the toxics say of the receive buffer."""
    sizes = [toxic.receive_buffer for toxic in toxics if toxic.receive_buffer]
    if sizes:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, min(sizes))
