"""Listening is read from the kernel, readiness is asked for."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.supervise.starting import Place, answers, listening


def test_listening_sockets() -> None:
    """A TCP socket of either family and a Unix socket are seen when they listen, not when they are merely bound."""
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family) as sock:
            sock.bind((host, 0))
            place = Place(host, sock.getsockname()[1])
            assert listening(place) == frozenset()
            sock.listen()
            assert len(listening(place)) == 1
        assert listening(place) == frozenset()


def test_unix_sockets(tmp_path: Path) -> None:
    """The same for a path."""
    place = Place(path=str(tmp_path / "m.sock"))
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(place.path)
        assert listening(place) == frozenset()
        sock.listen()
        assert len(listening(place)) == 1
    assert listening(place) == frozenset()


def test_a_proc_that_is_not_there(tmp_path: Path) -> None:
    """Tables that cannot be read, or are in no known form, show no socket."""
    assert listening(Place("127.0.0.1", 80), tmp_path) == frozenset()
    (tmp_path / "self/net").mkdir(parents=True)
    (tmp_path / "self/net/tcp").write_text("head\n 0: 0100007F:0050\n\n 1: x y 0A\n")
    (tmp_path / "self/net/unix").write_text("head\nnothing\n")
    assert listening(Place("127.0.0.1", 80), tmp_path) == frozenset()
    assert listening(Place(path="/x"), tmp_path) == frozenset()


ANSWERS: tuple[tuple[bytes, bool], ...] = (
    (b"HTTP/1.1 200 OK\r\n\r\n", True),
    (b"HTTP/1.0 302 Found\r\nLocation: /x\r\n\r\n", True),
    (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", False),
    (b"HTTP/1.1 404 Not Found\r\n\r\n", False),
    (b"SSH-2.0-OpenSSH\r\n", False),
    (b"x" * 100_000, False),
    (b"", False),
)


async def served(answer: bytes, ask: Callable[[int], "asyncio.Future[bool]"]) -> bool:
    """What `ask` finds of a server that answers so."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        return await ask(server.sockets[0].getsockname()[1])


@pytest.mark.parametrize(("answer", "ready"), ANSWERS)
async def test_readiness(answer: bytes, ready: bool) -> None:
    """2xx and 3xx are ready; any other status, another protocol, a line without end or none at all are not."""
    found = await served(
        answer, lambda port: asyncio.ensure_future(answers(Place("127.0.0.1", port, ready_path="/ready"), 20))
    )
    assert found is ready


async def test_a_connection_is_enough() -> None:
    """Without a path a server that takes the connection is ready; nobody and a silent one are not."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        assert await answers(Place("127.0.0.1", port), 20)
        assert not await answers(Place("127.0.0.1", port, ready_path="/"), 0.05)
    assert not await answers(Place("127.0.0.1", port), 20)
    assert not await answers(Place(path="/no/such/socket"), 20)
