"""Connecting to the model: every known address in order, again with a short back-off while nothing was sent.

The upstream is dialled from the local address to which the client came, so that no server takes a remote client for
loopback and trusts its `X-Forwarded-For`.
"""

import asyncio
import errno
import socket
from typing import TYPE_CHECKING

from exporter.proxy.plane import Plane

if TYPE_CHECKING:
    from exporter.proxy.pair import Pair

_FIRST_DELAY, _LAST_DELAY = 0.05, 0.2
_IP_BIND_ADDRESS_NO_PORT = 24  # Linux: the port is chosen at connect, so ports are not used up


async def dial(plane: Plane, pair: "Pair") -> None:
    """Ends in `pair.connected` (through the protocol) or `pair.unreachable`; cancelled when the client leaves."""
    loop = plane.loop
    deadline = loop.time() + plane.settings.connect_timeout
    delay = _FIRST_DELAY
    source = _source(plane, pair)
    while True:
        sock: socket.socket | None = None
        try:
            async with asyncio.timeout_at(deadline):
                for family, address in await pair.destination.addresses():
                    sock = await _attempt(loop, family, address, source)
                    if sock is not None:
                        break
        except (OSError, TimeoutError):
            pass
        if sock is not None and await _hand_over(loop, pair, sock):
            return
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
    return (
        "" if host in ("127.0.0.1", "::1") else host
    )  # what the kernel would choose for a model on loopback


def _fits(source: str, family: int, host: str) -> bool:
    """Whether that source can reach that address: the family is the same, and loopback only reaches loopback."""
    if not source or (":" in source) != (family == socket.AF_INET6):
        return False
    return not source.startswith("127.") or host.startswith("127.")


async def _attempt(
    loop: asyncio.AbstractEventLoop, family: int, address: tuple[str, int], source: str
) -> socket.socket | None:
    """A connected socket, or None if that address refuses."""
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        if _fits(source, family, address[0]):
            sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((source, 0))
        try:
            # On loopback the handshake is over when connect returns; the loop is only asked when it is not.
            sock.connect(address)
        except BlockingIOError:
            await _established(loop, sock, address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        sock.close()
        return None
    except asyncio.CancelledError:
        sock.close()
        raise
    return sock


async def _established(
    loop: asyncio.AbstractEventLoop, sock: socket.socket, address: tuple[str, int]
) -> None:
    try:
        await loop.sock_connect(sock, address)
    except OSError as error:
        # The handshake ended between the two calls.
        if error.errno != errno.EISCONN:
            raise


async def _hand_over(loop: asyncio.AbstractEventLoop, pair: "Pair", sock: socket.socket) -> bool:
    """Make the socket the pair's upstream; False if the loop does not take it.

    From here on nothing cancels: half way through it would be unclear whose the descriptor is.
    """
    pair.dialled()
    try:
        transport, _ = await loop.create_connection(pair.side, sock=sock)
    except OSError:
        sock.close()
        return False
    if transport.is_closing():
        # uvloop closed the descriptor without telling the socket object, which would later close it again: by then
        # the number may be another connection's.
        sock.detach()
    return True
