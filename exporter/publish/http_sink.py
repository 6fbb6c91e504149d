"""CloudEvents in HTTP's binary mode to a sink, one POST each, over connections that are kept.

Knows no queue and never tries twice. Whatever the sink does, an attempt ends within its time and leaves nothing: a
connection that failed is aborted, not closed, for what a sink does not read would otherwise stay in a buffer for as
long as it likes (which is why the client is this one, of which all is seen). Answers are read up to a bound and thrown
away; redirects, cookies, proxies and credentials of the environment are not taken. Without its token nothing is sent.
"""

import asyncio
import os
import re
import ssl
import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from exporter import __version__
from exporter.publish.cloudevents import Event, binary
from exporter.publish.delivery import Failed, retry_after

_HEAD_BYTES: Final = 64 << 10
_ANSWER_BYTES: Final = 64 << 10
_ANSWER_SECONDS: Final = 1.0
_KEEP_SECONDS: Final = 30.0
_TOKEN_BYTES: Final = 64 << 10
_PIECE: Final = 64 << 10
_INTERIM: Final = 8  # 1xx answers before the final one
_STATUS: Final = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n]*)?")


class Token:
    """A bearer token in a file, such as Kubernetes projects and renews it: read again when the file changes."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._stamp: tuple[int, int, int] | None = None
        self._value = ""

    def read(self) -> str:
        """The token as it is now; Failed("token") if there is none to be read."""
        try:
            found = os.stat(self._file)
            stamp = found.st_size, found.st_ino, found.st_mtime_ns
            if stamp != self._stamp:
                with open(self._file, encoding="ascii") as stream:
                    self._value = stream.read(_TOKEN_BYTES).strip()
                self._stamp = stamp
        except (OSError, UnicodeDecodeError) as error:
            raise Failed("token", f"{self._file} cannot be read: {error}") from error
        if not self._value or not self._value.isprintable() or " " in self._value:
            raise Failed("token", f"{self._file}: expected one token, printable, without spaces")
        return self._value


@dataclass(slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used: float = 0.0

    def alive(self) -> bool:
        """Whether the sink has not ended it, nor said anything unasked, as far as that is known; it may be stale."""
        fresh = asyncio.get_running_loop().time() - self.used < _KEEP_SECONDS
        return fresh and not self.reader.at_eof() and not self.writer.transport.is_closing()

    def abort(self) -> None:
        self.writer.transport.abort()


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    keeps: bool  # whether its version keeps connections unless it says otherwise
    fields: dict[bytes, bytes]


class HttpSink:
    """`seconds` is the time of one attempt in all; `ca` "" trusts the system's authorities."""

    group_bytes = 0
    exhausted = "retries_exhausted"

    def __init__(self, url: str, concurrency: int, seconds: float, ca: str = "", token: str = "") -> None:
        self.concurrency = concurrency
        self._seconds = seconds
        self._ca = ca
        self._token = Token(token) if token else None
        parts = urlsplit(url)
        self._tls = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._tls else 80)
        target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        self._start = (
            f"POST {target} HTTP/1.1\r\nhost: {parts.netloc}\r\nuser-agent: modeltap/{__version__}\r\n"
        )
        self._context: ssl.SSLContext | None = None
        self._idle: list[_Connection] = []

    async def deliver(self, events: list[Event]) -> int:
        """One event; returns the bytes of its body. Raises Failed."""
        (event,) = events
        head = self._head(event)
        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._post(head, event.data)
        except TimeoutError as error:
            raise Failed("timeout", f"no answer within {self._seconds} s") from error
        _check(answer)
        return len(event.data)

    async def _post(self, head: bytes, data: bytes) -> _Answer:
        connection = await self._connected()
        kept = False
        try:
            answer = await _exchange(connection, head, data)
            kept = len(self._idle) < self.concurrency and await _drained(connection.reader, answer)
        finally:
            if not kept:
                connection.abort()
        if kept:
            connection.used = asyncio.get_running_loop().time()
            self._idle.append(connection)
        return answer

    def _head(self, event: Event) -> bytes:
        headers = binary(event) | {"content-length": str(len(event.data))}
        if self._token is not None:
            headers["authorization"] = f"Bearer {self._token.read()}"
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{self._start}{lines}\r\n".encode("ascii")

    async def _connected(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.alive():
                return connection
            connection.abort()
        context = self._trust() if self._tls else None
        name = self._host if self._tls else None
        try:
            reader, writer = await asyncio.open_connection(
                self._host, self._port, ssl=context, server_hostname=name, limit=_HEAD_BYTES
            )
        except ssl.SSLError as error:
            raise Failed("tls", str(error)) from error
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that is no host's
            raise Failed("connect", str(error)) from error
        return _Connection(reader, writer)

    def _trust(self) -> ssl.SSLContext:
        if self._context is None:
            try:
                self._context = ssl.create_default_context(cafile=self._ca or None)
            except OSError as error:
                raise Failed("tls", f"{self._ca} cannot be used: {error}") from error
            self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        return self._context

    async def close(self) -> None:
        """Let go of all connections. Safe twice."""
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.abort()
        # One turn of the loop, in which they are gone.
        await asyncio.sleep(0)


async def _exchange(connection: _Connection, head: bytes, data: bytes) -> _Answer:
    try:
        connection.writer.write(head)
        for at in range(0, len(data), _PIECE):
            connection.writer.write(data[at : at + _PIECE])
            await connection.writer.drain()
        for _ in range(_INTERIM + 1):
            answer = _parse(await connection.reader.readuntil(b"\r\n\r\n"))
            if answer.status >= 200:
                return answer
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise Failed("protocol", f"no answer of HTTP/1: {error.partial[:80]!r}") from error
        raise Failed("reset", "the connection ended before an answer") from error
    except asyncio.LimitOverrunError as error:
        raise Failed("protocol", f"an answer's head of more than {_HEAD_BYTES} bytes") from error
    except ssl.SSLError as error:
        raise Failed("tls", str(error)) from error
    except OSError as error:
        raise Failed("reset", str(error)) from error
    raise Failed("protocol", "interim answers without an end")


def _parse(head: bytes) -> _Answer:
    first, *lines = head[:-4].split(b"\r\n")
    found = _STATUS.fullmatch(first)
    if found is None:
        raise Failed("protocol", f"no status line of HTTP/1: {first[:80]!r}")
    fields = (line.partition(b":") for line in lines)
    return _Answer(
        int(found[2]), found[1] == b"1", {name.lower(): value.strip(b" \t") for name, _, value in fields}
    )


async def _drained(reader: asyncio.StreamReader, answer: _Answer) -> bool:
    """Whether the connection can take another request: the rest of the answer is short, and came at once."""
    length = answer.fields.get(b"content-length", b"0" if answer.status == 204 else b"")
    if b"transfer-encoding" in answer.fields or not length.isdigit() or int(length[:9]) > _ANSWER_BYTES:
        return False
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            await reader.readexactly(int(length))
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False
    return answer.keeps and b"close" not in answer.fields.get(b"connection", b"").lower()


def _check(answer: _Answer) -> None:
    """Failed unless the status is a success."""
    status = answer.status
    if status < 300:
        return
    if status == 429 or status >= 500:
        after = retry_after(answer.fields.get(b"retry-after", b"").decode("latin-1"), time.time())
        raise Failed("status_429" if status == 429 else "status_5xx", f"HTTP {status}", after=after)
    # 408 is what a server says to a connection that was idle for too long: it has not read the event.
    raise Failed("redirect" if status < 400 else "status_4xx", f"HTTP {status}", again=status == 408)
