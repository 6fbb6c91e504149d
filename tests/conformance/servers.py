"""Real HTTP servers with one and the same small application, each with habits of its own.

What those in this process read of each connection is kept, so that it can be compared.
"""

import asyncio
import io
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from aiohttp import web

from tests.conformance import asgi
from tests.conformance.asgi import ANSWERS, PIECES, echo
from tests.environments.make import environment
from tests.proxy.upstreams import listener

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Record:
    """What a server read of one connection, and whether it is done with it."""

    data: bytearray = field(default_factory=bytearray)
    over: threading.Event = field(default_factory=threading.Event)


@dataclass
class Server:
    """A running one; `records` is None where what it reads cannot be seen."""

    name: str
    address: tuple[str, int]
    records: list[Record] | None


# ---------------------------------------------------------------- aiohttp


async def _handle(request: web.Request) -> web.StreamResponse:
    path = request.path
    if path in ANSWERS:
        status, body = ANSWERS[path]
        return web.Response(status=status, body=body)
    if path in ("/stream", "/duplex"):
        stream = web.StreamResponse()
        await stream.prepare(request)
        if path == "/stream":
            for piece in PIECES:
                await stream.write(piece)
        else:
            async for piece in request.content.iter_any():
                await stream.write(piece)
        return stream
    body = await request.read()
    return web.Response(body=echo(request.method, path, request.raw_headers, body))


class _Recorder(asyncio.Protocol):
    """The server's own protocol, with what it reads kept."""

    def __init__(self, protocol: asyncio.Protocol, record: Record) -> None:
        self.record = record
        self.data_of_server = protocol.data_received
        self.lost_by_server = protocol.connection_lost
        for name in ("connection_made", "eof_received", "pause_writing", "resume_writing"):
            setattr(self, name, getattr(protocol, name))

    def data_received(self, data: bytes) -> None:
        self.record.data += data
        self.data_of_server(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost_by_server(exc)
        self.record.over.set()


@asynccontextmanager
async def aiohttp_server(handle: Handle = _handle) -> AsyncIterator[Server]:
    """In the loop of the test."""
    application = web.Application(client_max_size=1 << 30)
    application.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
    await runner.setup()
    records: list[Record] = []

    def accepted() -> _Recorder:
        records.append(Record())
        assert runner.server is not None
        return _Recorder(runner.server(), records[-1])

    sock = listener()
    server = await asyncio.get_running_loop().create_server(accepted, sock=sock)
    try:
        yield Server("aiohttp", sock.getsockname(), records)
    finally:
        server.close()
        await runner.cleanup()


# ---------------------------------------------------------------- the standard library


class _Recording(io.RawIOBase):
    """What is read of a socket, kept."""

    def __init__(self, sock: socket.socket, record: Record) -> None:
        self.sock = sock
        self.record = record

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = self.sock.recv_into(buffer)
        self.record.data += buffer[:count]
        return count


class _Handler(BaseHTTPRequestHandler):
    """The application on http.server, version 1.1."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "_Threads"

    def setup(self) -> None:
        super().setup()
        self.record = Record()
        self.server.records.append(self.record)
        self.rfile = io.BufferedReader(_Recording(self.connection, self.record))

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            pass
        finally:
            self.connection.close()
            self.record.over.set()

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""

    def do_GET(self) -> None:
        """Every method."""
        if self.path in ANSWERS:
            self._whole(*ANSWERS[self.path])
        elif self.path in ("/stream", "/duplex"):
            self._stream(iter(PIECES) if self.path == "/stream" else self._pieces())
        else:
            body = b"".join(self._pieces())
            fields = [
                (name.encode("latin-1"), value.encode("latin-1")) for name, value in self.headers.items()
            ]
            self._whole(200, echo(self.command, self.path, fields, body))

    do_POST = do_PUT = do_HEAD = do_OPTIONS = do_CONNECT = do_GET

    def _whole(self, status: int, body: bytes) -> None:
        self.send_response(status)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(body)

    def _stream(self, pieces: Iterator[bytes]) -> None:
        coded = self.request_version == "HTTP/1.1"
        self.close_connection = self.close_connection or not coded
        self.send_response(200)
        self.send_header(*(("Transfer-Encoding", "chunked") if coded else ("Connection", "close")))
        self.end_headers()
        for piece in pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if coded else piece)
        if coded:
            self.wfile.write(b"0\r\n\r\n")

    def _pieces(self) -> Iterator[bytes]:
        coded = self.headers.get("Transfer-Encoding", "").lower() == "chunked"
        left = 0 if coded else int(self.headers.get("Content-Length", 0))
        while left and (piece := self.rfile.read1(left)):
            left -= len(piece)
            yield piece
        if coded:
            while size := int(self.rfile.readline().partition(b";")[0] or b"0", 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass


class _Threads(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.records: list[Record] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """A handler that raises closes its connection, as it does in a server that is not watched."""


@asynccontextmanager
async def stdlib_server() -> AsyncIterator[Server]:
    """In threads."""
    with _Threads() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield Server("http.server", server.server_address[:2], server.records)  # type: ignore[arg-type]
        finally:
            server.shutdown()
            thread.join()


# ---------------------------------------------------------------- uvicorn


@asynccontextmanager
async def uvicorn_server(http: str) -> AsyncIterator[Server]:
    """In a process: MLServer's own uvicorn. The socket listens before it starts, so nobody has to wait for it."""
    home = environment("mlserver") / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    with listener() as sock:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", sys.executable, asgi.__file__, str(sock.fileno()), http],
            env={"PYTHONPATH": str(home / "site-packages"), "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=Path(asgi.__file__).parent,
            pass_fds=(sock.fileno(),),
            stderr=subprocess.PIPE,
        )
        try:
            yield Server(f"uvicorn with {http}", sock.getsockname(), None)
        finally:
            process.kill()
            _, log = process.communicate()
            assert not log, log.decode()


SERVERS: dict[str, Callable[[], AbstractAsyncContextManager[Server]]] = {
    "aiohttp": aiohttp_server,
    "http.server": stdlib_server,
    "uvicorn with h11": partial(uvicorn_server, "h11"),
    "uvicorn with httptools": partial(uvicorn_server, "httptools"),
}
