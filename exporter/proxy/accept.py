"""Accepting clients: as many at once as allowed; who comes then waits in the kernel, neither lost nor polled for.

Connections are accepted here rather than by the event loop's own server: at the limit on descriptors libuv accepts
those who wait and closes them. Over the bound no listener is watched at all, until a client leaves.
"""

import asyncio
import ctypes
import errno
import logging
import resource
import select
import socket
import struct
from contextlib import suppress

from exporter.proxy.destination import Destination
from exporter.proxy.handover import ACCEPTING, PLAIN, Handover
from exporter.proxy.pair import Pair
from exporter.proxy.plane import Plane
from exporter.proxy.sides import client_side
from exporter.proxy.tls import failure

log = logging.getLogger("modeltap")
# Descriptors that are not clients': health probes (64 at most), listeners, the channels to other processes, files.
RESERVE = 96
# How soon it is asked, while clients wait, whether one left; the second where nobody knows what gives descriptors back.
POLL_SECONDS, RETRY_SECONDS = 0.01, 0.25
_BATCH = 32  # clients per turn of the loop, so that those who are served get theirs
_MANY = 1 << 20
# What accept(2) tells of a connection that is gone already, or that a firewall forbids.
_GONE = (
    *(errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.ENETDOWN, errno.ENETUNREACH, errno.ENOPROTOOPT),
    *(errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENONET, errno.EOPNOTSUPP, errno.EINTR),
)
_SO_ATTACH_FILTER = 26
# Classic BPF over the TCP header: of byte 13 keep SYN and ACK; SYN alone is dropped, all else passes.
_NO_SYN = (
    (0x30, 0, 0, 13),
    (0x54, 0, 0, 0x12),
    (0x15, 0, 1, 0x02),
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 0xFFFFFFFF),
)


def most_clients(configured: int) -> int:
    """How many clients at once: what is configured, and never more than descriptors allow; each takes two."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = max(1, (soft - RESERVE) // 2) if soft != resource.RLIM_INFINITY else _MANY
    return min(configured, allowed) if configured else allowed


class Acceptor:
    """All listeners of one worker. `start`, then `finish` until it is True, or `close`; `close` is safe twice."""

    def __init__(self, plane: Plane) -> None:
        self.limit = most_clients(plane.settings.max_connections)
        self.paused = ""  # the reason
        self._plane = plane
        self._listeners: dict[socket.socket, Destination] = {}
        self._finishing = False
        self._timer: asyncio.TimerHandle | None = None
        self._opening: dict[Handover, Pair] = {}
        self._slow: set[Handover] = set()
        self._told: set[str] = set()

    def start(self, listeners: dict[socket.socket, Destination]) -> None:
        """Accept on these; they are the acceptor's from now on."""
        self._listeners = listeners
        self._watch(True)

    def configure(self) -> None:
        """The plane has new settings. Clients over a lower bound stay."""
        self.limit = most_clients(self._plane.settings.max_connections)

    @property
    def open(self) -> int:
        """Clients that were accepted and are not gone, those within a TLS handshake included."""
        pairs = self._plane.pairs
        return len(pairs) + sum(pair not in pairs for pair in self._opening.values())

    def _watch(self, wanted: bool) -> None:
        loop = self._plane.loop
        for sock in self._listeners:
            if wanted:
                loop.add_reader(sock, self._readable, sock)
            else:
                loop.remove_reader(sock)

    def _readable(self, sock: socket.socket) -> None:
        """Somebody waits."""
        if self.paused:
            return
        if self._full():
            self._pause("max_connections")
        elif self._take(sock, _BATCH) == "descriptors":
            self._pause("descriptors")

    def _full(self) -> bool:
        # The sum counts some twice; the exact number is asked for only where it matters.
        return len(self._plane.pairs) + len(self._opening) >= self.limit <= self.open

    def _take(self, sock: socket.socket, most: int) -> str:
        """Accept so many; why it ended early, "" if nobody waits or there was enough."""
        plane, destination = self._plane, self._listeners[sock]
        for _ in range(most):
            if self._full():
                return "max_connections"
            try:
                client, _ = sock.accept()
            except BlockingIOError:
                return ""
            except OSError as error:
                if error.errno in _GONE:
                    continue
                # No descriptor or no memory is left, here or in the system. Whatever else it may be passes too.
                return "descriptors"
            self._hand_over(client, Pair(plane, destination))
        return ""

    def _hand_over(self, client: socket.socket, pair: Pair) -> None:
        """Make it the loop's; with TLS this lasts until the handshake is over."""
        plane = self._plane
        loop, serving = plane.loop, plane.tls.serving()
        opening: Handover

        def ended(error: BaseException | None) -> None:
            # After a handshake that failed or took too long the pair was never told of a client.
            del self._opening[opening]
            if serving and error is not None and (reason := failure(error)):
                plane.totals.count("tls_listener", reason)

        taking = loop.connect_accepted_socket(lambda: client_side(pair), client, **serving)
        opening = Handover(taking, ACCEPTING if serving else PLAIN, ended)
        self._opening[opening] = pair
        opening.start()

    # ---------------------------------------------------------------- the bound

    def _pause(self, reason: str) -> None:
        self.paused = reason
        self._plane.totals.count("accept_pauses", reason)
        self._watch(False)
        self._ask_again()
        if reason not in self._told:
            # Once: under such load it would be said at every client.
            self._told.add(reason)
            log.warning("clients wait to be accepted (%s): %d are open of %d", reason, self.open, self.limit)

    def _ask_again(self) -> None:
        seconds = RETRY_SECONDS if self.paused == "descriptors" else POLL_SECONDS
        self._timer = self._plane.loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        if self.open < self.limit:
            self._clear()
            self._watch(True)
        else:
            self._ask_again()

    def _clear(self) -> None:
        self.paused = ""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # ---------------------------------------------------------------- the end

    def finish(self) -> bool:
        """Let nobody new connect, accept whoever did; False while the bound makes somebody wait: call again."""
        if not self._finishing:
            self._finishing = True
            self._watch(False)
            self._clear()
            for sock in self._listeners:
                _keep_out(sock)
        for sock in list(self._listeners):
            if not self._take(sock, _MANY) or not _waiting(sock):
                del self._listeners[sock]
                sock.close()
        return not self._listeners

    @property
    def opening(self) -> bool:
        """Whether somebody is accepted and not served yet, as within a TLS handshake."""
        return bool(self._opening)

    def hang_up(self) -> None:
        """Wait no longer for handshakes that were under way at the last call already."""
        for opening in self._slow & self._opening.keys():
            opening.cancel()
        self._slow = set(self._opening)

    def close(self) -> None:
        """Whoever waits is refused."""
        self._finishing = True
        self._clear()
        self._watch(False)
        for opening in list(self._opening):
            opening.cancel()
        for sock in self._listeners:
            sock.close()
        self._listeners = {}


def _waiting(sock: socket.socket) -> bool:
    """Whether anybody is connected and not accepted."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _keep_out(sock: socket.socket) -> None:
    """Let no handshake begin any more: who connected between the last accept and the close would be reset.

    Those within one are let through. A client kept out asks again after a second, and is refused by then.
    """
    if sock.family == socket.AF_UNIX:
        return  # other workers may still accept there
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in _NO_SYN)
    buffer = ctypes.create_string_buffer(program)
    with suppress(OSError):  # not Linux
        address = struct.pack("@HP", len(_NO_SYN), ctypes.addressof(buffer))
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, address)
