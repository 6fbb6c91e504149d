"""TLS connections one after the other: each a handshake, one exchange and a close; full, or resumed by a ticket.

Peers can be compared only if all of them do the same: version, cipher and resumption are checked on every
connection, and what differs is an error.
"""

import socket
import ssl
import time
from dataclasses import dataclass

from bench import traffic
from bench.errors import MeasureError
from bench.load.client import TIMEOUT_SECONDS, read_small
from bench.processes import LOOPBACK

VERSION, CIPHER = "TLSv1.3", "TLS_AES_256_GCM_SHA384"


@dataclass(frozen=True, slots=True)
class Handshakes:
    """How many connections were made, each with one answered request, and the time they took."""

    requests: int
    seconds: float


class Client:
    """Keeps the last ticket where connections are to be resumed."""

    def __init__(self, port: int, resume: bool) -> None:
        self.port = port
        self.resume = resume
        self.ticket: ssl.SSLSession | None = None
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # The certificate was made for this run; what it costs to check is the client's business.
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3

    def call(self, request: bytes) -> None:
        """One connection. Raises MeasureError when anything is not as it is to be."""
        try:
            with (
                socket.create_connection((LOOPBACK, self.port), timeout=TIMEOUT_SECONDS) as plain,
                self.context.wrap_socket(plain, session=self.ticket) as sock,
            ):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.sendall(request)
                read_small(sock)
                self._check(sock)
        except OSError as error:
            raise MeasureError(f"{type(error).__name__} on the client's socket: {error}") from error

    def _check(self, sock: ssl.SSLSocket) -> None:
        name, version, _ = sock.cipher() or ("none", "none", 0)
        if (version, name) != (VERSION, CIPHER):
            raise MeasureError(f"{version} with {name} was spoken; {VERSION} with {CIPHER} was expected")
        if sock.session_reused is not (self.ticket is not None):
            raise MeasureError("the peer did not resume the session of its own ticket")
        if self.resume:
            # In TLS 1.3 the ticket comes behind the handshake, so it is here once something was read.
            self.ticket = sock.session
            if self.ticket is None or not self.ticket.has_ticket:
                raise MeasureError("the peer gave no session ticket")


def run(port: int, seconds: float, resume: bool) -> Handshakes:
    """Connect again and again. The first connection of a resumed series is a full one and is not left out."""
    requests = traffic.infer_requests(close=True)
    client = Client(port, resume)
    began = time.perf_counter()
    count = 0
    while not count or time.perf_counter() - began < seconds:
        client.call(requests[count % len(requests)])
        count += 1
    return Handshakes(count, time.perf_counter() - began)
