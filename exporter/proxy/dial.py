"""Connecting to the model: every known address in order, again with a short back-off while nothing was sent.

The upstream is dialled from the local address to which the client came, so that no server takes a remote client for
loopback and trusts its `X-Forwarded-For`.
"""

import asyncio
import socket
from typing import TYPE_CHECKING

from exporter.proxy.plane import Plane

if TYPE_CHECKING:
    from exporter.proxy.pair import Pair

_FIRST_DELAY, _LAST_DELAY = 0.05, 0.2
_IP_BIND_ADDRESS_NO_PORT = 24  # Linux: the port is chosen at connect, so ports are not used up


async def dial(plane: Plane, pair: "Pair") -> None:
    """Ends in `pair.connected` (through the protocol) or `pair.unreachable`."""
    loop = plane.loop
    deadline = loop.time() + plane.settings.connect_timeout
    delay = _FIRST_DELAY
    source = _source(plane, pair)
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                for family, address in await plane.addresses():
                    if await _attempt(loop, pair, family, address, source):
                        return
        except (OSError, TimeoutError):
            pass
        if loop.time() + delay >= deadline:
            pair.unreachable()
            return
        await asyncio.sleep(delay)
        delay = min(delay * 2, _LAST_DELAY)


def _source(plane: Plane, pair: "Pair") -> str:
    """The address to bind, or "" for any."""
    if plane.settings.upstream_source != "client" or pair.client is None:
        return ""
    name = pair.client.get_extra_info("sockname")
    host: str = name[0] if isinstance(name, tuple) else ""
    host = host.removeprefix("::ffff:")
    return "" if host.startswith("127.") or host == "::1" else host


async def _attempt(
    loop: asyncio.AbstractEventLoop, pair: "Pair", family: int, address: tuple[str, int], source: str
) -> bool:
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        if source and (":" in source) == (family == socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((source, 0))
        try:
            # On loopback the handshake is over when connect returns; the loop is only asked when it is not.
            sock.connect(address)
        except BlockingIOError:
            await loop.sock_connect(sock, address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.create_connection(pair.side, sock=sock)
    except OSError:
        sock.close()
        return False
    except asyncio.CancelledError:
        if pair.upstream is None:
            sock.close()
        raise
    return True
