"""The poller: found, lost, looked for again, never shown when old; against real listeners, with `now` in our hands."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from exporter.collect.contract import OwnMetrics, Place, Unavailable
from exporter.collect.server import ServerSignals, is_exposition
from exporter.publish.exposition import readings
from exporter.records.sample import Sample

from .test_upstream import http, server

NOW = 2_000_000_000.0
VLLM = b'vllm:num_requests_waiting{model_name="m"} 3\n'
NOTHING = ("127.0.0.1", 1)


def signals(*places: Place, configured: bool = False, interval: float = 10.0) -> ServerSignals:
    return ServerSignals(OwnMetrics(places, readings, configured, interval), NOW, timeout=2.0)


def shown(poller: ServerSignals, now: float) -> dict[str, float]:
    return {one.name: one.value for one in found(poller, now) if one.name.startswith("model.")}  # type: ignore[misc]


def outcomes(poller: ServerSignals) -> dict[str, float]:
    return {
        one.labels[1]: one.value
        for one in found(poller, NOW)
        if one.name == "modeltap.upstream.scrapes" and one.value
    }  # type: ignore[misc]


def found(poller: ServerSignals, now: float) -> Iterator[Sample]:
    return iter(list(poller.collect(now)))


class Model:
    """What the server answers, by path; anything else is 404."""

    def __init__(self, **answers: bytes) -> None:
        self.answers = {f"/{path}": answer for path, answer in answers.items()}
        self.asked: list[str] = []

    def __call__(self, head: bytes) -> bytes:
        path = head.split(b" ")[1].decode()
        self.asked.append(path)
        return self.answers.get(path) or http(b"", "", "404 Not Found")


async def test_found_and_shown() -> None:
    """The first place that has metrics gives signals, and is the one that is asked from then on."""
    model = Model(metrics=http(VLLM))
    async with server(model) as (address, _):
        poller = signals(Place(address), Place(address, "/other"))
        assert shown(poller, NOW) == {}
        await poller.poll(NOW)
        assert shown(poller, NOW + 1) == {"model.queue.length": 3, "model.server.requests.waiting": 3}
        await poller.poll(NOW + 10)
    assert model.asked == ["/metrics", "/metrics"]
    assert outcomes(poller) == {"scraped": 2}
    assert poller.place == Place(address)


async def test_a_failure_shows_nothing() -> None:
    """The last good value is not shown as if it were new; the next success is."""
    model = Model(metrics=http(VLLM))
    async with server(model) as (address, _):
        poller = signals(Place(address), configured=True)
        await poller.poll(now := NOW)
        for answer, reason in (
            (http(b"a\n", "content-type: text/plain\r\n"), "malformed"),
            (http(b"a 1\n", "content-type: application/openmetrics-text\r\n"), "malformed"),
            (http(b"<html>", "content-type: text/html\r\n"), "not_metrics"),
            (http(b"{}", "content-type: application/json\r\n"), "not_metrics"),
            (http(b"\xff 1\n"), "malformed"),
            (http(b"", "", "500 X"), "status"),
        ):
            before = outcomes(poller).get(reason, 0)
            model.answers["/metrics"] = answer
            await poller.poll(now := now + 1)
            assert shown(poller, now) == {}
            assert outcomes(poller)[reason] == before + 1
            model.answers["/metrics"] = http(VLLM)
            await poller.poll(now := now + 1)
            assert shown(poller, now)["model.queue.length"] == 3


async def test_an_old_reading_is_not_shown() -> None:
    """Three intervals after the last reading there is nothing, whoever stopped polling."""
    async with server(Model(metrics=http(VLLM))) as (address, _):
        poller = signals(Place(address))
        await poller.poll(NOW)
    assert shown(poller, NOW + 32)
    assert shown(poller, NOW + 33) == {}


async def test_it_looks_rarely_where_nothing_is() -> None:
    """An upstream without metrics is asked at growing intervals, up to five minutes, and found when it has them."""
    model = Model()
    async with server(model) as (address, _):
        poller = signals(Place(address), Place(address, "/deep/metrics"))
        rounds = []
        for second in range(0, 2000, 10):
            before = len(model.asked)
            await poller.poll(NOW + second)
            if len(model.asked) > before:
                rounds.append(second)
        assert rounds == [0, 20, 60, 140, 300, 600, 900, 1200, 1500, 1800]
        assert outcomes(poller) == {"absent": 20}
        model.answers["/deep/metrics"] = http(VLLM)
        await poller.poll(NOW + 2100)
        assert shown(poller, NOW + 2100)["model.queue.length"] == 3
        assert poller.place == Place(address, "/deep/metrics")


async def test_a_clock_that_was_set_back_does_not_stop_it() -> None:
    """What is due in the far future was reckoned with another clock."""
    model = Model()
    async with server(model) as (address, _):
        poller = signals(Place(address))
        await poller.poll(NOW)
        await poller.poll(NOW - 86_400)
    assert len(model.asked) == 2


async def test_an_upstream_that_is_down_is_asked_again_soon() -> None:
    """Its absence says nothing of its metrics, so the other places are left alone."""
    model = Model(other=http(VLLM))
    async with server(model) as (address, _):
        poller = signals(Place(NOTHING), Place(address, "/other"))
        await poller.poll(NOW)
        await poller.poll(NOW + 10)
    assert model.asked == []
    assert outcomes(poller) == {"unreachable": 2}


async def test_a_stranger_at_another_port_is_not_believed() -> None:
    """What is not at the upstream's own place must be a server of the table; at its own place it may be any."""
    strange = Model(metrics=http(b"node_load1 0.5\n"), other=http(b"", "", "404 X"))
    async with server(strange) as (address, _):
        poller = signals(Place(address, "/other"), Place(address))
        await poller.poll(NOW)
        assert poller.place == Place(address, "/other")
        own = signals(Place(address))
        await own.poll(NOW)
        await own.poll(NOW + 10)
    assert outcomes(own) == {"scraped": 2}


async def test_what_was_found_and_lost_is_looked_for_anew() -> None:
    """After three failures all places are tried again."""
    model = Model(a=http(VLLM))
    async with server(model) as (address, _):
        poller = signals(Place(address, "/a"), Place(address, "/b"))
        await poller.poll(NOW)
        model.answers = {"/b": http(VLLM)}
        for step in range(1, 5):
            await poller.poll(NOW + 10 * step)
        assert poller.place == Place(address, "/b")
    assert model.asked == ["/a"] * 4 + ["/a", "/b"]


async def test_changes_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """One line when it is found, lost and found again, none in between, none for what was only looked for."""
    model = Model(metrics=http(VLLM))
    async with server(model) as (address, _):
        poller = signals(Place(address), configured=True)
        quiet = signals(Place(address, "/nowhere"))
        with caplog.at_level(logging.INFO):
            for answer in (http(VLLM), http(VLLM), b"", b"", http(VLLM)):
                model.answers["/metrics"] = answer or http(b"", "", "500 X")
                await poller.poll(NOW)
            await quiet.poll(NOW)
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING", "INFO"]
    assert "status 500, expected 200" in caplog.text


def test_switched_off() -> None:
    """Without a place there is no collector's failure, and nothing is exported."""
    poller = signals()
    assert poller.place is None
    with pytest.raises(Unavailable, match="nowhere to look"):
        list(poller.collect(NOW))


@pytest.mark.parametrize(
    ("content_type", "claims"),
    [
        ("", True),
        ("text/plain; version=0.0.4", True),
        ("application/openmetrics-text", True),
        ("text/html", False),
    ],
)
def test_claims(content_type: str, claims: Any) -> None:
    """What an answer claims to be decides whose fault it is."""
    assert is_exposition(content_type) is claims
