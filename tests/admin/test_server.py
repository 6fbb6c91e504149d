"""admin.py: GET /metrics over a real socket, one scrape at a time."""

import asyncio
import contextlib
import gzip
import socket
import time
import zlib
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
import zstandard

from exporter.admin import server as admin
from exporter.publish.negotiation import OPENMETRICS, TEXT

Body = Callable[[aiohttp.ClientSession, str], Awaitable[None]]


def serve(render: admin.Render, body: Body, **options: object) -> None:
    """Run `body(session, address)` against the admin side."""

    async def main() -> None:
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        runner = await admin.serve(sock, admin.Pages(render))
        try:
            async with aiohttp.ClientSession(**options) as session:  # type: ignore[arg-type]
                await body(session, f"http://127.0.0.1:{sock.getsockname()[1]}")
        finally:
            await runner.cleanup()

    asyncio.run(main())


async def echo(accept: str, names: frozenset[str]) -> tuple[bytes, str]:
    """What was asked for, as the body."""
    return f"{accept}|{','.join(sorted(names))}".encode(), OPENMETRICS if "openmetrics" in accept else TEXT


def test_accept_and_names_reach_the_renderer() -> None:
    """Repeated Accept headers are joined, `name[]` is a set, the content type is the renderer's."""

    async def body(session: aiohttp.ClientSession, address: str) -> None:
        headers = [("Accept", "application/openmetrics-text"), ("Accept", "text/plain;q=0.5")]
        url = f"{address}/metrics?name[]=b&name[]=a&name[]=a"
        async with session.get(url, headers=headers) as response:
            assert response.headers["Content-Type"] == OPENMETRICS
            assert await response.text() == "application/openmetrics-text, text/plain;q=0.5|a,b"

    serve(echo, body)


UNDO: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "zstd": lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body),
    "": bytes,
}


@pytest.mark.parametrize(
    ("asked", "coding"),
    [
        *(("gzip", "gzip"), ("deflate", "deflate"), ("zstd", "zstd"), ("gzip, zstd", "zstd"), ("*", "zstd")),
        *(("zstd;q=0.5, gzip", "gzip"), ("gzip;q=0", ""), ("identity", ""), ("br", ""), (";;q=,x", "")),
        *(("x-gzip", "gzip"), ("*;q=0.1, zstd;q=0, gzip;q=0.5", "gzip"), ("GZIP; q=1.0", "gzip")),
    ],
)
def test_coding_is_the_one_that_is_asked_for(asked: str, coding: str) -> None:
    """Weights decide, zstd before gzip; the body is the same behind it, and the length is told."""

    async def render(accept: str, names: frozenset[str]) -> tuple[bytes, str]:
        return b"m 1\n" * 1000, TEXT

    async def body(session: aiohttp.ClientSession, address: str) -> None:
        async with session.get(f"{address}/metrics", headers={"Accept-Encoding": asked}) as response:
            assert response.headers.get("Content-Encoding", "") == coding
            assert response.headers["Vary"] == "Accept, Accept-Encoding"
            found = await response.read()
            assert len(found) == int(response.headers["Content-Length"])
            assert UNDO[coding](found) == b"m 1\n" * 1000

    serve(render, body, auto_decompress=False)


@pytest.mark.parametrize("size", [10, 1 << 20])
def test_compression_is_used_if_accepted(size: int) -> None:
    """A scraper that takes gzip gets it, small bodies and large; one that does not gets plain bytes."""

    async def render(accept: str, names: frozenset[str]) -> tuple[bytes, str]:
        return b"m 1\n" * size, TEXT

    async def body(session: aiohttp.ClientSession, address: str) -> None:
        async with session.get(f"{address}/metrics", headers={"Accept-Encoding": "gzip"}) as response:
            assert response.headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(await response.read()) == b"m 1\n" * size
        async with session.get(f"{address}/metrics", headers={"Accept-Encoding": "identity"}) as response:
            assert "Content-Encoding" not in response.headers
            assert len(await response.read()) == 4 * size

    serve(render, body, auto_decompress=False)


def test_index_points_to_the_metrics_and_nothing_else_is_there() -> None:
    """The index names /metrics; other paths are 404, other methods 405."""

    async def body(session: aiohttp.ClientSession, address: str) -> None:
        async with session.get(f"{address}/") as response:
            assert "/metrics" in await response.text()
        async with session.get(f"{address}/debug") as response:
            assert response.status == 404
        async with session.post(f"{address}/metrics") as response:
            assert response.status == 405

    serve(echo, body)


def test_storm_of_scrapes_is_rendered_one_by_one_and_refused_over_the_bound() -> None:
    """Never two renderings at once; so many wait, the others get 503 with Retry-After; then it works again."""
    running, most = 0, 0
    gate = asyncio.Event()

    async def render(accept: str, names: frozenset[str]) -> tuple[bytes, str]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1
        return b"", TEXT

    async def body(session: aiohttp.ClientSession, address: str) -> None:
        async def get() -> tuple[int, str]:
            async with session.get(f"{address}/metrics") as response:
                refused = response.status == 503
                if refused:
                    gate.set()
                return response.status, response.headers.get("Retry-After", "")

        answers = await asyncio.gather(*(get() for _ in range(admin.MAX_WAITING + 10)))
        assert set(answers) == {(200, ""), (503, "1")}
        assert sum(status == 200 for status, _ in answers) >= admin.MAX_WAITING
        assert (await get())[0] == 200
        assert most == 1

    serve(render, body, connector=None)


def test_scraper_that_leaves_gives_its_place_back() -> None:
    """A client that hangs up while it waits blocks nobody."""
    gate = asyncio.Event()

    async def render(accept: str, names: frozenset[str]) -> tuple[bytes, str]:
        await gate.wait()
        return b"", TEXT

    async def body(session: aiohttp.ClientSession, address: str) -> None:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await session.get(f"{address}/metrics")
        gate.set()
        async with session.get(f"{address}/metrics") as response:
            assert response.status == 200

    serve(render, body)


LARGE = 8 << 20  # more than any socket buffer takes


async def large(accept: str, names: frozenset[str]) -> tuple[bytes, str]:
    """A large body for whoever filters."""
    return bytes(LARGE) if names else b"", TEXT


async def slow(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A scraper that has read one byte of a large body, and reads no further by itself."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1)
    writer.write(b"GET /metrics?name[]=x HTTP/1.1\r\nHost: a\r\n\r\n")
    assert await reader.readexactly(1) == b"H"
    return reader, writer


def test_scrapers_that_take_a_byte_a_second() -> None:
    """They keep nobody from being answered, and hold so many places at most; who leaves gives his back."""

    async def body(session: aiohttp.ClientSession, address: str) -> None:
        writers = []
        for _ in range(admin.MAX_SENDING):
            assert await status_of(session, address) == 200
            writers.append((await slow(address))[1])
        async with session.get(f"{address}/metrics") as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "1")
        for writer in writers:
            writer.transport.abort()
        async with asyncio.timeout(60):
            while (await status_of(session, address)) != 200:
                await asyncio.sleep(0.05)

    serve(large, body)


def test_a_scraper_has_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has not taken all by then is cut off, and his place is another's."""
    monkeypatch.setattr(admin, "SEND_SECONDS", 0.2)
    monkeypatch.setattr(admin, "MAX_SENDING", 1)

    async def body(session: aiohttp.ClientSession, address: str) -> None:
        reader, writer = await slow(address)
        async with asyncio.timeout(60):
            while (await status_of(session, address)) != 200:
                await asyncio.sleep(0.05)
            size = 0
            with contextlib.suppress(ConnectionError):
                while piece := await reader.read(1 << 20):
                    size += len(piece)
        assert size < LARGE
        writer.close()

    serve(large, body)


async def status_of(session: aiohttp.ClientSession, address: str) -> int:
    """Of a scrape."""
    async with session.get(f"{address}/metrics") as response:
        return response.status


@pytest.mark.parametrize(
    "query", ["name[]=" + "x" * (1 << 20), "&".join(["name[]=x"] * 100_000)], ids=["one name", "many"]
)
def test_a_query_of_a_megabyte(query: str) -> None:
    """It is refused before anybody reads it, and the next one is answered."""

    async def body(session: aiohttp.ClientSession, address: str) -> None:
        host, _, port = address.removeprefix("http://").rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET /metrics?{query} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        answer = await reader.read(64)
        assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))
        writer.close()
        assert await status_of(session, address) == 200

    serve(echo, body)


AWAITED = (
    # begun at, of one scraper; the drain was over at 100, it is 101 now
    ("nobody scrapes", (), 15.0, False),
    ("one scrape is no interval", (95.0,), 15.0, False),
    ("due in four seconds", (90.0, 97.5), 15.0, True),
    ("due after the wait", (90.0, 97.5), 3.0, False),
    ("two intervals ago", (86.0, 91.0), 15.0, True),
    ("longer ago than two intervals", (86.2, 91.0), 15.0, False),
    ("overdue, but not long", (85.0, 92.0), 0.5, True),
    ("came since the drain", (90.0, 97.5, 100.5), 15.0, False),
)


@pytest.mark.parametrize(
    ("times", "seconds", "awaited"), [row[1:] for row in AWAITED], ids=[row[0] for row in AWAITED]
)
def test_who_is_waited_for(times: tuple[float, ...], seconds: float, awaited: bool) -> None:
    """A scraper that was here within two of its own intervals, has not come since the drain, and is due in time."""
    scrapes = admin.Scrapes()
    for at in times:
        scrapes.came("10.0.0.1", at)
    assert scrapes.awaited(100.0, 101.0, seconds) is awaited


def test_scrapers_are_told_apart_and_bounded() -> None:
    """Two scrapers in turn do not look like one that scrapes twice as often; the longest unseen is forgotten."""
    scrapes = admin.Scrapes()
    for at in (60.0, 90.0):
        scrapes.came("10.0.0.1", at)
        scrapes.came("10.0.0.2", at + 0.1)
    assert scrapes.awaited(100.0, 101.0, 30.0)
    for number in range(admin.MAX_WAITING):
        scrapes.came(f"10.0.1.{number}", 99.0)
    assert not scrapes.awaited(100.0, 101.0, 30.0)
    assert len(scrapes._times) == admin.MAX_WAITING


def test_the_last_scrape_is_waited_for() -> None:
    """The wait ends with the scrape that was awaited, and not with one that began before the drain was over."""

    async def render(accept: str, names: frozenset[str]) -> tuple[bytes, str]:
        return b"m 1\n", TEXT

    async def main() -> None:
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        scrapes, now = admin.Scrapes(), time.monotonic()
        scrapes.came("127.0.0.1", now - 60)
        scrapes.came("127.0.0.1", now - 10)
        runner = await admin.serve(sock, admin.Pages(render, scrapes))
        try:
            async with aiohttp.ClientSession() as session, asyncio.timeout(20):
                waiting = asyncio.ensure_future(scrapes.last(now, 300.0))
                scrapes.came("127.0.0.2", now - 1)
                await asyncio.sleep(0.01)
                assert not waiting.done()
                async with session.get(f"http://127.0.0.1:{sock.getsockname()[1]}/metrics") as response:
                    assert await response.text() == "m 1\n"
                await waiting
                assert scrapes._times["127.0.0.1"][0] == now - 10
        finally:
            await runner.cleanup()

    asyncio.run(main())


def test_the_wait_for_a_last_scrape_is_bounded() -> None:
    """Nobody comes: it ends with its seconds."""
    scrapes, now = admin.Scrapes(), time.monotonic()
    scrapes.came("127.0.0.1", now - 2)
    scrapes.came("127.0.0.1", now - 1.98)

    async def main() -> None:
        scrapes.came("127.0.0.1", now)
        async with asyncio.timeout(20):
            await scrapes.last(now + 1, 0.1)
            await scrapes.last(now + 1, -1.0)

    asyncio.run(main())
