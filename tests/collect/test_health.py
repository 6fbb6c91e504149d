"""The probe against real listeners: up, refusing, failing, hanging, redirecting."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from exporter.collect.contract import Unavailable
from exporter.collect.health import HealthProbe

NOW = 2_000_000_000.0


@asynccontextmanager
async def upstream(answer: bytes | None, where: str = "127.0.0.1") -> AsyncIterator[tuple[Any, list[bytes]]]:
    """A server that gives every request that answer (None: keeps it waiting), and the heads it saw."""
    heads: list[bytes] = []
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            if answer is None:
                await done.wait()
            else:
                writer.write(answer)
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass  # a probe that only connects
        finally:
            writer.close()

    if where.startswith("/"):
        server = await asyncio.start_unix_server(serve, where)
        address: Any = where
    else:
        server = await asyncio.start_server(serve, where, 0)
        address = server.sockets[0].getsockname()[:2]
    try:
        yield address, heads
    finally:
        done.set()
        server.close()
        await server.wait_closed()


def status(line: str) -> bytes:
    return f"HTTP/1.1 {line}\r\ncontent-length: 0\r\nlocation: http://192.0.2.1/\r\n\r\n".encode()


async def verdict(address: Any, path: str = "", timeout: float = 5.0) -> tuple[bool, dict[str, Any]]:
    probe = HealthProbe(address, path, timeout)
    up = await probe.probe(NOW)
    return up, {each.name: each.value for each in probe.collect(NOW + 1)}


@pytest.mark.asyncio
@pytest.mark.parametrize("where", ["127.0.0.1", "::1", "unix"])
@pytest.mark.parametrize("path", ["", "/v2/health/ready?x=%20"])
async def test_up(tmp_path: Path, where: str, path: str) -> None:
    """A listener that accepts, and answers the path where there is one, is up; over IPv4, IPv6 and unix."""
    where = str(tmp_path / "s") if where == "unix" else where
    async with upstream(status("200 OK"), where) as (address, heads):
        up, found = await verdict(address, path)
    assert up
    assert found["model.up"] == 1
    assert 0 < found["model.probe.duration"] < 5
    assert [head.split(b" ")[1].decode() for head in heads] == ([path] if path else [])


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("answer", "up"),
    [
        (status("204 No Content"), True),
        (status("302 Found"), True),
        (status("503 Service Unavailable"), False),
        (status("404 Not Found"), False),
        (b"SSH-2.0-x\r\n\r\n", False),
        (b"", False),
        (b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100_000 + b"\r\n\r\n", False),
    ],
)
async def test_answers(answer: bytes, up: bool) -> None:
    """A status from 200 to 399 is up, redirects are not followed; anything else is down and not raised."""
    async with upstream(answer) as (address, heads):
        assert (await verdict(address, "/ready"))[0] is up
    assert all(head.startswith(b"GET /ready ") for head in heads)


@pytest.mark.asyncio
async def test_hanging() -> None:
    """A server that accepts and never answers is down after the timeout, and the time it took is told."""
    async with upstream(None) as (address, _):
        up, found = await verdict(address, "/ready", timeout=0.05)
    assert not up
    assert found["model.up"] == 0
    assert found["model.probe.duration"] > 0.04


@pytest.mark.asyncio
@pytest.mark.parametrize("address", [("127.0.0.1", 1), ("x" * 300, 80), ("", 0), "/nowhere/s"])
async def test_unreachable(address: Any) -> None:
    """An address where nobody listens, or that is none, is down; nothing is raised."""
    assert not (await verdict(address))[0]


@pytest.mark.asyncio
async def test_comes_back() -> None:
    """Each probe replaces what the last one saw."""
    async with upstream(status("200 OK")) as (address, _):
        probe = HealthProbe(address, "/ready")
        assert await probe.probe(NOW)
    assert not await probe.probe(NOW + 5)
    assert next(iter(probe.collect(NOW + 6))).value == 0


@pytest.mark.asyncio
async def test_stale_result_is_not_shown() -> None:
    """Before the first probe, and long after the last, there is nothing to show."""
    probe = HealthProbe("/nowhere/s", stale_after=60)
    with pytest.raises(Unavailable, match="no probe"):
        list(probe.collect(NOW))
    await probe.probe(NOW)
    assert len(list(probe.collect(NOW + 60))) == 2
    with pytest.raises(Unavailable, match="61 s old"):
        list(probe.collect(NOW + 61))


def test_bad_path() -> None:
    """A path without a slash is refused with what was expected."""
    with pytest.raises(ValueError, match="'ready': expected a path that begins with /"):
        HealthProbe(("127.0.0.1", 80), "ready")
