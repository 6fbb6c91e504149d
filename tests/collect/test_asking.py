"""The question against real listeners: every way not to answer has its reason, and none of them takes long."""

import asyncio
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from exporter.collect.asking import MAX_HEAD, REASONS, Asking, Failure, Times, reason_of
from exporter.collect.contract import Place

READY = "/v2/health/ready"


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(
    serve: Serve, where: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Any]:
    """The address of a server that serves each connection so; it leaves none of them behind."""
    tasks: list[asyncio.Task[Any]] = []

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, OSError):
            pass  # a probe that only connects, or has heard enough
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    if where.startswith("/"):
        server = await asyncio.start_unix_server(one, where)
    else:
        server = await asyncio.start_server(one, where, 0, ssl=tls)
    try:
        yield where if where.startswith("/") else server.sockets[0].getsockname()[:2]
    finally:
        server.close()
        await server.wait_closed()
        for _ in range(10):
            await asyncio.sleep(0)  # what was accepted a moment ago becomes a task
        async with asyncio.timeout(20):
            await asyncio.gather(*tasks)


@asynccontextmanager
async def upstream(
    answer: bytes | None, where: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Any, list[bytes]]]:
    """A server that gives every request that answer (None: keeps it waiting), and the heads it saw."""
    heads: list[bytes] = []
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        if answer is None:
            await done.wait()
        else:
            writer.write(answer)
            await writer.drain()

    async with serving(serve, where, tls) as address:
        try:
            yield address, heads
        finally:
            done.set()


def status(line: str) -> bytes:
    """A whole answer."""
    return f"HTTP/1.1 {line}\r\ncontent-length: 0\r\nlocation: http://192.0.2.1/\r\n\r\n".encode()


async def verdict(place: Place, seconds: float = 20.0) -> str:
    """The reason why not, "" if it is ready."""
    try:
        async with asyncio.timeout(seconds):
            await Asking().ask(place, Times())
    except Failure as failure:
        assert failure.reason in REASONS
        return failure.reason
    except TimeoutError:
        return "timeout"
    return ""


@pytest.mark.parametrize("where", ["127.0.0.1", "::1", "unix"])
@pytest.mark.parametrize("path", ["", "/v2/health/ready?x=%20"])
async def test_ready(tmp_path: Path, where: str, path: str) -> None:
    """A listener that accepts, and answers the path where there is one, is ready; over IPv4, IPv6 and unix."""
    where = str(tmp_path / "s") if where == "unix" else where
    times = Times()
    async with upstream(status("200 OK"), where) as (address, heads):
        await Asking().ask(Place(address, path), times)
    assert [head.split(b" ")[1].decode() for head in heads] == ([path] if path else [])
    assert times.connect is not None and 0 < times.connect < 5
    assert (times.round_trip is None) is where.startswith("/")
    assert times.round_trip is None or 0 < times.round_trip < 5


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (status("204 No Content"), ""),
        (b"HTTP/1.0 200\r\n\r\n", ""),
        (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + status("200 OK"), ""),
        (status("200 OK") + b"x" * 5_000_000, ""),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 9, "malformed"),
        (status("302 Found"), "redirect"),
        (status("503 Service Unavailable"), "status"),
        (status("404 Not Found"), "status"),
        (b"SSH-2.0-x\r\n\r\n", "malformed"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "malformed"),
        (b"", "closed"),
        (b"HTTP/1.1 200 OK\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"a" * MAX_HEAD + b"\r\n\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 500_000, "malformed"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "malformed"),
    ],
)
async def test_answers(answer: bytes, reason: str) -> None:
    """Only 2xx is ready; no redirect is followed, garbage and floods of fields are cut off, bodies not read."""
    async with upstream(answer) as (address, heads):
        assert await verdict(Place(address, READY)) == reason
    assert all(head.startswith(b"GET /v2/health/ready HTTP/1.1\r\nHost: 127.0.0.1:") for head in heads)


async def test_hanging() -> None:
    """A server that accepts and never answers is waited for until the caller has enough."""
    async with upstream(None) as (address, _):
        assert await verdict(Place(address, READY), 0.05) == "timeout"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        (("127.0.0.1", 1), "refused"),
        (("x" * 300, 80), "dns"),
        (("", 0), "dns"),
        ("/nowhere/s", "refused"),
        ("/" + "n" * 200, "unreachable"),
    ],
)
async def test_unreachable(address: Any, reason: str) -> None:
    """Where nobody listens, or where there is no address, there is a word for it and no other exception."""
    assert await verdict(Place(address, "")) == reason


async def test_reset() -> None:
    """A connection that is reset where an answer should be."""

    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        linger = struct.pack("ii", 1, 0)  # a close that resets
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    async with serving(reset) as address:
        assert await verdict(Place(address, READY)) == "reset"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """For localhost, signed by itself."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


@pytest.mark.parametrize("path", ["", READY])
@pytest.mark.parametrize(
    ("trusted", "name", "reason"), [(True, "localhost", ""), (False, "localhost", "tls")]
)
async def test_tls(certificate: tuple[Path, Path], path: str, trusted: bool, name: str, reason: str) -> None:
    """TLS is spoken where the upstream does, a certificate that nobody vouches for is a failure of its own."""
    cert, key = certificate
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(cert, key)
    ours = ssl.create_default_context(cafile=str(cert) if trusted else None)
    async with upstream(status("200 OK"), tls=theirs) as (address, _):
        assert await verdict(Place(address, path, lambda: ours, name)) == reason


async def test_tls_to_a_server_without_it() -> None:
    """Neither plain HTTP nor files that cannot be read is mistaken for an answer."""

    def broken() -> ssl.SSLContext:
        raise OSError("no such file")

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(status("400 Bad Request"))

    async with serving(plain) as address:
        assert await verdict(Place(address, READY, ssl.create_default_context)) == "tls"
        assert await verdict(Place(address, READY, broken)) == "tls"


async def test_an_address_is_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number needs no thread: where none is free the model is asked all the same."""

    def busy(*_: Any) -> Any:
        raise AssertionError("a thread was asked for")

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(silent) as address:
        monkeypatch.setattr(asyncio.get_running_loop(), "run_in_executor", busy)
        await Asking().ask(Place(address, ""), Times())


async def test_a_resolver_that_hangs_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probes that give up leave one search behind, which the next one takes up; its end is told to who waits then."""
    asked = 0
    answer = threading.Event()

    def resolved(host: str, port: int, flags: int = 0) -> list[Any]:
        nonlocal asked
        if flags:
            raise OSError("it is a name")
        asked += 1
        answer.wait(60)
        raise OSError("no answer from the resolver")

    monkeypatch.setattr("exporter.collect.asking._resolved", resolved)
    asking, place = Asking(), Place(("model.example", 80), "")
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await asking.ask(place, Times())
        assert asking.searching
    answer.set()
    with pytest.raises(Failure, match="no answer from the resolver"):
        await asking.ask(place, Times())
    assert asked == 1
    assert not asking.searching


def test_every_error_has_a_word() -> None:
    """What an event loop may raise is one of the reasons."""
    errors = [ssl.SSLError(1, "x"), TimeoutError(), ConnectionRefusedError(), ConnectionResetError()]
    errors += [
        BrokenPipeError(),
        OSError(101, "unreachable"),
        ValueError(),
        asyncio.LimitOverrunError("x", 1),
    ]
    errors += [asyncio.IncompleteReadError(b"", None), asyncio.IncompleteReadError(b"x", None)]
    words = [reason_of(error) for error in errors]
    assert words == [
        *("tls", "timeout", "refused", "reset", "reset", "unreachable", "malformed", "malformed"),
        *("closed", "malformed"),
    ]
