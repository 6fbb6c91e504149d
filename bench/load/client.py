"""A client on one blocking socket: one exchange at a time, nanosecond clock, every answer checked.

Refuses what it does not need: only 200 with Content-Length is an answer. A proxy that re-frames the answer
or changes its body is an error here, not a slower figure.
"""

import gc
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench import traffic
from bench.errors import MeasureError
from bench.processes import LOOPBACK

CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*+(\d{1,18})[ \t]*+\r\n", re.IGNORECASE)
TIMEOUT_SECONDS = 10.0
READ_BYTES = 1024 * 1024
WARM_EXCHANGES = 200


@dataclass(frozen=True, slots=True)
class Transfer:
    """Bodies moved in some time."""

    bodies: int
    seconds: float

    @property
    def bytes_per_second(self) -> float:
        return self.bodies * traffic.LARGE_BYTES / self.seconds


@contextmanager
def connection(port: int) -> Iterator[socket.socket]:
    """A connection to loopback without Nagle's delay. Socket errors inside become MeasureError."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=TIMEOUT_SECONDS) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield sock
    except OSError as error:
        raise MeasureError(f"{type(error).__name__} on the client's socket: {error}") from error


def body_length(head: bytes) -> int:
    """Content-Length of a 200 answer. Raises MeasureError for any other status or framing."""
    if not head.startswith(b"HTTP/1.1 200 "):
        raise MeasureError(f"answer was not 200: {head[:60]!r}")
    found = CONTENT_LENGTH.search(head)
    if found is None:
        raise MeasureError(f"answer without Content-Length: {head[:300]!r}")
    return int(found[1])


def read_head(sock: socket.socket) -> tuple[int, bytes]:
    """Length of the body, and what of it came with the head."""
    data = sock.recv(65536)
    while (end := data.find(b"\r\n\r\n")) < 0:
        more = sock.recv(65536)
        if not more or len(data) > 65536:
            raise MeasureError(f"connection ended in the head of an answer: {data[:60]!r}")
        data += more
    return body_length(data[: end + 4]), data[end + 4 :]


def read_small(sock: socket.socket) -> None:
    """Read one small answer and compare it with what the upstream sent."""
    length, body = read_head(sock)
    while len(body) < length:
        more = sock.recv(65536)
        if not more:
            raise MeasureError(f"body ended after {len(body)} of {length} bytes")
        body += more
    if body != traffic.ANSWER_BODY:
        raise MeasureError(f"body is not the upstream's: {body[:80]!r}")


def read_large(sock: socket.socket, buffer: bytearray) -> None:
    """Read one large answer into `buffer` (exactly its size); the content is for the caller to compare."""
    length, start = read_head(sock)
    if length != len(buffer) or len(start) > length:
        raise MeasureError(f"large body has {length} bytes, expected {len(buffer)}")
    view = memoryview(buffer)
    view[: len(start)] = start
    done = len(start)
    while done < length:
        got = sock.recv_into(view[done : done + READ_BYTES])
        if not got:
            raise MeasureError(f"body ended after {done} of {length} bytes")
        done += got


def latencies(port: int, seconds: float) -> list[int]:
    """Nanoseconds from the send call to the end of the answer, exchange after exchange on one connection."""
    requests = traffic.infer_requests()
    clock = time.perf_counter_ns
    taken = []
    with connection(port) as sock:
        for request in requests[:WARM_EXCHANGES]:
            sock.sendall(request)
            read_small(sock)
        gc.disable()
        try:
            end = clock() + int(seconds * 1e9)
            index, began = 0, clock()
            while began < end:
                began = clock()
                sock.sendall(requests[index])
                read_small(sock)
                taken.append(clock() - began)
                index = (index + 1) % len(requests)
        finally:
            gc.enable()
    return taken


def download(port: int, seconds: float) -> Transfer:
    """GET the large body over and over on one connection; the first, untimed, is compared byte by byte."""
    request = traffic.request("GET", traffic.LARGE)
    buffer = bytearray(traffic.LARGE_BYTES)
    with connection(port) as sock:
        sock.sendall(request)
        read_large(sock, buffer)
        if buffer != traffic.large_body():
            raise MeasureError("the large body is not the upstream's")
        began = time.perf_counter()
        bodies = 0
        while not bodies or time.perf_counter() - began < seconds:
            sock.sendall(request)
            read_large(sock, buffer)
            bodies += 1
        return Transfer(bodies, time.perf_counter() - began)


def upload(port: int, seconds: float) -> Transfer:
    """POST the large body over and over on one connection; the first is not timed."""
    request = traffic.request("POST", traffic.LARGE, traffic.large_body())
    with connection(port) as sock:
        sock.sendall(request)
        read_small(sock)
        began = time.perf_counter()
        bodies = 0
        while not bodies or time.perf_counter() - began < seconds:
            sock.sendall(request)
            read_small(sock)
            bodies += 1
        return Transfer(bodies, time.perf_counter() - began)
