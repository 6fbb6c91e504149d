"""The health port by itself, on real sockets, with short bounds."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, cast

import pytest

from exporter.proxy.health import Bounds, Health, HealthState, _from_here

Ask = Callable[..., Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
FOREVER = 60.0


def serving(state: HealthState, scenario: Callable[[Ask], Awaitable[None]]) -> None:
    """Run the scenario against a server of that state; `ask(bytes)` connects and sends."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Health(state), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        writers = []

        async def ask(data: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writers.append(writer)
            writer.write(data)
            return reader, writer

        try:
            async with asyncio.timeout(20):
                await scenario(ask)
        finally:
            server.close()
            for writer in writers:
                writer.close()
                with suppress(ConnectionError):
                    await writer.wait_closed()

    asyncio.run(main())


def get(path: str, method: str = "GET") -> bytes:
    """A request as a kubelet makes it."""
    return f"{method} {path} HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n".encode()


async def answer(reader: asyncio.StreamReader) -> tuple[int, str]:
    """Status and text, read to the end of the connection; (0, "") if there is no answer."""
    try:
        data = await reader.read()
    except ConnectionError:
        data = b""
    head, _, body = data.partition(b"\r\n\r\n")
    return (int(head.split(b" ")[1]) if head else 0), body.decode().strip()


STATES = (
    (False, False, (503, "not ready")),
    (True, False, (200, "ok")),
    (True, True, (503, "draining")),
)


@pytest.mark.parametrize(("ready", "draining", "expected"), STATES)
def test_readiness(ready: bool, draining: bool, expected: tuple[int, str]) -> None:
    """Ready means bound and not draining; alive means that the loop turns."""
    state = HealthState()
    state.ready, state.draining = ready, draining

    async def scenario(ask: Ask) -> None:
        assert await answer((await ask(get("/readyz")))[0]) == expected
        assert await answer((await ask(get("/livez?verbose")))[0]) == (200, "ok")

    serving(state, scenario)


REQUESTS = (
    (get("/nothing"), 404, "not found: expected /livez, /readyz or /wait-for-drain"),
    (get("/livez", "HEAD"), 200, ""),
    (get("/livez", "DELETE"), 405, "expected GET, found 'DELETE'"),
    (get("/drain"), 405, "expected POST, found 'GET'"),
    (get("/drain", "HEAD"), 405, "expected POST, found 'HEAD'"),
    (get("/livez", "POST"), 405, "expected GET, found 'POST'"),
    (
        get("/wait-for-drain?notice=soon"),
        400,
        "expected ?notice=SECONDS, a whole number, found ?'notice=soon'",
    ),
    (get("/wait-for-drain?seconds=1"), 400, "expected ?notice=SECONDS, a whole number, found ?'seconds=1'"),
    (get("/wait-for-drain?notice=0"), 200, "not draining"),
    (b"hello\r\n\r\n", 400, "expected GET /livez, /readyz or /wait-for-drain in HTTP/1.1"),
    (b"\xff\xfe \r\n\r\n", 400, "expected GET /livez, /readyz or /wait-for-drain in HTTP/1.1"),
    (b"GET /livez HTTP/1.1\r\n" + b"x" * 9000, 431, "head too large"),
)


@pytest.mark.parametrize(("request_bytes", "status", "text"), REQUESTS)
def test_odd_requests(request_bytes: bytes, status: int, text: str) -> None:
    """Whatever is asked is answered shortly, and says what was expected."""

    async def scenario(ask: Ask) -> None:
        assert await answer((await ask(request_bytes))[0]) == (status, text)

    serving(HealthState(), scenario)


def test_byte_by_byte() -> None:
    """A head may come in any pieces."""

    async def scenario(ask: Ask) -> None:
        reader, writer = await ask()
        for byte in get("/livez"):
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert await answer(reader) == (200, "ok")

    serving(HealthState(), scenario)


def test_a_silent_client_is_closed() -> None:
    """Who does not ask within the time for it is closed without an answer."""

    async def scenario(ask: Ask) -> None:
        assert await answer((await ask(b"GET /livez HT"))[0]) == (0, "")

    serving(HealthState(Bounds(head_seconds=0.05)), scenario)


def test_the_slow_give_way() -> None:
    """However many connect and say nothing, a probe is answered; only the oldest of them are closed."""

    async def scenario(ask: Ask) -> None:
        silent = [await ask(b"GET") for _ in range(12)]
        assert await answer((await ask(get("/livez")))[0]) == (200, "ok")
        # The probe took a place for a moment as well.
        closed = [await answer(reader) for reader, _ in silent[:5]]
        assert closed == [(0, "")] * 5
        assert not any(reader.at_eof() for reader, _ in silent[5:])

    serving(HealthState(Bounds(connections=8, head_seconds=FOREVER)), scenario)


def test_no_drain_to_wait_for() -> None:
    """Without a drain a waiting client is told so after a moment: nothing else restarts for it."""

    async def scenario(ask: Ask) -> None:
        assert await answer((await ask(get("/wait-for-drain")))[0]) == (200, "not draining")

    serving(HealthState(Bounds(notice_seconds=0.02)), scenario)


def test_the_client_says_how_long_it_waits() -> None:
    """A client's own notice counts in place of ours, up to a bound."""
    state = HealthState(Bounds(notice_seconds=FOREVER, longest_notice=0))

    async def scenario(ask: Ask) -> None:
        for seconds in ("0", "30", "9" * 400):
            found = await answer((await ask(get(f"/wait-for-drain?notice={seconds}")))[0])
            assert found == (200, "not draining")

    serving(state, scenario)


def test_two_wait_for_a_drain() -> None:
    """All who wait are answered when the drain is over, those who come later at once."""
    state = HealthState()

    async def scenario(ask: Ask) -> None:
        state.draining = True
        waiting = [await ask(get("/wait-for-drain")) for _ in range(2)]
        assert await answer((await ask(get("/readyz")))[0]) == (503, "draining")
        state.finish()
        state.finish()
        assert [await answer(reader) for reader, _ in waiting] == [(200, "drained")] * 2
        assert await answer((await ask(get("/wait-for-drain")))[0]) == (200, "drained")

    serving(state, scenario)


def test_a_drain_begins_in_time() -> None:
    """A drain that begins while a client waits is waited for, and longer than any timer for the head."""
    bounds = Bounds(head_seconds=0.05, notice_seconds=0.1)
    state = HealthState(bounds)

    async def scenario(ask: Ask) -> None:
        reader, _ = await ask(get("/wait-for-drain"))
        await answer((await ask(get("/livez")))[0])
        state.draining = True
        # Two timers of the same length, one behind the other, are longer than the one that is waited out.
        for _ in range(4):
            assert await answer((await ask(b"GET"))[0]) == (0, "")
        assert not reader.at_eof()
        state.finish()
        assert await answer(reader) == (200, "drained")

    serving(state, scenario)


def test_waiting_is_bounded() -> None:
    """Only so many wait; more bytes from one of them change nothing, and who leaves makes room."""
    state = HealthState(Bounds(waiting=2, notice_seconds=FOREVER))

    async def scenario(ask: Ask) -> None:
        first = await ask(get("/wait-for-drain"))
        second = await ask(get("/wait-for-drain"))
        first[1].write(get("/wait-for-drain") * 100)
        assert (await answer((await ask(get("/wait-for-drain")))[0]))[0] == 503
        second[1].close()
        await second[1].wait_closed()
        third = await ask(get("/wait-for-drain"))
        await answer((await ask(get("/livez")))[0])
        state.draining = True
        state.finish()
        assert await answer(first[0]) == (200, "drained")
        assert await answer(third[0]) == (200, "drained")

    serving(state, scenario)


def test_a_drain_over_http() -> None:
    """POST /drain begins one, as often as it is asked; a page in a browser of this host cannot."""
    asked = []
    state = HealthState(drain=lambda: asked.append(1))
    from_a_page = get("/drain", "POST").replace(b"Host:", b"Origin: https://example.org\r\nHost:")

    async def scenario(ask: Ask) -> None:
        assert await answer((await ask(from_a_page))[0]) == (403, "a drain is not begun by a page")
        assert asked == []
        assert await answer((await ask(get("/drain", "POST")))[0]) == (202, "draining")
        assert await answer((await ask(get("/drain?now", "POST")))[0]) == (202, "draining")
        assert len(asked) == 2
        state.finish()
        assert await answer((await ask(get("/drain", "POST")))[0]) == (200, "drained")

    serving(state, scenario)


class Named:
    """As much of a transport as tells where it comes from."""

    def __init__(self, peer: object, own: object) -> None:
        self._names = {"peername": peer, "sockname": own}

    def get_extra_info(self, name: str) -> object:
        """One of the two."""
        return self._names[name]


V4, V6 = ("10.1.2.3", 9465), ("2001:db8::3", 9465, 0, 0)
FROM = (
    (("127.0.0.1", 5), ("127.0.0.1", 9465), True),
    (("127.8.9.1", 5), ("127.0.0.1", 9465), True),
    (("::1", 5, 0, 0), ("::1", 9465, 0, 0), True),
    (("::ffff:127.0.0.1", 5, 0, 0), ("::ffff:127.0.0.1", 9465, 0, 0), True),
    (("10.1.2.3", 5), V4, True),
    (("::ffff:10.1.2.3", 5, 0, 0), V4, True),
    (("10.1.2.4", 5), V4, False),
    (("::ffff:10.1.2.4", 5, 0, 0), ("::ffff:10.1.2.3", 9465, 0, 0), False),
    (("2001:db8::4", 5, 0, 0), V6, False),
    (("fe80::1%eth0", 5, 0, 2), V6, False),
    (None, None, False),
    ("", "", False),
    (("", 0), ("", 0), False),
)


@pytest.mark.parametrize(("peer", "own", "here"), FROM)
def test_who_may_begin_a_drain(peer: object, own: object, here: bool) -> None:
    """Only this host: by loopback, or by the address that it connected to."""
    assert _from_here(cast(Any, Named(peer, own))) is here


def test_a_stranger_begins_no_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    """From elsewhere the answer is 403, and nothing is begun."""
    monkeypatch.setattr("exporter.proxy.health._from_here", lambda _: False)
    state = HealthState(drain=lambda: pytest.fail("drained"))

    async def scenario(ask: Ask) -> None:
        assert await answer((await ask(get("/drain", "POST")))[0]) == (
            403,
            "a drain is begun from loopback only",
        )

    serving(state, scenario)
