"""The floor: a uvloop relay that parses nothing.

One upstream connection per client connection, bytes both ways, back-pressure, half-close (which TLS does not
have here: there either end ends both). What any proxy on this event loop costs before it does anything.
"""

import asyncio
from typing import cast

from bench.servers import options

# uvloop's default low-water mark is 16 bytes (`FLOW_CONTROL_HIGH_WATER // 4` without the factor 1024), which
# resumes only when the buffer is empty; so both marks are always set.
HIGH_WATER_BYTES = 64 * 1024
LOW_WATER_BYTES = 16 * 1024


class Half(asyncio.Protocol):
    """One side of a pair; writes what it reads into its peer."""

    __slots__ = ("ended", "peer", "transport")

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.peer: Half | None = None
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's TCP transport has the interface of asyncio.Transport without inheriting it.
        transport = cast("asyncio.Transport", transport)
        transport.set_write_buffer_limits(high=HIGH_WATER_BYTES, low=LOW_WATER_BYTES)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.write(data)

    def eof_received(self) -> bool:
        """Pass a half-close on; the second one closes both (False lets the event loop close this side)."""
        self.ended = True
        if self.peer is None or self.peer.transport is None or self.transport is None:
            return True
        if self.peer.ended or not (self.transport.can_write_eof() and self.peer.transport.can_write_eof()):
            return False
        self.peer.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        peer, self.peer, self.transport = self.peer, None, None
        if peer is not None and peer.transport is not None:
            peer.peer = None
            peer.transport.close()


class Client(Half):
    """The accepted side; holds what it reads until the upstream connection stands."""

    __slots__ = ("dial", "early", "port")

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port
        self.early: list[bytes] = []
        self.dial: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.dial = asyncio.get_running_loop().create_task(self._dial(), name="dial")

    async def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, upstream = await loop.create_connection(Half, options.LOOPBACK, self.port)
        except OSError:
            if self.transport is not None:
                self.transport.abort()
            return
        if self.transport is None:
            assert upstream.transport is not None
            upstream.transport.abort()
            return
        self.peer, upstream.peer = upstream, self
        if self.early:
            assert upstream.transport is not None
            upstream.transport.write(b"".join(self.early))
            self.early.clear()
        if self.ended:
            super().eof_received()
        self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self.peer is not None:
            super().data_received(data)
            return
        self.early.append(data)
        assert self.transport is not None
        self.transport.pause_reading()


async def main() -> None:
    arguments = options.ports("a relay that parses nothing", upstream=True)
    await options.serve(lambda: Client(arguments.upstream), arguments.listen, arguments.tls)


if __name__ == "__main__":
    options.run(main())
