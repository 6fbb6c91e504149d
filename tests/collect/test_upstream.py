"""One scrape against real listeners: every way to answer it, over TCP, TLS and Unix sockets."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from exporter.collect import upstream
from exporter.collect.contract import Place
from exporter.collect.upstream import MAX_BYTES, OUTCOMES, TEXT_FIRST, Outcomes, Refused, Scraped, scrape
from tests.proxy.secure import presenting, trusting

Answer = Callable[[bytes], bytes | None]


class Held(bytes):
    """An answer after which the connection stays open."""


def http(body: bytes, head: str = "", status: str = "200 OK") -> bytes:
    length = "" if "transfer-encoding" in head else f"content-length: {len(body)}\r\n"
    return f"HTTP/1.1 {status}\r\n{length}{head}\r\n".encode() + body


@asynccontextmanager
async def server(
    answer: Answer, where: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Any, list[bytes]]]:
    """Gives each request head its answer (None: keeps it waiting), on a connection of its own."""
    heads: list[bytes] = []
    tasks: set[Any] = set()
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            found = answer(heads[-1])
            writer.write(found or b"")
            await writer.drain()
            if found is None or isinstance(found, Held):
                await done.wait()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    if where.startswith("/"):
        listening = await asyncio.start_unix_server(serve, where)
        address: Any = where
    else:
        listening = await asyncio.start_server(serve, where, 0, ssl=tls)
        address = listening.sockets[0].getsockname()[:2]
    try:
        yield address, heads
    finally:
        done.set()
        listening.close()
        await listening.wait_closed()
        await asyncio.gather(*tasks)


async def refusal(answer: bytes | None, path: str = "/metrics", seconds: float = 5.0) -> str:
    async with server(lambda head: answer) as (address, _):
        with pytest.raises(Refused) as caught:
            await scrape(Place(address, path), TEXT_FIRST, seconds)
    assert str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize("where", ["127.0.0.1", "::1", "unix"])
async def test_scraped(tmp_path: Path, where: str) -> None:
    """Body and content type, over IPv4, IPv6 and a Unix socket; the request says what it takes and for how long."""
    where = str(tmp_path / "s") if where == "unix" else where
    async with server(lambda head: http(b"a 1\n", "content-type: text/plain\r\n"), where) as (address, heads):
        found = await scrape(Place(address, "/m?x=%20"), TEXT_FIRST, 5.0)
    assert found == Scraped(b"a 1\n", "text/plain")
    head = heads[0].decode().lower()
    assert head.startswith("get /m?x=%20 http/1.1\r\n")
    for field in (f"accept: {TEXT_FIRST}", "accept-encoding: gzip", "user-agent: modeltap/"):
        assert field in head
    assert "x-prometheus-scrape-timeout-seconds: 5.000" in head


async def test_tls() -> None:
    """Over TLS with the model's authority, and the name that its certificate has; another name is refused."""
    async with server(lambda head: http(b"a 1\n"), tls=presenting()) as (address, heads):
        place = Place(address, "/metrics", trusting, "model")
        assert (await scrape(place, TEXT_FIRST, 5.0)).body == b"a 1\n"
        assert str(place) == f"https://127.0.0.1:{address[1]}/metrics"
        for other in (
            Place(address, "/metrics", trusting, "stranger"),
            Place(address, "/metrics", ssl.create_default_context),
        ):
            with pytest.raises(Refused) as caught:
                await scrape(other, TEXT_FIRST, 5.0)
            assert caught.value.reason == "unreachable"
    assert len(heads) == 1


async def test_a_tls_file_that_cannot_be_read() -> None:
    """It is a refusal with its reason, not the end of the analysis."""

    def broken() -> ssl.SSLContext:
        raise OSError("ca.pem: cannot be read")

    with pytest.raises(Refused, match=r"ca\.pem: cannot be read"):
        await scrape(Place(("127.0.0.1", 1), "/metrics", broken), TEXT_FIRST, 5.0)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        *((http(b"", "", f"{code} X"), "absent") for code in (404, 405, 410, 501)),
        *((http(b"", "", f"{code} X"), "status") for code in (204, 304, 401, 403, 500, 503)),
        (http(b"", "location: http://192.0.2.1/metrics\r\n", "302 Found"), "redirect"),
        (http(b"", "location: https://127.0.0.1/metrics\r\n", "307 X"), "redirect"),
        (http(b"", "location: //192.0.2.1/\r\n", "308 X"), "redirect"),
        (http(b"", "location: /metrics\r\n", "301 X"), "redirect"),
        (http(b"", "", "302 Found"), "redirect"),
        (http(b"x" * (MAX_BYTES + 1)), "too_large"),
        (http(gzip.compress(b"x" * (MAX_BYTES + 1), mtime=0), "content-encoding: gzip\r\n"), "too_large"),
        (http(b"a 1\n", "content-encoding: gzip\r\n"), "encoding"),
        (http(gzip.compress(b"a 1\n", mtime=0)[:-4], "content-encoding: gzip\r\n"), "encoding"),
        (http(gzip.compress(b"a 1\n", mtime=0) + b"x", "content-encoding: gzip\r\n"), "encoding"),
        (http(b"a 1\n", "content-encoding: br\r\n"), "encoding"),
        (b"SSH-2.0-x\r\n\r\n", "unreachable"),
        (b"", "unreachable"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\na 1\n", "unreachable"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100_000 + b"\r\n\r\n", "unreachable"),
        (http(b"5\r\na 1\n", "transfer-encoding: chunked\r\n"), "unreachable"),
    ],
)
async def test_refusals(answer: bytes, reason: str) -> None:
    """Whatever is not 200 with a whole body of a bearable size has its reason; nothing else is raised."""
    assert await refusal(answer) == reason


async def test_gzip_is_undone() -> None:
    """A compressed answer is its text; identity and an unnamed coding are as they come."""
    for coding, body in (
        ("gzip", gzip.compress(b"a 1\n", mtime=0)),
        ("x-gzip", gzip.compress(b"a 1\n", mtime=0)),
        ("identity", b"a 1\n"),
    ):
        head = f"content-encoding: {coding}\r\n"
        async with server(lambda _, head=head, body=body: http(body, head)) as (address, _):
            assert (await scrape(Place(address), TEXT_FIRST, 5.0)).body == b"a 1\n"


async def test_a_redirect_to_the_same_origin_is_followed() -> None:
    """Servers that mount /metrics send a scraper to /metrics/."""

    def answer(head: bytes) -> bytes:
        if head.startswith(b"GET /metrics/ "):
            return http(b"a 1\n")
        return http(b"", "location: /metrics/\r\n", "307 Temporary Redirect")

    async with server(answer) as (address, heads):
        assert (await scrape(Place(address), TEXT_FIRST, 5.0)).body == b"a 1\n"
    assert len(heads) == 2


async def test_a_server_that_hangs() -> None:
    """It costs the given time and no more, with its head or its body missing."""
    assert await refusal(None, seconds=0.05) == "timeout"
    assert (
        await refusal(Held(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\na 1\n"), seconds=0.05) == "timeout"
    )


@pytest.mark.parametrize("address", [("127.0.0.1", 1), ("x" * 300, 80), ("", 0), "/nowhere/s", ("a b", 80)])
async def test_unreachable(address: Any) -> None:
    """An address where nobody listens, or that is none, is a refusal."""
    with pytest.raises(Refused) as caught:
        await scrape(Place(address), TEXT_FIRST, 5.0)
    assert caught.value.reason == "unreachable"


def test_outcomes_exist_from_the_start() -> None:
    """All of them at 0, then counted one by one."""
    outcomes = Outcomes("signals", 5.0)
    assert [(one.labels, one.value) for one in outcomes.samples()] == [
        (("signals", word), 0) for word in OUTCOMES
    ]
    outcomes.count("timeout")
    assert {one.labels[1]: one.value for one in outcomes.samples() if one.value} == {"timeout": 1}
    assert {one.created for one in outcomes.samples()} == {5.0}


def test_places_as_text() -> None:
    """A place is told as an owner would write it."""
    assert str(Place("/run/model.sock", "/m")) == "unix:/run/model.sock /m"
    assert str(Place(("::1", 80))) == "http://[::1]:80/metrics"
    assert upstream.MAX_BYTES == 8 << 20
