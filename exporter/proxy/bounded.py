"""One connection pair as time sees it: what may be over, and when to look. The pair adds the bytes.

No timer of its own: a pair sits in the plane's wheel while something may be over. A bound measures progress, so a slow
peer is not a dead one, and nothing ends an exchange at which the model still works.
"""

import asyncio
import fcntl
import sys
import termios
from time import monotonic_ns
from typing import Final

from exporter.proxy import sockets
from exporter.proxy.plane import Plane
from exporter.proxy.refusals import SLOW_HEAD, Refusal
from exporter.proxy.tap import Tap

# Phases.
NEW: Final = 0
HTTP: Final = 1
RELAY: Final = 2
CLOSING: Final = 3
# Sides that take no more for now.
CLIENT_SIDE: Final = 1
UPSTREAM_SIDE: Final = 2
LINGER: Final = 2_000_000_000  # nanoseconds
GLANCE: Final = 1_000_000_000  # between two looks at a side that takes nothing
_NEVER: Final = 1 << 62


class Bounded:
    """`due` is asked by the wheel; everything else by the pair."""

    __slots__ = (
        *("plane", "client", "upstream", "tap", "slot", "_phase", "_opened", "_received", "_sent"),
        *("_client_eof", "_upstream_eof", "_counted", "_full", "_waiting", "_taken_at", "_seen", "_seen_at"),
    )

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self.client: asyncio.Transport | None = None
        self.upstream: asyncio.Transport | None = None
        self.tap: Tap | None = None
        self.slot = 0  # of the wheel of deadlines
        self._phase = NEW
        self._opened = monotonic_ns()
        self._received = self._sent = 0
        self._client_eof = self._upstream_eof = self._counted = False
        # What is measured by: bytes that a full side still has to take, and progress as last seen.
        self._full = 0
        self._waiting = 0
        self._taken_at = 0
        self._seen = 0
        self._seen_at = self._opened

    def abort(self) -> None:
        """Reset both sides."""
        raise NotImplementedError

    def refuse(self, refusal: Refusal, bodiless: bool = False) -> None:
        """Answer locally, then close with a linger."""
        raise NotImplementedError

    def _bound(self, now: int, bound: int) -> None:
        """Something may be over in `bound` nanoseconds; 0: never."""
        if bound:
            self.plane.deadlines.put(self, now + bound)

    def _progress_from_now(self, bound: int) -> None:
        self._seen, self._seen_at = self._received + self._sent, monotonic_ns()
        self._bound(self._seen_at, bound)

    def _filled(self, side: int, full: bool, now: int) -> None:
        self._full = self._full | side if full else self._full & ~side
        if full:
            self._taken_at, self._waiting = now, -1
            self.plane.deadlines.put(self, now + GLANCE)

    def head_begins(self, now: int) -> None:
        """The tap holds the beginning of a head."""
        self._bound(now, self.plane.bounds.header)

    def forgive(self, stood: int) -> None:
        """The process stood still for so many nanoseconds: they count for no bound."""
        self._seen_at += stood
        self._taken_at += stood
        if self.tap is not None:
            self.tap.held_since += stood

    def due(self, now: int) -> int:
        """End what is over; when to ask again, 0 for never."""
        if self._counted:
            return 0
        if self._phase == CLOSING:
            if now < self._seen_at + LINGER:
                return self._seen_at + LINGER
            self._end()
            return 0
        again = min(self._due_full(now), self._due_quiet(now), self._due_head(now))
        return 0 if again == _NEVER or self._phase == CLOSING or self._counted else again

    def _due_full(self, now: int) -> int:
        """A side that takes nothing, or a client that sends no more: is it gone unseen? Was nothing taken for long?"""
        if not (self._full or self._client_eof):
            return _NEVER
        if sockets.gone(self.client):
            self._lose("abort", now)
            return _NEVER
        if not self._full:
            return now + GLANCE
        waiting = _waiting(self.client) + _waiting(self.upstream)
        if waiting != self._waiting:
            self._waiting, self._taken_at = waiting, now
        elif self.plane.bounds.write and now >= self._taken_at + self.plane.bounds.write:
            self._over("write")
            self._lose("abort" if self._full & CLIENT_SIDE else "timeout", now)
            return _NEVER
        return now + GLANCE

    def _due_quiet(self, now: int) -> int:
        """No progress: of a half-closed connection, of a tunnel, between two exchanges."""
        bounds, tap = self.plane.bounds, self.tap
        half = self._client_eof or self._upstream_eof
        busy = tap is not None and tap.busy
        if half:
            reason, bound = "half_closed", bounds.half_closed
        elif self._phase == RELAY:
            reason, bound = "tunnel", bounds.tunnel
        elif self._phase == HTTP and not busy:
            reason, bound = "idle", bounds.idle
        else:
            return now + bounds.idle if bounds.idle else _NEVER
        if not bound:
            return _NEVER
        if self._received + self._sent != self._seen:
            self._seen, self._seen_at = self._received + self._sent, now
        elif now >= self._seen_at + bound:
            # A model may compute for longer than any bound; but once it sends no more, nothing can end any more.
            if half and busy and not self._upstream_eof:
                self._seen_at = now
            else:
                self._over(reason)
                self._end()
                return _NEVER
        return min(self._seen_at + bound, now + bound // 4 + 1)

    def _due_head(self, now: int) -> int:
        """A head that does not become whole."""
        bound, tap = self.plane.bounds.header, self.tap
        if not bound or self._client_eof or self._phase not in (NEW, HTTP):
            return _NEVER
        if tap is None:
            since = self._seen_at  # nothing was followed yet: since it was opened
        elif tap.holding and not tap.busy:
            since = tap.held_since
        else:
            return now + bound if tap.holding else _NEVER
        if now < since + bound:
            return since + bound
        self._over("header")
        if tap is None:
            self._end()
        else:
            self.refuse(SLOW_HEAD)
        return _NEVER

    def _lose(self, error: str, now: int) -> None:
        """Reset both sides; what was under way ends by that error."""
        if self.tap is not None:
            self.tap.lost(error, now)
        self.abort()

    def _over(self, reason: str) -> None:
        self.plane.totals.count("timeouts", reason)

    def _end(self) -> None:
        self._phase = CLOSING
        sockets.end(self.client)
        sockets.end(self.upstream)


def _waiting(transport: asyncio.Transport | None) -> int:
    """Bytes that the peer has not taken yet: in the transport's buffer and in the kernel's."""
    if transport is None or transport.is_closing():
        return 0
    sock = transport.get_extra_info("socket")
    try:
        kernel = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
    except (AttributeError, OSError, ValueError):
        kernel = b""
    return transport.get_write_buffer_size() + int.from_bytes(kernel, sys.byteorder)
