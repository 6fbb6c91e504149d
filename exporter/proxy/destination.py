"""Where one listener leads, and at which addresses that is now.

A name is asked for at the start and every 30 s from then on, in a thread of its own; the last good answer serves
meanwhile, and serves on while the resolver is dead. Only one question is under way at a time, however long it takes.
A literal address or a path is never asked for.
"""

import asyncio
import logging
import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from exporter.proxy.settings import Upstream

log = logging.getLogger(__name__)

REFRESH_SECONDS = 30.0
# Where every address failed it may have changed; a resolver is asked for that at most so often.
ASK_AGAIN_SECONDS = 0.2
_QUIET_SECONDS = 10.0
# Family, and what `connect` takes: (host, port), with flow label and scope in IPv6, or a path.
Address = tuple[int, tuple[str | int, ...] | str]


class Notice:
    """Something that should not be: one line in the log per change of it, and no more than one in ten seconds."""

    __slots__ = ("_said", "_said_at", "_subject")

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._said = ""
        self._said_at = float("-inf")

    def tell(self, what: str, now: float) -> None:
        """`what` is the matter at `now`, in seconds of any clock that does not go back; "" if nothing is."""
        if what and (what == self._said or now - self._said_at < _QUIET_SECONDS):
            return
        if what:
            self._said_at = now
            log.warning("%s: %s", self._subject, what)
        elif self._said:
            log.info("%s: works again", self._subject)
        self._said = what


class Destination:
    """One per listener and worker. `start`, then `close`; `close` is safe twice and without `start`."""

    def __init__(self, upstream: Upstream, loop: asyncio.AbstractEventLoop) -> None:
        self.upstream = upstream
        # In the order in which to try; replaced as a whole, never changed; empty before the first answer.
        self.addresses: tuple[Address, ...] = _literal(upstream)
        self.handshake = Notice(f"TLS to the upstream {name(upstream)}")
        self._loop = loop
        self._named = not self.addresses
        self._naming = Notice(f"the name of the upstream {name(upstream)}")
        self._asking = False
        self._asked = float("-inf")
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def start(self) -> None:
        """Ask for the name now and every 30 s, without waiting for an answer."""
        if self._named and self._timer is None and not self._closed:
            self._refresh()

    def _refresh(self) -> None:
        self._timer = self._loop.call_later(REFRESH_SECONDS, self._refresh)
        self._ask()

    def failed(self) -> None:
        """No address could be reached, or none is known: ask again, unless that was just done."""
        if self._named and self._loop.time() - self._asked >= ASK_AGAIN_SECONDS:
            self._ask()

    def _ask(self) -> None:
        if self._asking or self._closed:
            return
        self._asking = True
        self._asked = self._loop.time()
        # A daemon: neither the end of the process nor the loop's own threads wait for a resolver that hangs.
        thread = threading.Thread(target=self._resolve, name="resolver", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the limit on threads is reached
            self._answer((), str(error))

    def _resolve(self) -> None:
        """In the thread: nothing but the question."""
        upstream = self.upstream
        trouble = ""
        found: tuple[Address, ...] = ()
        try:
            answers = socket.getaddrinfo(upstream.host, upstream.port, type=socket.SOCK_STREAM)
            found = _addresses(answers)
        except (OSError, UnicodeError) as error:  # a label that is too long is a UnicodeError
            trouble = getattr(error, "strerror", None) or str(error)
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._answer, found, trouble)

    def _answer(self, found: tuple[Address, ...], trouble: str) -> None:
        self._asking = False
        if self._closed:
            return
        if found:
            self.addresses = found
        elif self.addresses:
            trouble += "; the last good answer serves on"
        self._naming.tell(trouble, self._loop.time())

    def close(self) -> None:
        """Ask nobody any more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def name(upstream: Upstream) -> str:
    """As a person writes it."""
    return upstream.path or f"{upstream.host}:{upstream.port}"


def _literal(upstream: Upstream) -> tuple[Address, ...]:
    """The address of a path or of an IP address; none for a name."""
    if upstream.path:
        return ((socket.AF_UNIX, upstream.path),)
    try:
        found = socket.getaddrinfo(
            upstream.host, upstream.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )
    except (OSError, UnicodeError):
        return ()
    return _addresses(found)


def _addresses(answers: Iterable[tuple[Any, ...]]) -> tuple[Address, ...]:
    return tuple((int(family), where) for family, _, _, _, where in answers)
