"""The fast upstream: answers every complete HTTP/1.1 request with the same bytes, or with a stream of tokens.

Knows Content-Length, keep-alive and pipelining, and refuses the rest: a request that it cannot frame gets 501
and a close, which the load generator counts as an error. Bodies are counted, never kept.
"""

import asyncio
import re
from time import monotonic_ns
from typing import cast

from bench import traffic
from bench.servers import options

CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*+(\d{1,18})[ \t]*+\r\n", re.IGNORECASE)
CLOSE = re.compile(rb"\r\nconnection:[ \t]*+close[ \t]*+\r\n", re.IGNORECASE)
ENCODED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
KINDS = LARGE, STREAM = b"GET /large ", b"GET /stream "
HEAD_LIMIT_BYTES = 64 * 1024
REFUSAL = b"HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Answers:
    """The responses, made once per process; by whether the connection closes afterwards."""

    __slots__ = ("large_body", "large_head", "small")

    def __init__(self) -> None:
        self.small = (traffic.answer(False), traffic.answer(True))
        self.large_head = (traffic.large_head(False), traffic.large_head(True))
        self.large_body = traffic.large_body()


class Upstream(asyncio.Protocol):
    """One connection: `pending` holds an incomplete head, `remaining` counts body bytes still to come."""

    __slots__ = ("answers", "close", "kind", "pending", "remaining", "transport")

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.transport: asyncio.Transport
        self.pending = b""
        self.remaining = 0
        self.close = False
        self.kind = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's TCP transport has the interface of asyncio.Transport without inheriting it.
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        while data:
            if self.remaining:
                taken = min(self.remaining, len(data))
                self.remaining -= taken
                data = data[taken:]
                if not self.remaining:
                    self._answer()
            else:
                data = self._head(data)
            if self.transport.is_closing():
                return

    def _head(self, data: bytes) -> bytes:
        """Take one head off the front; returns what follows it and its body."""
        data = self.pending + data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self.pending = data
            if len(data) > HEAD_LIMIT_BYTES:
                self._refuse()
            return b""
        self.pending = b""
        head = data[: end + 4]
        if ENCODED.search(head):
            self._refuse()
            return b""
        length = CONTENT_LENGTH.search(head)
        self.close = CLOSE.search(head) is not None
        self.kind = next((kind for kind in KINDS if head.startswith(kind)), b"")
        body = int(length[1]) if length else 0
        rest = len(data) - end - 4
        self.remaining = max(0, body - rest)
        if not self.remaining:
            self._answer()
        return data[end + 4 + body :]

    def _answer(self) -> None:
        if self.kind == STREAM:
            self.transport.write(traffic.stream_head())
            asyncio.get_running_loop().call_later(traffic.TOKEN_SECONDS, self._token, 0)
            return
        if self.kind == LARGE:
            self.transport.write(self.answers.large_head[self.close])
            self.transport.write(self.answers.large_body)
        else:
            self.transport.write(self.answers.small[self.close])
        if self.close:
            self.transport.close()

    def _token(self, number: int) -> None:
        if self.transport.is_closing():
            return
        self.transport.write(traffic.token(number, monotonic_ns()))
        if number + 1 < traffic.TOKENS:
            asyncio.get_running_loop().call_later(traffic.TOKEN_SECONDS, self._token, number + 1)
        else:
            self.transport.write(b"0\r\n\r\n")

    def _refuse(self) -> None:
        self.transport.write(REFUSAL)
        self.transport.close()


async def main() -> None:
    arguments = options.ports("the benchmark's upstream", upstream=False)
    answers = Answers()
    await options.serve(lambda: Upstream(answers), arguments.listen)


if __name__ == "__main__":
    options.run(main())
