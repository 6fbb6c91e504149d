"""Where one listener leads, and at which addresses that is now.

A name is asked for at the first connection and every 30 s from then on, off the loop's thread; the last good answer
serves meanwhile, and serves on while the resolver is dead.
"""

import asyncio
import socket
from contextlib import suppress

from exporter.proxy.settings import Upstream

RESOLVE_SECONDS = 30.0
Address = tuple[int, tuple[str, int]]  # family, (host, port)


class Destination:
    """One per listener and worker. `close` is safe twice."""

    def __init__(self, upstream: Upstream, loop: asyncio.AbstractEventLoop) -> None:
        self.upstream = upstream
        self._loop = loop
        self._addresses: list[Address] = []
        self._resolved = 0.0
        self._resolving: asyncio.Task[None] | None = None

    async def addresses(self) -> list[Address]:
        """Where the upstream is now, in the order in which to try. OSError if nobody knows."""
        now = self._loop.time()
        if not self._addresses:
            self._resolved = now
            await self._resolve()
        elif now - self._resolved > RESOLVE_SECONDS:
            self._resolved = now
            self._resolving = self._loop.create_task(self._refresh())
        return self._addresses

    async def _resolve(self) -> None:
        found = await self._loop.getaddrinfo(self.upstream.host, self.upstream.port, type=socket.SOCK_STREAM)
        self._addresses = [(int(kind), (str(where[0]), int(where[1]))) for kind, _, _, _, where in found]

    async def _refresh(self) -> None:
        # The resolver is the operator's to watch; the last good answer serves on.
        with suppress(OSError):
            await self._resolve()

    def close(self) -> None:
        """Ask nobody any more."""
        if self._resolving is not None:
            self._resolving.cancel()
            self._resolving = None
