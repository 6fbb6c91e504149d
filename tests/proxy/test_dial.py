"""Dialling the model: again while nothing was sent, every address in order, from where the client came to."""

import asyncio
import errno
import os
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from exporter.proxy import dial, settings
from exporter.proxy.destination import Destination
from exporter.proxy.dial import Dialling
from exporter.proxy.settings import Settings
from tests.proxy.clients import Message, Peer, answer, get
from tests.proxy.lab import Lab
from tests.proxy.resolver import Resolver
from tests.proxy.upstreams import Upstream, closed_port, listener, ok, serving

ID = "x-request-id: 7"
LOOPBACK4, LOOPBACK6 = (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    """Knows no name at first."""
    made = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", made)
    yield made
    made.go_on()


def full(count: int = 4) -> tuple[socket.socket, list[socket.socket]]:
    """A listener that takes nobody any more: whoever dials it waits. The sockets are the caller's to close."""
    held = listener()
    held.listen(0)
    waiting = []
    for _ in range(count):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(held.getsockname())
        waiting.append(sock)
    return held, waiting


# ---------------------------------------------------------------- again and again


async def test_refused_then_listening(lab: Lab) -> None:
    """A model that begins to listen within the connect timeout serves the request that came before it did."""
    port = closed_port()
    await lab.start(None, port=port, connect_timeout=5.0)
    client = await lab.client()
    await client.send(get("/a", ID))
    await lab.until(lambda: lab.plane.pairs)
    lab.upstream = Upstream(serving(ok), listener(port=port))
    lab.upstream.start()
    assert (await client.read_message()).status == 200
    assert lab.outcomes() == {("200", ""): 1}


async def test_nobody_listens(lab: Lab) -> None:
    """503 and the end of the connection within the connect timeout."""
    await lab.start(None, connect_timeout=0.2)
    client = await lab.client()
    await client.send(get("/a", ID))
    found = await client.read_message()
    assert (found.status, b"\r\nConnection: close\r\n" in found.head) == (503, True)
    assert await client.read_all() == b""
    assert lab.outcomes() == {("503", "refused"): 1}


async def test_model_restarts_while_the_sidecar_lives(lab: Lab) -> None:
    """Only requests within the window fail; what was opened meanwhile is served after, on a new connection."""
    await lab.start(serving(ok), connect_timeout=0.05)
    port = lab.model.address[1]
    before = await lab.client()
    await before.send(get("/a", ID))
    assert (await before.read_message()).status == 200
    await lab.model.stop()
    assert await before.read_all() == b""  # its end is passed on, so that the client knows
    waiting = await lab.client()
    assert (await lab.ask(get("/a", ID))).status == 503
    lab.upstream = Upstream(serving(ok), listener(port=port))
    lab.upstream.start()
    assert (await lab.ask(get("/a", ID))).status == 200
    await waiting.send(get("/a", ID))
    assert (await waiting.read_message()).status == 200
    await lab.finished(4)
    assert lab.outcomes() == {("200", ""): 3, ("503", "refused"): 1}


# ---------------------------------------------------------------- names and addresses


async def test_addresses_are_tried_in_order(lab: Lab, resolver: Resolver) -> None:
    """IPv6 first refuses, then an IPv4 address does, then the one that listens serves."""
    resolver.known["model"] = [LOOPBACK6, (socket.AF_INET, "127.0.0.9"), LOOPBACK4]
    await lab.start(serving(ok), host="model")
    assert (await lab.ask(get("/a", ID))).status == 200


@pytest.mark.parametrize("order", [(LOOPBACK6, LOOPBACK4), (LOOPBACK4, LOOPBACK6)])
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
async def test_localhost_of_both_families(
    lab: Lab, resolver: Resolver, order: tuple[tuple[int, str], ...], family: int
) -> None:
    """`localhost` is ::1 and 127.0.0.1; a model that listens on one of them alone is found, whichever comes first."""
    resolver.known["localhost"] = list(order)
    sock = listener("::1" if family == socket.AF_INET6 else "127.0.0.1", family=socket.AddressFamily(family))
    await lab.start(None, host="localhost", port=sock.getsockname()[1])
    lab.upstream = Upstream(serving(ok), sock)
    lab.upstream.start()
    assert (await lab.ask(get("/a", ID))).status == 200


async def test_ipv6_only(lab: Lab) -> None:
    """A model that listens on ::1 alone is reached."""
    sock = listener("::1", family=socket.AF_INET6)
    await lab.start(None, host="::1", port=sock.getsockname()[1])
    lab.upstream = Upstream(serving(ok), sock)
    lab.upstream.start()
    assert (await lab.ask(get("/a", ID))).status == 200


async def test_name_that_does_not_resolve(lab: Lab, resolver: Resolver) -> None:
    """Without an address the request gets 503; once the name resolves, the next one is served."""
    await lab.start(serving(ok), host="model", connect_timeout=0.05)
    assert (await lab.ask(get("/a", ID))).status == 503
    resolver.known["model"] = [LOOPBACK4]
    await lab.until(lambda: (lab.plane.destinations[0].failed(), lab.plane.destinations[0].addresses)[1])
    assert (await lab.ask(get("/a", ID))).status == 200


async def test_resolver_that_hangs_from_the_start(lab: Lab, resolver: Resolver) -> None:
    """Requests are refused in time, all with one question; the one that waits when the answer comes is served."""
    resolver.hang()
    await lab.start(serving(ok), host="model", connect_timeout=0.05)
    assert [(await lab.ask(get("/a", ID))).status for _ in range(3)] == [503] * 3
    assert resolver.questions == 1
    resolver.known["model"] = [LOOPBACK4]
    resolver.go_on()
    await lab.until(lambda: lab.plane.destinations[0].addresses)
    assert (await lab.ask(get("/a", ID))).status == 200


async def test_last_good_answer_serves_while_the_resolver_is_dead(lab: Lab, resolver: Resolver) -> None:
    """A resolver that fails or hangs later delays nobody."""
    resolver.known["model"] = [LOOPBACK4]
    await lab.start(serving(ok), host="model")
    assert (await lab.ask(get("/a", ID))).status == 200
    resolver.known.clear()
    asked = resolver.questions
    await lab.until(lambda: (lab.plane.destinations[0].failed(), resolver.answered > asked)[1])
    assert (await lab.ask(get("/a", ID))).status == 200
    resolver.hang()
    asked = resolver.questions
    await lab.until(lambda: (lab.plane.destinations[0].failed(), resolver.questions > asked)[1])
    assert (await lab.ask(get("/a", ID))).status == 200
    # Stopping the worker, when the lab is left, does not wait for the question that hangs.


async def test_model_moves_to_another_address(lab: Lab, resolver: Resolver) -> None:
    """Where the old address refuses, the name is asked for again at once: the request that found out is served."""
    resolver.known["model"] = [LOOPBACK4]
    await lab.start(serving(ok), host="model", connect_timeout=5.0)
    assert (await lab.ask(get("/a", ID))).status == 200
    port = lab.model.address[1]
    await lab.model.stop()
    resolver.known["model"] = [(socket.AF_INET, "127.0.0.7")]
    lab.upstream = Upstream(serving(ok), listener("127.0.0.7", port))
    lab.upstream.start()
    assert (await lab.ask(get("/a", ID))).status == 200
    assert lab.outcomes() == {("200", ""): 2}


# ---------------------------------------------------------------- slow ones


async def test_slow_address_leaves_time_for_the_others(lab: Lab, resolver: Resolver) -> None:
    """An address that never answers costs its share of the connect timeout, not all of it."""
    held, waiting = full()
    sock = listener("127.0.0.9", held.getsockname()[1])
    resolver.known["model"] = [LOOPBACK4, (socket.AF_INET, "127.0.0.9")]
    await lab.start(None, host="model", port=held.getsockname()[1], connect_timeout=0.4)
    lab.upstream = Upstream(serving(ok), sock)
    lab.upstream.start()
    assert (await lab.ask(get("/a", ID))).status == 200
    for one in (held, *waiting):
        one.close()


async def test_black_hole_is_given_up(lab: Lab) -> None:
    """An address that never answers costs the connect timeout, then 503; a client that leaves costs nothing."""
    held, waiting = full()
    await lab.start(None, port=held.getsockname()[1], connect_timeout=0.2)
    client = await lab.client()
    await client.send(get("/a", ID))
    gone = await lab.client()
    await lab.until(lambda: len(lab.plane.pairs) == 2)
    gone.reset()
    assert (await client.read_message()).status == 503
    for sock in (held, *waiting):
        sock.close()
    assert lab.outcomes() == {("503", "refused"): 1}


async def test_handshake_that_takes_a_while(lab: Lab) -> None:
    """A connect that is not over at once is waited for, and used when it is."""
    held, waiting = full(1)
    await lab.start(None, port=held.getsockname()[1], connect_timeout=9.0)
    clients = [await lab.client() for _ in range(4)]
    for client in clients:
        await client.send(get("/a", ID))
    await lab.until(lambda: len(lab.plane.pairs) == 4)
    lab.upstream = Upstream(serving(ok), held)
    lab.upstream.start()  # makes room in the backlog; the kernel asks again after a second
    for client in clients:
        assert (await client.read_message()).status == 200
    waiting[0].close()


# ---------------------------------------------------------------- one dialling by itself


class Side(asyncio.Protocol):
    """What the loop gets."""

    def __init__(self, caller: "Caller") -> None:
        self._caller = caller

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._caller.heard.append("connected")
        self._caller.transport = transport


class Caller:
    """A pair as a dialling sees it, and a plane."""

    def __init__(self, upstream: settings.Upstream, **changes: Any) -> None:
        self.loop = asyncio.get_running_loop()
        self.settings = Settings(upstreams=(upstream,), **changes)
        self.destination = Destination(upstream, self.loop)
        self.client = None
        self.heard: list[str] = []
        self.transport: asyncio.BaseTransport | None = None

    def side(self) -> Side:
        return Side(self)

    def dialled(self) -> None:
        self.heard.append("dialled")

    def unreachable(self) -> None:
        self.heard.append("unreachable")

    def dialling(self) -> Dialling:
        return Dialling(self, self)  # type: ignore[arg-type]

    async def until(self, word: str) -> None:
        async with asyncio.timeout(30):
            while word not in self.heard:
                await asyncio.sleep(0.001)


def _descriptors() -> int:
    """Sockets that are open; the loop opens files of its own when it first needs them."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            count += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
    return count


async def test_loopback_needs_no_turn_of_the_loop() -> None:
    """When `start` returns, the model can accept; then the pair is told in order, and the socket closes with it."""
    sock = listener()
    before = _descriptors()
    caller = Caller(settings.Upstream(host="127.0.0.1", port=sock.getsockname()[1]))
    dialling = caller.dialling()
    dialling.start()
    accepted, _ = sock.accept()
    assert caller.heard == []
    await caller.until("dialled")
    assert caller.heard == ["connected", "dialled"]
    made = caller.transport.get_extra_info("socket")  # type: ignore[union-attr]
    assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), "small writes do not wait for one another"
    dialling.cancel()
    dialling.cancel()
    caller.transport.close()  # type: ignore[union-attr]
    accepted.close()
    async with asyncio.timeout(30):
        while _descriptors() > before:
            await asyncio.sleep(0.001)
    sock.close()


@pytest.mark.parametrize("waits", ["handshake", "back-off", "hand-over"])
async def test_cancelled(waits: str) -> None:
    """Whatever it waits for: nothing is open afterwards, and nobody is told of an end; again is harmless."""
    held, waiting = full() if waits == "handshake" else (listener(), [])
    port = closed_port() if waits == "back-off" else held.getsockname()[1]
    before = _descriptors()
    caller = Caller(settings.Upstream(host="127.0.0.1", port=port), connect_timeout=0.1)
    dialling = caller.dialling()
    dialling.start()
    dialling.cancel()
    dialling.cancel()
    if waits == "hand-over":
        # Half way through, the loop goes on; a pair whose client left aborts then.
        await caller.until("connected")
        caller.transport.abort()  # type: ignore[union-attr]
    async with asyncio.timeout(30):
        while _descriptors() > before:
            await asyncio.sleep(0.001)
    assert dialling._timer is None
    assert caller.heard == (["connected"] if waits == "hand-over" else [])
    for sock in (held, *waiting):
        sock.close()


async def test_no_descriptor_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that is reached is an address that cannot be reached: tried again, then given up."""

    def exhausted(*_: Any) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    caller = Caller(settings.Upstream(host="127.0.0.1", port=1), connect_timeout=0.01)
    with monkeypatch.context() as patch:
        patch.setattr(dial, "Stream", exhausted)
        caller.dialling().start()
    assert caller.heard == []
    await caller.until("unreachable")


async def test_loop_that_refuses_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next address is tried, and the socket is not left open."""
    sock = listener()
    caller = Caller(settings.Upstream(host="127.0.0.1", port=sock.getsockname()[1]), connect_timeout=0.01)

    class Loop:
        def __getattr__(self, name: str) -> Any:
            return getattr(loop, name)

        async def connect_accepted_socket(self, *_: Any) -> None:
            raise OSError(errno.ENOTCONN, "gone")

    loop, caller.loop = caller.loop, Loop()  # type: ignore[assignment]
    before = _descriptors()
    caller.dialling().start()
    await caller.until("unreachable")
    assert _descriptors() == before
    sock.close()


# ---------------------------------------------------------------- Unix sockets


async def test_unix_socket(lab: Lab, tmp_path: Path) -> None:
    """A model behind a path is dialled like any other, gone and back again too."""
    path = str(tmp_path / "model.sock")
    upstream = settings.Upstream(path=path)
    await lab.start(None, listen="0.0.0.0", upstreams=(upstream,), connect_timeout=0.05)
    assert (await lab.ask(get("/a", ID))).status == 503
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(path)
    sock.listen()
    sock.setblocking(False)
    lab.upstream = UnixUpstream(serving(ok), sock)
    lab.upstream.start()
    assert (await lab.ask(get("/a", ID))).status == 200
    client = await lab.client("127.0.0.2")
    await client.send(get("/a", ID))
    assert (await client.read_message()).status == 200
    assert lab.outcomes() == {("200", ""): 2, ("503", "refused"): 1}


class UnixUpstream(Upstream):
    """Listens at a path."""

    @property
    def address(self) -> Any:
        return self.sock.getsockname()


async def test_unix_socket_with_a_full_backlog(tmp_path: Path) -> None:
    """The kernel says EAGAIN and never tells when there is room: it is tried again."""
    path = str(tmp_path / "model.sock")
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(path)
    sock.listen(0)
    first = socket.socket(socket.AF_UNIX)
    first.connect(path)
    caller = Caller(settings.Upstream(path=path), connect_timeout=9.0)
    caller.dialling().start()
    assert caller.heard == []
    accepted = [sock.accept()[0]]
    await caller.until("dialled")
    caller.transport.close()  # type: ignore[union-attr]
    await asyncio.sleep(0)
    for one in (sock, first, *accepted):
        one.close()


# ---------------------------------------------------------------- who the model sees


async def _seen_by_the_model(lab: Lab, host: str, **changes: Any) -> str:
    seen: list[str] = []

    async def model(peer: Peer) -> None:
        seen.append(peer.sock.getpeername()[0])
        await peer.read_message()
        await peer.send(answer(b"", "200 OK", "Connection: close"))

    await lab.start(model, listen="0.0.0.0", **changes)
    client = await lab.client(host)
    await client.send(get("/a", ID))
    assert (await client.read_message()).status == 200
    return seen[0]


@pytest.mark.parametrize(
    ("host", "source", "expected"),
    [
        ("127.0.0.2", "client", "127.0.0.2"),
        ("127.0.0.1", "client", "127.0.0.1"),
        ("127.0.0.2", "loopback", "127.0.0.1"),
    ],
)
async def test_source_address(lab: Lab, host: str, source: str, expected: str) -> None:
    """The model is dialled from the address that the client came to, or from loopback if the owner says so."""
    assert await _seen_by_the_model(lab, host, upstream_source=source) == expected


def _outside() -> str:
    """An address of this machine that is not 127.0.0.1: of its interface, or where there is none, of loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.2"
        host: str = probe.getsockname()[0]
        return host


async def test_source_of_another_interface(lab: Lab) -> None:
    """A client from outside is not seen as loopback."""
    host = _outside()
    assert await _seen_by_the_model(lab, host) == host


def _trusting(peer: Peer) -> bytes:
    """A server with uvicorn's default rule: X-Forwarded-For names the client if 127.0.0.1 sent it."""

    def respond(message: Message) -> bytes:
        client = peer.sock.getpeername()[0]
        claimed = re.search(rb"(?i)\r\nx-forwarded-for: *([^\r]*)", message.head)
        if client == "127.0.0.1" and claimed:
            client = claimed[1].decode().split(",")[-1].strip()
        return answer(client.encode())

    return respond  # type: ignore[return-value]


@pytest.mark.parametrize(("source", "believed"), [("client", False), ("loopback", True)])
async def test_forged_forwarded_for(lab: Lab, source: str, believed: bool) -> None:
    """A server that trusts 127.0.0.1 believes a remote client as little behind the sidecar as in front of none."""
    host = _outside()

    async def model(peer: Peer) -> None:
        await serving(_trusting(peer))(peer)

    await lab.start(model, listen="0.0.0.0", upstream_source=source)
    client = await lab.client(host)
    await client.send(get("/a", ID, "X-Forwarded-For: 203.0.113.66"))
    body = (await client.read_message()).body
    assert body == (b"203.0.113.66" if believed else host.encode())


@pytest.mark.parametrize(
    ("source", "family", "host", "fits"),
    [
        ("", socket.AF_INET, "127.0.0.1", False),
        ("10.0.0.5", socket.AF_INET, "127.0.0.1", True),
        ("10.0.0.5", socket.AF_INET6, "::1", False),
        ("fd00::5", socket.AF_INET6, "::1", True),
        ("fe80::5", socket.AF_INET6, "::1", False),
        ("127.0.0.2", socket.AF_INET, "127.0.0.1", True),
        ("127.0.0.2", socket.AF_INET, "10.0.0.7", False),
    ],
)
def test_source_fits(source: str, family: int, host: str, fits: bool) -> None:
    """A source is used only where it can reach the address."""
    assert dial._fits(source, family, (host, 80)) is fits


async def test_proxy_protocol(lab: Lab) -> None:
    """The model hears who connected before the first byte, once per connection."""
    said: list[bytes] = []

    async def model(peer: Peer) -> None:
        said.append(await peer.read_bytes(28))
        await serving(ok)(peer)

    await lab.start(model, proxy_protocol=True)
    client = await lab.client()
    for _ in range(2):
        await client.send(get("/a", ID))
        assert (await client.read_message()).status == 200
    source, destination = client.sock.getsockname(), client.sock.getpeername()
    expected = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + b"\x7f\x00\x00\x01" * 2
    expected += source[1].to_bytes(2) + destination[1].to_bytes(2)
    assert said == [expected]


async def test_proxy_protocol_without_a_client(lab: Lab) -> None:
    """LOCAL where the client's address is not to be had; a peer that is gone already is another attempt."""
    sock = listener()
    caller = Caller(settings.Upstream(host="127.0.0.1", port=sock.getsockname()[1]), proxy_protocol=True)
    caller.dialling().start()
    accepted, _ = sock.accept()
    assert accepted.recv(100) == b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"
    await caller.until("dialled")
    caller.transport.close()  # type: ignore[union-attr]
    accepted.close()
    sock.close()
    ours, theirs = socket.socketpair()
    theirs.close()
    assert caller.dialling()._introduce(ours) is False
    ours.close()
