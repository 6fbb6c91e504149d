"""Where the upstream is: asked off the loop, one question at a time, and the last good answer serves."""

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from exporter.proxy import destination as destinations
from exporter.proxy.destination import ASK_AGAIN_SECONDS, REFRESH_SECONDS, Destination, Notice
from exporter.proxy.settings import Upstream
from tests.proxy.resolver import Resolver

MODEL = Upstream(host="model", port=8000)


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    """Knows no name at first."""
    made = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", made)
    yield made
    made.go_on()


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.001)


def _made(upstream: Upstream = MODEL) -> Destination:
    return Destination(upstream, asyncio.get_running_loop())


@pytest.mark.parametrize(
    ("host", "family", "address"),
    [
        ("127.0.0.1", socket.AF_INET, ("127.0.0.1", 8000)),
        ("::1", socket.AF_INET6, ("::1", 8000, 0, 0)),
    ],
)
async def test_literal_addresses(host: str, family: int, address: Any) -> None:
    """An address needs no question: it is known at once, and nobody is ever asked."""
    made = _made(Upstream(host=host, port=8000))
    made.start()
    made.failed()
    assert made.addresses == ((family, address),)
    assert "resolver" not in {thread.name for thread in threading.enumerate()}
    made.close()


async def test_path() -> None:
    """A Unix socket is where its path says."""
    assert _made(Upstream(path="/run/model.sock")).addresses == ((socket.AF_UNIX, "/run/model.sock"),)


async def test_names_keep_their_order(resolver: Resolver) -> None:
    """All answers, in the resolver's order; asked at the start, which does not wait."""
    resolver.known["model"] = [(socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1")]
    made = _made()
    assert resolver.questions == 0
    made.start()
    made.start()
    assert made.addresses == ()
    await until(lambda: made.addresses)
    assert made.addresses == ((socket.AF_INET6, ("::1", 8000, 0, 0)), (socket.AF_INET, ("127.0.0.1", 8000)))
    assert resolver.questions == 1
    made.close()


async def test_asked_again_every_30_seconds(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new answer replaces the old one; a wrong or missing one does not."""
    resolver.known["model"] = [(socket.AF_INET, "127.0.0.1")]
    monkeypatch.setattr(destinations, "REFRESH_SECONDS", 0.005)
    assert REFRESH_SECONDS == 30
    made = _made()
    made.start()
    await until(lambda: made.addresses)
    resolver.known["model"] = [(socket.AF_INET, "127.0.0.7")]
    await until(lambda: made.addresses == ((socket.AF_INET, ("127.0.0.7", 8000)),))
    resolver.known.clear()
    asked = resolver.questions
    await until(lambda: resolver.questions > asked + 2)
    assert made.addresses == ((socket.AF_INET, ("127.0.0.7", 8000)),)
    made.close()


async def test_no_such_name_and_then_there_is(resolver: Resolver) -> None:
    """Who fails to connect has the name asked for again, at most five times a second however many they are."""
    made = _made()
    made.start()
    await until(lambda: resolver.answered == 1)
    made.failed()
    assert resolver.questions == 1
    resolver.known["model"] = [(socket.AF_INET, "127.0.0.1")]
    await until(lambda: (made.failed(), made.addresses)[1])
    assert resolver.questions <= 3
    assert ASK_AGAIN_SECONDS == 0.2
    made.close()


async def test_resolver_that_hangs(resolver: Resolver) -> None:
    """One question, one thread, however often it is asked; closing waits for nobody, and a late answer is ignored."""
    resolver.hang()
    made = _made()
    made.start()
    await until(lambda: resolver.questions == 1)
    for _ in range(100):
        made._asked = float("-inf")
        made.failed()
    assert [thread.name for thread in threading.enumerate()].count("resolver") == 1
    assert resolver.questions == 1
    made.close()
    made.close()
    resolver.known["model"] = [(socket.AF_INET, "127.0.0.1")]
    resolver.go_on()
    await until(lambda: resolver.answered == 1)
    await asyncio.sleep(0)
    made.start()
    assert made.addresses == ()


async def test_names_that_cannot_be(resolver: Resolver, caplog: pytest.LogCaptureFixture) -> None:
    """A label over 63 bytes, and a thread that cannot be started, are troubles of the name like any other."""
    made = _made(Upstream(host="x" * 64 + ".example", port=80))
    resolver.refusal = UnicodeError("label too long")
    made.start()
    await until(lambda: "label too long" in caplog.text)
    made.close()

    def full(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    other = _made()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", full)
        other.start()
    assert "model:8000: can't start new thread" in caplog.text
    resolver.refusal = None
    resolver.known["model"] = [(socket.AF_INET, "127.0.0.1")]
    await until(lambda: (other.failed(), other.addresses)[1])
    other.close()


def test_answer_after_the_loop_is_gone(resolver: Resolver) -> None:
    """A question that outlives its loop ends without a word."""
    resolver.hang()
    loop = asyncio.new_event_loop()
    made = Destination(MODEL, loop)
    made.start()
    loop.close()
    threads = [thread for thread in threading.enumerate() if thread.name == "resolver"]
    resolver.go_on()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_notices_are_few(caplog: pytest.LogCaptureFixture) -> None:
    """A line when something is the matter, none while it stays so, one when it is over."""
    caplog.set_level(logging.INFO)
    notice = Notice("it")
    for now, what in enumerate(["", "a", "a", "b", "a", ""]):
        notice.tell(what, now)
    assert [record.message for record in caplog.records] == ["it: a", "it: works again"]
    notice.tell("b", 20)
    assert caplog.records[-1].message == "it: b"


async def test_dead_resolver_says_so_once(resolver: Resolver, caplog: pytest.LogCaptureFixture) -> None:
    """The operator reads which name cannot be resolved, why, and what serves meanwhile."""
    resolver.known["model"] = [(socket.AF_INET, "127.0.0.1")]
    made = _made()
    made.start()
    await until(lambda: made.addresses)
    resolver.known.clear()
    for count in (2, 3):
        made._asked = float("-inf")
        made.failed()
        await until(lambda count=count: resolver.answered == count and not made._asking)
    assert [record.message for record in caplog.records] == [
        "the name of the upstream model:8000: no such name; the last good answer serves on"
    ]
    made.close()
