"""Connecting to the model: every known address in order, again with a short back-off while nothing was sent.

The upstream is dialled from the local address to which the client came, so that no server takes a remote client for
loopback and trusts its `X-Forwarded-For`. On loopback all of it happens within `start`: the handshake is over when
`connect` returns. Only what is not over then waits for the loop, in callbacks; a task would cost more than the rest.
"""

import asyncio
import errno
import socket
import ssl
from typing import TYPE_CHECKING

from exporter.proxy.destination import Address
from exporter.proxy.handover import DIALLING, PLAIN, Handover, Stream
from exporter.proxy.plane import Plane
from exporter.proxy.proxy_protocol import header
from exporter.proxy.tls import failure

if TYPE_CHECKING:
    from exporter.proxy.pair import Pair

_KIND = int(socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
_FIRST_DELAY, _LAST_DELAY = 0.05, 0.2
_IP_BIND_ADDRESS_NO_PORT = 24  # Linux: the port is chosen at connect, so ports are not used up
_LOOPBACK = ("127.0.0.1", "::1", "::ffff:127.0.0.1")


class Dialling:
    """Ends in `pair.connected` (through the protocol) or `pair.unreachable`, neither within `start`, or in `cancel`.

    `pair.dialled` comes right after `pair.connected`: there is nothing left to cancel.
    """

    __slots__ = (
        *("_addresses", "_at", "_deadline", "_delay", "_destination", "_handover", "_hopeless", "_over"),
        *("_pair", "_plane", "_sock", "_source", "_timer"),
    )

    def __init__(self, plane: Plane, pair: "Pair") -> None:
        self._plane = plane
        self._pair = pair
        self._destination = pair.destination
        self._deadline = 0.0
        self._delay = _FIRST_DELAY
        self._source = ""
        self._addresses: tuple[Address, ...] = ()
        self._at = 0  # the address to be tried next
        self._sock: socket.socket | None = None  # ours until the loop has it
        self._timer: asyncio.Handle | None = None
        self._handover: Handover | None = None
        self._hopeless = False
        self._over = False

    def start(self) -> None:
        """Once."""
        plane = self._plane
        self._deadline = plane.loop.time() + plane.settings.connect_timeout
        if plane.settings.upstream_source == "client" and not self._destination.upstream.path:
            self._source = _source(self._pair.client)
        self._round()

    def cancel(self) -> None:
        """Nobody waits for it any more. Safe twice, and when it is over.

        What the loop has taken but not yet connected still comes to `pair.connected`: half way through it would be
        unclear whose the descriptor is.
        """
        self._over = True
        self._forget()
        if self._handover is not None:
            self._handover.cancel()
        elif self._sock is not None:
            self._waited().close()

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # ---------------------------------------------------------------- addresses

    def _round(self) -> None:
        self._timer = None
        self._addresses = self._destination.addresses
        self._at = 0
        self._next()

    def _next(self) -> None:
        """Go on with the addresses that are left, up to one that is connected or has to be waited for."""
        while self._at < len(self._addresses):
            family, address = self._addresses[self._at]
            self._at += 1
            try:
                sock = Stream(family, _KIND)
            except OSError:
                break  # no descriptor is left
            state = self._connect(sock, family, address)
            if state == 0 and self._opened(sock):
                return
            if state == errno.EINPROGRESS:
                self._wait(sock)
                return
            sock.close()
        self._again()

    def _connect(self, sock: socket.socket, family: int, address: tuple[str | int, ...] | str) -> int:
        """0: connected. EINPROGRESS: the loop will tell. Anything else: this address cannot be reached now."""
        try:
            if _fits(self._source, family, address):
                sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
                sock.bind((self._source, 0))
            state = sock.connect_ex(address)
            if state == errno.EINPROGRESS:
                # On loopback the answer came while the first call ended, and only this one tells it.
                state = sock.connect_ex(address)
        except OSError as error:
            return error.errno or errno.EINVAL
        if state == errno.EISCONN:
            return 0
        # EAGAIN of a Unix socket, a full backlog, is told by no event later on: it counts as refused.
        return errno.EINPROGRESS if state == errno.EALREADY else state

    def _wait(self, sock: socket.socket) -> None:
        """Until the handshake is over, for this address's share of the time that is left."""
        loop = self._plane.loop
        self._sock = sock
        loop.add_writer(sock.fileno(), self._writable)
        share = (self._deadline - loop.time()) / (len(self._addresses) - self._at + 1)
        self._timer = loop.call_later(max(0.0, share), self._slow)

    def _waited(self) -> socket.socket:
        self._forget()
        sock, self._sock = self._sock, None
        assert sock is not None
        self._plane.loop.remove_writer(sock.fileno())
        return sock

    def _writable(self) -> None:
        sock = self._waited()
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0 and self._opened(sock):
            return
        sock.close()
        self._next()

    def _slow(self) -> None:
        self._waited().close()
        self._next()

    def _again(self) -> None:
        """Every address failed: once more after a while, if there is time."""
        loop = self._plane.loop
        self._destination.failed()
        if self._hopeless or loop.time() + self._delay >= self._deadline:
            self._timer = loop.call_soon(self._give_up)
            return
        self._timer = loop.call_later(self._delay, self._round)
        self._delay = min(self._delay * 2, _LAST_DELAY)

    def _give_up(self) -> None:
        self._timer = None
        self._over = True
        self._pair.unreachable()

    # ---------------------------------------------------------------- handing over

    def _opened(self, sock: socket.socket) -> bool:
        """Hand a connected socket to the loop; False if it ended meanwhile."""
        pair, plane, upstream = self._pair, self._plane, self._destination.upstream
        if plane.settings.proxy_protocol and not self._introduce(sock):
            return False
        self._sock = sock
        loop = plane.loop
        if upstream.tls:
            taking = loop.create_connection(pair.side, sock=sock, **plane.tls.dialling(upstream))
            self._handover = Handover(taking, DIALLING, self._ended)
        else:
            # Unlike `create_connection` it ties the socket object to the transport before anything can close the
            # descriptor; closed twice, that number may be another connection's.
            self._handover = Handover(loop.connect_accepted_socket(pair.side, sock), PLAIN, self._ended)
        self._handover.start()
        return True

    def _introduce(self, sock: socket.socket) -> bool:
        """Say who connected. A socket that was just connected takes so few bytes at once."""
        client = self._pair.client
        names = ("peername", "sockname")
        peer, here = (None if client is None else client.get_extra_info(name) for name in names)
        said = header(peer, here)
        try:
            return sock.send(said) == len(said)
        except OSError:
            return False

    def _ended(self, error: BaseException | None) -> None:
        """The loop has the connection, or it failed."""
        self._handover = None
        sock, self._sock = self._sock, None
        if self._over:
            return
        trouble = str(error) if error is not None else ""
        if self._destination.upstream.tls:
            self._destination.handshake.tell(trouble, self._plane.loop.time())
            if error is not None and (reason := failure(error)):
                self._plane.totals.count("tls_upstream", reason)
        if error is None:
            self._over = True
            self._pair.dialled()
            return
        if isinstance(error, ssl.SSLError):
            # Another attempt would end in the same way; another address may be another server.
            self._hopeless = True
        if sock is not None:
            sock.close()
        self._next()


def _source(client: asyncio.Transport | None) -> str:
    """The address to bind, or "" for any."""
    name = None if client is None else client.get_extra_info("sockname")
    if not isinstance(name, tuple) or name[0] in _LOOPBACK:
        return ""  # what the kernel would choose for a model on loopback
    return str(name[0]).removeprefix("::ffff:")


def _fits(source: str, family: int, address: tuple[str | int, ...] | str) -> bool:
    """Whether that source can reach that address: the family is the same, and loopback only reaches loopback.

    A link-local one is bound to its interface and reaches nothing else, loopback included.
    """
    if not source or source.startswith("fe80:") or (":" in source) != (family == socket.AF_INET6):
        return False
    return not source.startswith("127.") or str(address[0]).startswith("127.")
