"""The health port: /livez, /readyz, /wait-for-drain and POST /drain, answered by the root process itself.

Readiness means: listeners bound and not draining. Never the model and never the analysis: a native sidecar that waits
for the model keeps the model from being started. Whoever connects is bounded in bytes, time and number, and the slow
make room for the new: nobody can keep a probe from being answered. Only who is on this host may begin a drain.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any, cast

_PATHS = "/livez, /readyz or /wait-for-drain"
_REASONS = {
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a client of the health port may take."""

    head_bytes: int = 8192
    head_seconds: float = 5.0
    connections: int = 64
    waiting: int = 16  # of them for a drain; more are refused
    notice_seconds: float = 2.0  # in which a drain has to begin to be waited for; a client may say how long
    longest_notice: int = 60


class HealthState:
    """What the answers are made of, and who is connected. Set `draining` before `finish`.

    `drain` is called at every POST /drain; it must be safe to call again.
    """

    def __init__(self, bounds: Bounds | None = None, drain: Callable[[], None] = lambda: None) -> None:
        self.drain = drain
        self.ready = False
        self.draining = False
        self.drained = False
        self.bounds = bounds or Bounds()
        self._connections: dict[Health, None] = {}  # oldest first
        self._waiting: set[Health] = set()

    def admit(self, connection: "Health") -> None:
        """A new connection; the oldest that has not asked yet gives way when there are too many."""
        self._connections[connection] = None
        if len(self._connections) > self.bounds.connections:
            idle = (one for one in self._connections if one not in self._waiting)
            next(idle).give_way()

    def leave(self, connection: "Health") -> None:
        """It is gone. Safe twice."""
        self._connections.pop(connection, None)
        self._waiting.discard(connection)

    def wait(self, connection: "Health") -> bool:
        """Have `connection.drained` called at the end of the drain; False if too many wait already."""
        if len(self._waiting) >= self.bounds.waiting:
            return False
        self._waiting.add(connection)
        return True

    def finish(self) -> None:
        """The last exchange of the drain is over. Safe twice."""
        self.drained = True
        waiting, self._waiting = self._waiting, set()
        for connection in waiting:
            connection.drained()


class Health(asyncio.Protocol):
    """A few lines of HTTP/1.1: one request per connection, no body read."""

    def __init__(self, state: HealthState) -> None:
        # per connection
        self._state = state
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._head = b""
        self._asked = False
        self._bare = False  # HEAD

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A probe connects."""
        # uvloop's transports derive from none of asyncio's
        self._transport = cast(asyncio.Transport, transport)
        self._state.admit(self)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._state.bounds.head_seconds, self.give_way)

    def connection_lost(self, exc: Exception | None) -> None:
        """It left."""
        self._transport = None
        self._stop_timer()
        self._state.leave(self)

    def give_way(self) -> None:
        """Too slow, or too many: no answer."""
        if self._transport is not None:
            self._transport.abort()
        self._state.leave(self)

    def drained(self) -> None:
        """The drain that was waited for is over."""
        self._answer(200, "drained")

    def data_received(self, data: bytes) -> None:
        """Answer once the head is complete; what follows is nothing to us."""
        if self._asked:
            return
        self._head += data
        if len(self._head) > self._state.bounds.head_bytes:
            self._answer(431, "head too large")
        elif b"\r\n\r\n" in self._head:
            words = self._head.partition(b"\r\n")[0].decode("latin-1").split(" ")
            path, _, query = words[1].partition("?") if len(words) == 3 else ("", "", "")
            expected = "POST" if path == "/drain" else "GET"
            if len(words) != 3 or not words[2].startswith("HTTP/1."):
                self._answer(400, f"expected GET {_PATHS} in HTTP/1.1")
            elif words[0] != expected and (words[0] != "HEAD" or expected == "POST"):
                self._answer(405, f"expected {expected}, found {words[0]!a}")
            elif expected == "POST":
                self._drain()
            else:
                self._bare = words[0] == "HEAD"
                self._route(path, query)

    def _route(self, path: str, query: str) -> None:
        state = self._state
        if path == "/livez":
            self._answer(200, "ok")
        elif path == "/readyz":
            ready = state.ready and not state.draining
            self._answer(*(200, "ok") if ready else (503, "draining" if state.draining else "not ready"))
        elif path == "/wait-for-drain":
            self._wait(query)
        else:
            self._answer(404, f"not found: expected {_PATHS}")

    def _drain(self) -> None:
        state = self._state
        if not _from_here(self._transport):
            self._answer(403, "a drain is begun from loopback only")
        elif b"\r\norigin:" in self._head.lower():
            # A browser on this host sends what any page tells it to.
            self._answer(403, "a drain is not begun by a page")
        else:
            state.drain()
            self._answer(*(200, "drained") if state.drained else (202, "draining"))

    def _wait(self, query: str) -> None:
        state = self._state
        notice = state.bounds.notice_seconds
        if query:
            # A hook that begins the drain from another process needs longer than a signal does.
            name, _, value = query.partition("=")
            if name != "notice" or not value.isascii() or not value.isdigit():
                self._answer(400, f"expected ?notice=SECONDS, a whole number, found ?{query[:80]!a}")
                return
            notice = min(int(value[:9]), state.bounds.longest_notice)
        if state.drained:
            self._answer(200, "drained")
        elif not state.wait(self):
            self._answer(503, f"{state.bounds.waiting} clients wait for the drain already")
        else:
            self._asked = True
            self._stop_timer()
            if not state.draining:
                # Only the model's container restarts: it must not be held up for a drain that never comes.
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(notice, self._unnoticed)

    def _unnoticed(self) -> None:
        if not self._state.draining:
            self._answer(200, "not draining")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _answer(self, status: int, text: str) -> None:
        self._asked = True
        self._head = b""
        if self._transport is None or self._transport.is_closing():
            return
        body = f"{text}\n".encode()
        head = (
            f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: text/plain\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        self._transport.write(head.encode() + (b"" if self._bare else body))
        self._transport.close()


def _from_here(transport: asyncio.Transport | None) -> bool:
    """Whether the peer is this host: on loopback, or at the very address to which it connected."""
    if transport is None:
        return False
    peer, own = (_host(transport.get_extra_info(name)) for name in ("peername", "sockname"))
    return peer is not None and (peer.is_loopback or peer == own)


def _host(name: Any) -> Any:
    """The address in a socket's name; of one mapped into IPv6 the IPv4 address."""
    try:
        found = ip_address(name[0].partition("%")[0])
    except (TypeError, IndexError, AttributeError, ValueError):
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found
