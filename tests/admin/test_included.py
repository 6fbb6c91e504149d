"""included.py: the upstream's part of a scrape, in time or not at all, and counted; through the admin side itself."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from exporter.admin import included
from exporter.admin import server as admin
from exporter.admin.included import MAX_WAITING, Included, budget, texts_only
from exporter.collect.contract import Place
from exporter.publish.negotiation import OPENMETRICS, TEXT, negotiate
from exporter.publish.prometheus import render
from exporter.records.sample import Sample
from tests.collect.test_upstream import Answer, http, server
from tests.publish.families import parsed

OURS = [Sample("model.up", (), 1), Sample("modeltap.restarts", ("analysis", "exit"), 2, 1e9)]
THEIRS = b'# TYPE a_total counter\na_total{x="1"} 5\n# TYPE model_up gauge\nmodel_up 7\n'
PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"


async def rendered(accept: str, names: frozenset[str]) -> tuple[bytes, str]:
    return render(OURS, accept, names)


@asynccontextmanager
async def served(
    answer: Answer | None, always: bool = False
) -> AsyncIterator[tuple[str, Included, list[bytes]]]:
    """The admin side before a server (None: nobody listens there)."""
    async with server(answer or (lambda head: b"")) as (address, heads):
        place = Place(address if answer else ("127.0.0.1", 1))
        part = Included(lambda: place, always, 5.0)
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        runner = await admin.serve(sock, admin.Pages(rendered, included=part))
        try:
            yield f"http://127.0.0.1:{sock.getsockname()[1]}/metrics", part, heads
        finally:
            await runner.cleanup()


async def get(url: str, accept: str = "text/plain", timeout: str = "10") -> tuple[str, str]:
    headers = {"Accept": accept, "X-Prometheus-Scrape-Timeout-Seconds": timeout}
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        assert response.status == 200, await response.text()
        return await response.text(), response.headers["Content-Type"]


def counts(part: Included) -> dict[tuple[str, ...], Any]:
    return {one.labels: one.value for one in part.samples() if one.value}


@pytest.mark.parametrize(
    "accept", ["text/plain", "application/openmetrics-text", f"{PROTOBUF},text/plain;q=0.5"]
)
async def test_merged(accept: str) -> None:
    """Both parts in one answer, in the scraper's format; a clash is renamed and counted."""
    openmetrics = "openmetrics" in accept
    async with served(lambda head: http(THEIRS, "content-type: text/plain\r\n")) as (url, part, heads):
        text, kind = await get(f"{url}?include=upstream", accept)
    assert kind == (OPENMETRICS if openmetrics else TEXT)
    found = parsed(text, openmetrics)
    assert found["a_total", (("x", "1"),)] == "5.0"
    assert found["model_up", ()] == "1.0"
    assert found["upstream_model_up", ()] == "7.0"
    assert counts(part) == {("merge", "scraped"): 1, (): 2, ("name_clash",): 1}
    assert b"x-prometheus-scrape-timeout-seconds: 9.0" in heads[0].lower() or b": 8.9" in heads[0].lower()
    preferred = b"accept: application/openmetrics-text" if openmetrics else b"accept: text/plain"
    assert preferred in heads[0].lower()


async def test_only_where_it_is_wanted() -> None:
    """By the query, or by the setting unless the query says otherwise; what else it says is refused."""
    async with served(lambda head: http(b"a 1\n")) as (url, _, _heads):
        assert "\na 1" not in (await get(url))[0]
        assert "\na 1" in (await get(f"{url}?include=upstream"))[0]
        async with aiohttp.ClientSession() as session, session.get(f"{url}?include=all") as response:
            assert response.status == 400
            assert await response.text() == "include: expected upstream or own\n"
    async with served(lambda head: http(b"a 1\n"), always=True) as (url, _, _heads):
        assert "\na 1" in (await get(url))[0]
        assert "\na 1" not in (await get(f"{url}?include=own"))[0]
        assert (await get(f"{url}?name[]=a"))[0] == "a 1\n"
        assert "a 1" not in (await get(f"{url}?name[]=model_up"))[0]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (http(b"", "", "404 X"), "absent"),
        (http(b"", "", "500 X"), "status"),
        (http(b"<html>", "content-type: text/html\r\n"), "not_metrics"),
        (http(b"a\n", "content-type: text/plain\r\n"), "malformed"),
        (http(b"a 1\n", "content-type: application/openmetrics-text\r\n"), "malformed"),
        (http(b"\xff\n"), "malformed"),
        (b"garbage\r\n\r\n", "unreachable"),
    ],
)
@pytest.mark.parametrize("accept", ["text/plain", "application/openmetrics-text"])
async def test_our_part_is_served_whatever_theirs_is(answer: bytes, outcome: str, accept: str) -> None:
    """Dead, failing or talking garbage: our own scrape, byte by byte, and a count."""
    async with served(lambda head: answer) as (url, part, _):
        assert (await get(f"{url}?include=upstream", accept))[0].encode() == render(OURS, accept)[0]
    assert counts(part) == {("merge", outcome): 1}


async def test_a_server_that_hangs_costs_its_share_of_the_time() -> None:
    """The scraper has its answer before its own time is over; other scrapes are not kept waiting."""
    async with served(lambda head: None) as (url, part, _):
        waiting = asyncio.ensure_future(get(f"{url}?include=upstream", timeout="0.4"))
        assert "model_up 1" in (await get(url))[0]
        assert "model_up 1" in (await waiting)[0]
    assert counts(part) == {("merge", "timeout"): 1}


async def test_a_dead_server() -> None:
    """Nobody listens: at once."""
    async with served(None) as (url, part, _):
        assert "model_up 1" in (await get(f"{url}?include=upstream"))[0]
    assert counts(part) == {("merge", "unreachable"): 1}


async def test_a_storm_asks_the_server_one_by_one() -> None:
    """So many wait for it, the others go without; nobody goes without our part."""
    running = most = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(http(b"a 1\n"))
        running -= 1
        writer.close()
        await writer.wait_closed()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    place = Place(listening.sockets[0].getsockname()[:2])
    part = Included(lambda: place, True, 5.0)
    found = await asyncio.gather(*(part.fetch("", 5.0) for _ in range(MAX_WAITING + 6)))
    listening.close()
    await listening.wait_closed()
    assert most == 1
    assert sum(one is not None for one in found) == MAX_WAITING
    assert counts(part) == {("merge", "busy"): 6}


async def test_waiting_for_others_is_part_of_the_time() -> None:
    """Whoever waits behind a hanging scrape gives up in its own time."""
    async with server(lambda head: None) as (address, heads):
        part = Included(lambda: Place(address), True, 5.0)
        first, second = await asyncio.gather(part.fetch("", 0.3), part.fetch("", 0.05))
    assert first is second is None
    assert len(heads) == 1
    assert counts(part) == {("merge", "timeout"): 2}


async def test_switched_off() -> None:
    """Where nothing is read there is nothing to merge."""
    part = Included(lambda: None, True, 5.0)
    assert await part.fetch("", 5.0) is None
    assert counts(part) == {("merge", "absent"): 1}


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        *(("10", 9.0), ("1", 0.5), ("0.1", 0.05), ("2", 1.0), ("1e9", 60.0), ("inf", 60.0)),
        *(("", 5.0), ("x", 5.0), ("0", 5.0), ("-1", 5.0), ("nan", 5.0)),
    ],
)
def test_budget(header: str, seconds: float) -> None:
    """A scraper's time less a second, at least half of it, and never without a bound."""
    assert budget(header) == pytest.approx(seconds)


def test_protobuf_is_not_merged() -> None:
    """The rest of an Accept header decides; protobuf alone becomes text."""
    assert (
        negotiate(texts_only(f"{PROTOBUF},application/openmetrics-text;version=1.0.0;q=0.6")) == OPENMETRICS
    )
    assert negotiate(texts_only(PROTOBUF)) == TEXT
    assert included.MAX_WAITING < admin.MAX_WAITING
