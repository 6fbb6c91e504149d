"""Asking for the token usage of a stream whose client did not ask, and hiding from that client what comes of it.

By the owner's wish only (`include_usage`), and never in mode observe. Stands between a client and its tap: what follows
behind it, the tap included, sees a request that asks. Only a request that is certain gets the option: it comes when
nothing else is under way, its body is whole within a moment, small, JSON, and not signed. Everything else goes on as it
came, and so does an answer that is not what was expected. Each outcome is counted.
"""

import asyncio
import logging
import re
from collections.abc import Callable
from time import monotonic_ns
from typing import Final

from exporter.proxy.asked import MAX_ASKED, with_usage
from exporter.proxy.hidden import Hidden
from exporter.proxy.plane import Plane
from exporter.wire.head import LENGTH, Ambiguous, RequestHead

log = logging.getLogger(__name__)
HOLD_SECONDS: Final = 1.0  # that a body may take to become whole
OPERATIONS: Final = frozenset({"chat", "completion"})
# Fields that tell the body's bytes, or that it should wait.
_UNTOUCHABLE: Final = re.compile(
    rb"(?i)\n(?:expect|trailer|content-encoding|content-md5|digest|(?:content|repr)-digest|signature(?:-input)?"
    rb"|x-amz-content-sha256):|\nauthorization:[ \t]*AWS4"
)
_CONTENT_LENGTH: Final = re.compile(rb"(?i)(\ncontent-length:[ \t]*)[0-9]+")


class Asker:
    """One per connection. `request` and `answer` return what shall go on in place of what came."""

    __slots__ = ("_held", "_hidden", "_need", "_release", "_timer", "plane")

    def __init__(self, plane: Plane, release: Callable[[], None]) -> None:
        """`release` is called when what is held has waited long enough: it takes it with `let_go`."""
        self.plane = plane
        self._release = release
        self._held = bytearray()
        self._need = 0
        self._timer: asyncio.TimerHandle | None = None
        self._hidden: Hidden | None = None

    @property
    def holding(self) -> bool:
        """Whether a request waits for the rest of its body."""
        return len(self._held) > 0

    def request(self, data: bytes, busy: bool) -> bytes:
        """Bytes from the client, b"" while they are held; `busy`: they begin no request, or others are under way."""
        try:
            return self._request(data, busy)
        except Exception:
            log.exception("usage could not be asked for; the request goes on as it came")
            self.plane.totals.count("usage", "given_up")
            return self.let_go("") or data

    def _request(self, data: bytes, busy: bool) -> bytes:
        if self._held:
            self._held += data
            if len(self._held) < self._need:
                return b""
            return self._asking(self.let_go(""))
        if busy or self._hidden is not None or not data.startswith(b"POST "):
            return data
        self._need = self._size(data)
        if not self._need:
            return data
        if len(data) >= self._need:
            return self._asking(data)
        if 0 < self.plane.bounds.idle < 2e9 * HOLD_SECONDS:
            return data  # the wait would look like idleness
        self._held += data
        self._timer = self.plane.loop.call_later(HOLD_SECONDS, self._late)
        return b""

    def let_go(self, reason: str = "not_whole") -> bytes:
        """What is held, as it came."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._held:
            return b""
        if reason:
            self.plane.totals.count("usage", reason)
        held = bytes(self._held)
        self._held.clear()
        return held

    def _late(self) -> None:
        self._timer = None
        self._release()

    def _size(self, data: bytes) -> int:
        """Bytes of the request's head and body, if it is one that may get the option; else 0."""
        end = data.find(b"\r\n\r\n") + 4
        if end < 4 or not self.plane.include_usage or monotonic_ns() < self.plane.usage_off_until:
            return 0
        try:
            head = RequestHead(data[:end])
        except Ambiguous:
            return 0
        if head.framing is not LENGTH or head.length > MAX_ASKED or head.minor == 0 or head.upgrades:
            return 0
        route = self.plane.labels.labelled(head.method, head.target).route
        if route.protocol != "openai" or route.operation not in OPERATIONS:
            return 0
        if _UNTOUCHABLE.search(head.raw) is not None:
            self.plane.totals.count("usage", "untouchable")
            return 0
        return end + head.length

    def _asking(self, data: bytes) -> bytes:
        end = data.find(b"\r\n\r\n") + 4
        body = with_usage(data[end : self._need])
        if not body:
            return data
        self.plane.totals.count("usage", "asked")
        self._hidden = Hidden(self.plane)
        head = _CONTENT_LENGTH.sub(rb"\g<1>%d" % len(body), data[:end])
        return head + body + data[self._need :]

    def answer(self, data: bytes) -> bytes:
        """Bytes for the client, without the usage that it did not ask for."""
        hidden = self._hidden
        if hidden is None:
            return data
        try:
            told = hidden.feed(data)
        except Exception:
            log.exception("usage could not be hidden; the answer goes on as it comes")
            self.plane.totals.count("usage", "given_up")
            self._hidden = None
            return data
        if hidden.over:
            self._hidden = None
        return told

    def end(self) -> bytes:
        """The answers end here, whatever was under way: what of them was kept back."""
        hidden, self._hidden = self._hidden, None
        return hidden.end() if hidden is not None else b""
