"""Other parsers of HTTP/1 behind one face: bytes in, complete messages out, and the word with which they refuse.

A peer is fed in pieces and tells after each one which messages are complete, so it can be asked whether it sees the
same boundaries. What a peer cannot be told (httptools: that HEAD was asked) stays its own affair; see the tables of
`test_differential.py`.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import h11
import httptools
from aiohttp import http_exceptions, http_parser
from aiohttp.base_protocol import BaseProtocol

MAX_BODY = 1 << 20


class Read(NamedTuple):
    """A complete message: "METHOD target", or the status of a final answer; and its body."""

    word: str
    body: bytes


class Refused(Exception):
    """The peer gave up; its own words."""


class Peer(Protocol):
    """`read` grows as messages are completed."""

    read: list[Read]

    def feed(self, piece: bytes) -> None:
        """Raises Refused, once; then it is fed no more."""


class Httptools:
    """llhttp through httptools: what uvicorn runs on."""

    def __init__(self, methods: Sequence[str] | None, _loop: asyncio.AbstractEventLoop) -> None:
        self.read: list[Read] = []
        self._requests = methods is None
        self._url, self._body = b"", b""
        kind: Any = httptools.HttpRequestParser if methods is None else httptools.HttpResponseParser
        self._parser = kind(self)

    def on_message_begin(self) -> None:
        self._url, self._body = b"", b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._requests:
            word = f"{self._parser.get_method().decode()} {self._url.decode('latin-1')}"
        else:
            word = str(self._parser.get_status_code())
        if self._requests or word[0] != "1":
            self.read.append(Read(word, self._body))

    def feed(self, piece: bytes) -> None:
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserUpgrade as error:
            raise Refused("Upgrade") from error
        except httptools.HttpParserError as error:
            raise Refused(str(error)) from error


class H11:
    """h11: what uvicorn falls back to, and the strictest reading of RFC 9112 in Python; the other side is played."""

    def __init__(self, methods: Sequence[str] | None, _loop: asyncio.AbstractEventLoop) -> None:
        self.read: list[Read] = []
        self._methods = None if methods is None else deque(methods)
        self._side = h11.Connection(h11.SERVER if methods is None else h11.CLIENT, 1 << 17)
        self._line, self._body = "", b""
        self._asked = False

    def feed(self, piece: bytes) -> None:
        try:
            self._side.receive_data(piece)
            while self._turn():
                pass
        except (h11.RemoteProtocolError, h11.LocalProtocolError) as error:
            raise Refused(str(error)) from error

    def _turn(self) -> bool:
        """One event; False if there is none."""
        if self._methods is not None and not self._asked:
            if not self._methods:
                return False
            method = self._methods.popleft()
            self._side.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
            self._side.send(h11.EndOfMessage())
            self._asked = True
        event = self._side.next_event()
        if isinstance(event, h11.Request):
            self._line = f"{event.method.decode()} {event.target.decode('latin-1')}"
        elif isinstance(event, h11.Response):
            self._line = str(event.status_code)
        elif isinstance(event, h11.Data):
            self._body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            self._complete()
        else:
            return isinstance(event, h11.InformationalResponse)
        return True

    def _complete(self) -> None:
        self.read.append(Read(self._line, self._body))
        if self._line.startswith("CONNECT "):
            raise Refused("Upgrade")
        self._line, self._body, self._asked = "", b"", False
        if self._methods is None:
            self._side.send(h11.Response(status_code=204, headers=[]))
            self._side.send(h11.EndOfMessage())
        self._side.start_next_cycle()


class Aiohttp:
    """aiohttp's parsers, of which it has one in C and one in Python; its client takes a new one for every answer."""

    kinds: tuple[Any, Any] = (http_parser.HttpRequestParserC, http_parser.HttpResponseParserC)

    def __init__(self, methods: Sequence[str] | None, loop: asyncio.AbstractEventLoop) -> None:
        self.read: list[Read] = []
        self._methods = None if methods is None else deque(methods)
        self._loop = loop  # kept by the payloads, never run
        self._parser: Any = self._new()
        self._open: deque[Any] = deque()

    def _new(self) -> Any:
        loop = self._loop
        given: dict[str, Any] = {"limit": MAX_BODY, "auto_decompress": False, "max_headers": 300}
        given |= {"max_line_size": 1 << 17, "max_field_size": 1 << 17}
        if self._methods is None:
            return self.kinds[0](BaseProtocol(loop), loop, **given)
        with_body = not self._methods or self._methods[0] != "HEAD"
        given |= {"response_with_body": with_body, "read_until_eof": True}
        return self.kinds[1](BaseProtocol(loop), loop, **given)

    def feed(self, piece: bytes) -> None:
        while piece:
            try:
                found, upgraded, rest = self._parser.feed_data(piece)
            except (http_exceptions.HttpProcessingError, ValueError) as error:
                raise Refused(f"{type(error).__name__} {error}") from error
            self._open.extend(found)
            piece = self._settle(rest if self._methods is not None else b"")
            if upgraded:
                raise Refused("Upgrade")

    def _settle(self, rest: bytes) -> bytes:
        """Note what is complete; returns what of the piece belongs to the next answer."""
        while self._open and self._open[0][1].is_eof():
            message, payload = self._open.popleft()
            if payload.exception() is not None:
                raise Refused(str(payload.exception()))
            if self._methods is None:
                path = message.path.encode("utf-8", "surrogateescape").decode("latin-1")
                word = f"{message.method} {path}"
            elif message.code < 200:
                continue
            else:
                word = str(message.code)
            self.read.append(Read(word, payload.read_nowait(-1)))
            if self._methods:
                self._methods.popleft()
                self._parser = self._new()
        if self._open and self._open[0][1].exception() is not None:
            raise Refused(str(self._open[0][1].exception()))
        return rest


class AiohttpPy(Aiohttp):
    """The one in Python."""

    kinds = (http_parser.HttpRequestParserPy, http_parser.HttpResponseParserPy)


PEERS: dict[str, Any] = {"h11": H11, "httptools": Httptools, "aiohttp": Aiohttp, "aiohttp-py": AiohttpPy}
