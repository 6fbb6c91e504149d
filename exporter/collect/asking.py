"""One question to the upstream: connect, speak TLS where it does, GET a path, read the head of the answer.

It goes to the upstream itself, not through the proxy: it is no traffic. A redirect is not followed, a body is not read,
a head is read up to a bound; whatever is no answer 2xx is one of REASONS. Knows no metric and keeps nothing but a
search for a name that is still under way: a resolver that hangs is asked once.
"""

import asyncio
import re
import socket
import ssl
import struct
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any, Final

from exporter import __version__
from exporter.collect.contract import Place

# Why a probe failed; the order is that of the series.
REASONS: Final = (
    *("dns", "refused", "unreachable", "timeout", "reset", "tls", "closed"),
    *("redirect", "status", "malformed"),
)
MAX_HEAD: Final = 16 << 10
_INTERIM: Final = 8  # answers 1xx before the final one
_ADDRESSES: Final = 4  # of one name that are tried
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})(?: [^\r\n]*)?\r\n")
# struct tcp_info of Linux: eight bytes, then words; the smoothed round trip in microseconds is the sixteenth of them.
_ROUND_TRIP_AT: Final = 68


class Failure(Exception):
    """No answer 2xx; `reason` is one of REASONS, `status` the answer's if there was one."""

    def __init__(self, reason: str, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.reason = reason
        self.status = status


@dataclass(slots=True)
class Times:
    """Seconds, filled in as far as it came: to connect, and the kernel's estimate of the round trip."""

    connect: float | None = None
    round_trip: float | None = None


class Asking:
    """`ask` at any interval, one at a time, from an event loop."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._search: asyncio.Future[list[Any]] | None = None

    @property
    def searching(self) -> bool:
        """Whether a name is being looked up."""
        return self._search is not None

    async def ask(self, place: Place, times: Times) -> None:
        """The place answers 2xx, or with a path of "" it takes connections. Failure if not."""
        try:
            sock = await self._connected(place, times)
            try:
                await _spoken(sock, place, times)
            finally:
                sock.close()
        except Failure:
            raise
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            raise Failure(reason_of(error), f"{place}: {error or type(error).__name__}") from error

    async def _connected(self, place: Place, times: Times) -> socket.socket:
        last: OSError = OSError("no address")
        for family, address in await self._addresses(place):
            try:
                return await self._dialled(family, address, times)
            except OSError as error:
                last = error
        raise last

    async def _dialled(self, family: int, address: Any, times: Times) -> socket.socket:
        with ExitStack() as undo:
            sock = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
            sock.setblocking(False)
            start = self._clock()
            await asyncio.get_running_loop().sock_connect(sock, address)
            times.connect = self._clock() - start
            undo.pop_all()
            return sock

    async def _addresses(self, place: Place) -> list[tuple[int, Any]]:
        if isinstance(place.address, str):
            return [(socket.AF_UNIX, place.address)]
        try:
            # What is no name needs no thread, which may wait long for its turn.
            return [(each[0], each[4]) for each in _resolved(*place.address, socket.AI_NUMERICHOST)]
        except (OSError, UnicodeError):
            pass
        if self._search is None:
            resolve = partial(_resolved, *place.address)
            self._search = asyncio.get_running_loop().run_in_executor(None, resolve)
        # Shielded: an executor's thread cannot be stopped, and a second one would hang beside it.
        try:
            found = await asyncio.shield(self._search)
        except (OSError, UnicodeError) as error:
            self._search = None
            raise Failure("dns", f"{place}: {error}") from error
        self._search = None
        return [(each[0], each[4]) for each in found[:_ADDRESSES]]


def _resolved(host: str, port: int, flags: int = 0) -> list[Any]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)


async def _spoken(sock: socket.socket, place: Place, times: Times) -> None:
    tls: dict[str, Any] = {}
    if place.tls is not None:
        try:
            context = await asyncio.to_thread(place.tls)
        except OSError as error:
            raise Failure("tls", f"{place}: {error}") from error
        tls = {"ssl": context, "server_hostname": place.server_name or place.address[0]}
    times.round_trip = round_trip(sock)
    if not place.path and not tls:
        return
    # The transport closes what it is given; the caller's own descriptor stays for the question about round trips.
    reader, writer = await asyncio.open_connection(sock=sock.dup(), limit=MAX_HEAD, **tls)
    try:
        if place.path:
            writer.write(_head(place))
            await _answered(reader, place)
        times.round_trip = round_trip(sock)
    finally:
        writer.transport.abort()


def _head(place: Place) -> bytes:
    lines = (
        f"GET {place.path} HTTP/1.1",
        f"Host: {_authority(place)}",
        f"User-Agent: modeltap/{__version__}",
        "Accept: */*",
        "Connection: close",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _authority(place: Place) -> str:
    if isinstance(place.address, str):
        return "localhost"
    host, port = place.address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _answered(reader: asyncio.StreamReader, place: Place) -> None:
    for _ in range(_INTERIM):
        head = await reader.readuntil(b"\r\n\r\n")
        found = _STATUS.match(head)
        if found is None:
            raise Failure("malformed", f"{place}: no HTTP/1 answer: {head[:40]!r}")
        status = int(found[1])
        if status < 200:
            continue
        if status < 300:
            return
        reason = "redirect" if status < 400 else "status"
        raise Failure(reason, f"{place}: status {status}, expected 2xx", status)
    raise Failure("malformed", f"{place}: more than {_INTERIM} interim answers")


def reason_of(error: BaseException) -> str:
    """The word for what an event loop raises."""
    # In this order: the first three are OSErrors as well.
    if isinstance(error, ssl.SSLError):
        return "tls"
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ConnectionRefusedError | FileNotFoundError):
        return "refused"
    if isinstance(error, ConnectionError):
        return "reset"
    if isinstance(error, asyncio.IncompleteReadError):
        return "malformed" if error.partial else "closed"
    if isinstance(error, OSError):
        return "unreachable"
    return "malformed"


def round_trip(sock: socket.socket) -> float | None:
    """The kernel's smoothed estimate in seconds; None where there is none: no TCP, no Linux."""
    option = getattr(socket, "TCP_INFO", None)
    if option is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, option, _ROUND_TRIP_AT + 4)
    except OSError:
        return None
    if len(info) < _ROUND_TRIP_AT + 4:
        return None
    microseconds: int = struct.unpack_from("=I", info, _ROUND_TRIP_AT)[0]
    return microseconds / 1e6
