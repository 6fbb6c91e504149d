"""Dialling the model: again while nothing was sent, every address in order, from where the client came to."""

import asyncio
import socket
from typing import Any

import pytest

from exporter.proxy import dial
from tests.proxy.clients import Peer, answer, get
from tests.proxy.lab import Lab
from tests.proxy.upstreams import Upstream, closed_port, listener, ok, serving

ID = "x-request-id: 7"


async def test_refused_then_listening(lab: Lab) -> None:
    """A model that begins to listen within the connect timeout serves the request that came before it did."""
    port = closed_port()
    await lab.start(None, port=port, connect_timeout=5.0)
    client = await lab.client()
    await client.send(get("/a", ID))
    await lab.until(lambda: any(pair._early for pair in lab.plane.pairs))
    lab.upstream = Upstream(serving(ok), listener(port=port))
    lab.upstream.start()
    assert (await client.read_message()).status == 200
    assert lab.outcomes() == {("200", ""): 1}


async def test_model_restarts_while_the_sidecar_lives(lab: Lab) -> None:
    """503 while the model is away, 200 again after; a connection opened meanwhile dials when it is used."""
    port = closed_port()
    await lab.start(None, port=port, connect_timeout=0.05)
    waiting = await lab.client()
    assert (await lab.ask(get("/a", ID))).status == 503
    await lab.until(lambda: all(pair._down for pair in lab.plane.pairs))
    lab.upstream = Upstream(serving(ok), listener(port=port))
    lab.upstream.start()
    assert (await lab.ask(get("/a", ID))).status == 200
    await waiting.send(get("/a", ID))
    assert (await waiting.read_message()).status == 200
    await lab.finished(3)
    assert lab.outcomes() == {("200", ""): 2, ("503", "refused"): 1}


def _resolving(lab: Lab, known: dict[str, Any]) -> None:
    """uvloop resolves in C; the plane's own call is what is replaced."""

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return [(family, socket.SOCK_STREAM, 6, "", (where, port)) for family, where in known[host]]

    class Loop:
        def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
            self._loop = loop
            self.getaddrinfo = getaddrinfo

        def __getattr__(self, name: str) -> Any:
            return getattr(self._loop, name)

    lab.plane.loop = Loop(lab.loop)


async def test_addresses_are_tried_in_order(lab: Lab) -> None:
    """IPv6 first refuses, then an IPv4 address does, then the one that listens serves."""
    await lab.start(serving(ok), host="model")
    known = {
        "model": [(socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.9"), (socket.AF_INET, "127.0.0.1")]
    }
    _resolving(lab, known)
    assert (await lab.ask(get("/a", ID))).status == 200


async def test_name_that_does_not_resolve(lab: Lab) -> None:
    """Without an address the request gets 503; once the name resolves, the next one is served."""
    await lab.start(serving(ok), host="model", connect_timeout=0.05)
    known: dict[str, Any] = {}
    _resolving(lab, known)
    assert (await lab.ask(get("/a", ID))).status == 503
    known["model"] = [(socket.AF_INET, "127.0.0.1")]
    assert (await lab.ask(get("/a", ID))).status == 200


async def test_last_good_answer_serves_while_the_resolver_is_dead(lab: Lab) -> None:
    """A resolver that hangs or fails later delays nobody."""
    await lab.start(serving(ok), host="model", connect_timeout=0.2)
    known: dict[str, Any] = {"model": [(socket.AF_INET, "127.0.0.1")]}
    _resolving(lab, known)
    assert (await lab.ask(get("/a", ID))).status == 200
    known.clear()
    lab.plane.destinations[0]._resolved -= 3600
    assert (await lab.ask(get("/a", ID))).status == 200

    async def hanging(*_: Any, **__: Any) -> list[Any]:
        await asyncio.Event().wait()
        return []

    lab.plane.loop.getaddrinfo = hanging
    lab.plane.destinations[0]._resolved -= 3600
    assert (await lab.ask(get("/a", ID))).status == 200
    # Stopping the worker, when the lab is left, ends the question that hangs.


async def test_ipv6_only(lab: Lab) -> None:
    """A model that listens on ::1 alone is reached."""
    sock = listener("::1", family=socket.AF_INET6)
    await lab.start(None, host="::1", port=sock.getsockname()[1])
    lab.upstream = Upstream(serving(ok), sock)
    lab.upstream.start()
    assert (await lab.ask(get("/a", ID))).status == 200


async def _seen_by_the_model(lab: Lab, host: str, **settings: Any) -> str:
    seen: list[str] = []

    async def model(peer: Peer) -> None:
        seen.append(peer.sock.getpeername()[0])
        await peer.read_message()
        await peer.send(answer(b"", "200 OK", "Connection: close"))

    await lab.start(model, listen="0.0.0.0", **settings)
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


async def test_source_of_another_interface(lab: Lab) -> None:
    """A client from outside is not seen as loopback, so that nothing trusts its X-Forwarded-For."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return  # this machine has no address but loopback
        host = probe.getsockname()[0]
    assert await _seen_by_the_model(lab, host) == host


@pytest.mark.parametrize(
    ("source", "family", "host", "fits"),
    [
        ("", socket.AF_INET, "127.0.0.1", False),
        ("10.0.0.5", socket.AF_INET, "127.0.0.1", True),
        ("10.0.0.5", socket.AF_INET6, "::1", False),
        ("fd00::5", socket.AF_INET6, "::1", True),
        ("127.0.0.2", socket.AF_INET, "127.0.0.1", True),
        ("127.0.0.2", socket.AF_INET, "10.0.0.7", False),
    ],
)
def test_source_fits(source: str, family: int, host: str, fits: bool) -> None:
    """A source is used only where it can reach the address."""
    assert dial._fits(source, family, host) is fits


async def test_handshake_that_takes_a_while(lab: Lab) -> None:
    """A connect that is not over at once is waited for by the loop; one that is over meanwhile counts as made."""
    await lab.start(serving(ok))
    sock = socket.socket()
    sock.setblocking(False)
    sock.connect_ex(lab.model.address)
    await dial._established(lab.loop, sock, lab.model.address)
    assert sock.getpeername()[:2] == lab.model.address
    sock.close()


async def test_black_hole_is_given_up(lab: Lab) -> None:
    """An address that never answers costs the connect timeout, then 503; a client that leaves costs nothing."""
    full = listener()
    full.listen(0)
    waiting = []
    for _ in range(4):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(full.getsockname())
        waiting.append(sock)
    await lab.start(None, port=full.getsockname()[1], connect_timeout=0.2)
    client = await lab.client()
    await client.send(get("/a", ID))
    gone = await lab.client()
    await lab.until(lambda: len(lab.plane.pairs) == 2)
    gone.reset()
    assert (await client.read_message()).status == 503
    for sock in (full, *waiting):
        sock.close()
    assert lab.outcomes() == {("503", "refused"): 1}
