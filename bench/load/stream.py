"""Reads streams of tokens on a few connections, and takes the age of each: from its write upstream to its read here.

Both ends read the same clock of this machine. Every token must come, once and in order; how often the client had
to read tells whether tokens were collected on the way.
"""

import select
import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass, field

from bench import traffic
from bench.errors import MeasureError
from bench.load.client import connection
from bench.load.openloop import exact

LAST_CHUNK = b"0\r\n\r\n"
# What a stream takes at most, beyond its own time.
LAST_SECONDS = 10.0


@dataclass(slots=True)
class Stream:
    """One connection; `data` is what came of the stream since the last token."""

    sock: socket.socket
    data: bytes = b""
    tokens: int = 0

    def ask(self) -> None:
        self.data, self.tokens = b"", 0
        self.sock.sendall(traffic.request("GET", traffic.STREAM))

    def read(self, ages: list[int]) -> bool:
        """Read what is there and take the ages of its tokens; True at the end. MeasureError if it is wrong."""
        more = self.sock.recv(65536)
        now = time.monotonic_ns()
        if not more:
            raise MeasureError(f"connection ended after {self.tokens} of {traffic.TOKENS} tokens")
        self.data += more
        end = 0
        for found in traffic.TOKEN.finditer(self.data):
            if int(found[1]) != self.tokens:
                raise MeasureError(f"token {int(found[1])} came where {self.tokens} was due")
            ages.append(now - int(found[2]))
            self.tokens += 1
            end = found.end()
        self.data = self.data[end:]
        over = self.data.endswith(LAST_CHUNK)
        if over and self.tokens != traffic.TOKENS:
            raise MeasureError(
                f"a stream ended after {self.tokens} of {traffic.TOKENS} tokens: {more[:200]!r}"
            )
        return over


@dataclass(frozen=True, slots=True)
class Tokens:
    """Nanoseconds of every token, how many reads they took, and the time of all streams."""

    ages: list[int] = field(repr=False)
    reads: int
    seconds: float

    @property
    def requests(self) -> int:
        return len(self.ages)


def run(port: int, connections: int, seconds: float) -> Tokens:
    """Stream after stream on each connection for `seconds`, then the last ones to their end.

    Raises MeasureError on a socket error, a lost or repeated token, or a stream that does not end.
    """
    ages: list[int] = []
    reads = 0
    with ExitStack() as stack:
        streams = [Stream(stack.enter_context(connection(port))) for _ in range(connections)]
        epoll = stack.enter_context(select.epoll())
        open_ones = {stream.sock.fileno(): stream for stream in streams}
        for number, stream in open_ones.items():
            epoll.register(number, select.EPOLLIN)
            stream.ask()
        stack.enter_context(exact())
        began = time.perf_counter()
        while open_ones:
            passed = time.perf_counter() - began
            if passed > seconds + LAST_SECONDS:
                raise MeasureError(f"{len(open_ones)} streams did not end")
            for number, _ in epoll.poll(0.1):
                reads += 1
                if not open_ones[number].read(ages):
                    continue
                if passed < seconds:
                    open_ones[number].ask()
                else:
                    del open_ones[number]
        return Tokens(ages, reads, time.perf_counter() - began)
