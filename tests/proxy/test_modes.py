"""What the data plane may do to what it carries, by mode: nothing, edits, limits that hold, or hygiene too."""

import pytest

from tests.proxy.clients import Peer, answer, get, request
from tests.proxy.lab import Lab
from tests.proxy.upstreams import echo, ok, serving, silent

ID = "x-request-id: 7"
INFER = "/v2/models/iris/infer"
LENGTHS = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx"


async def test_observe_changes_no_byte(lab: Lab) -> None:
    """No id, no trace context, no protection from h2c: the model gets what the client sent."""
    await lab.start(serving(ok), mode="observe", tracing=True, sampler="always_on")
    whole = request(INFER, b"{}", "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: x")
    assert (await lab.ask(whole)).status == 200
    assert lab.model.requests == whole
    (exchange,) = await lab.received(1)
    assert exchange.trace is not None


@pytest.mark.parametrize("mode", ["annotate", "gate", "strict"])
async def test_other_modes_add_an_id(lab: Lab, mode: str) -> None:
    """A request without an id gets one line, right behind the request line."""
    await lab.start(serving(ok), mode=mode)
    assert (await lab.ask(get("/a"))).status == 200
    first, second, _ = lab.model.requests.split(b"\r\n", 2)
    assert (first, second.split(b": ")[0]) == (b"GET /a HTTP/1.1", b"x-request-id")


@pytest.mark.parametrize(
    ("mode", "status"), [("observe", 200), ("annotate", 200), ("gate", 400), ("strict", 400)]
)
async def test_uncertain_framing(lab: Lab, mode: str, status: int) -> None:
    """Followed by nobody: relayed as it came, or refused where that was promised."""

    async def model(peer: Peer) -> None:
        await peer.read_to(b"\r\n\r\nx")
        await peer.send(answer())
        await peer.read_all()

    await lab.start(model, mode=mode)
    client = await lab.client()
    await client.send(LENGTHS)
    assert (await client.read_message()).status == status
    assert lab.desyncs() == {"length_repeated": 1}
    assert lab.model.requests == (LENGTHS if status == 200 else b"")


@pytest.mark.parametrize(
    ("mode", "status"), [("observe", 200), ("annotate", 200), ("gate", 405), ("strict", 405)]
)
async def test_connect(lab: Lab, mode: str, status: int) -> None:
    """A tunnel after the model's 2xx, refused with 405 where limits are promised."""

    async def model(peer: Peer) -> None:
        if not await peer.read_to(b"\r\n\r\n"):
            return
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        await echo(peer)

    await lab.start(model, mode=mode)
    client = await lab.client()
    await client.send(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n" + ID.encode() + b"\r\n\r\n")
    head = await client.read_to(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    if status == 200:
        await client.send(b"through")
        assert await client.read_bytes(7) == b"through"
        client.close()
        await lab.idle()
        assert lab.connections().keys() == {"upgraded"}
    else:
        assert b"\r\nAllow: " in head
        assert lab.model.requests == b""
        await lab.finished(1)
        assert lab.outcomes() == {("405", "rejected"): 1}


@pytest.mark.parametrize(("mode", "status"), [("gate", 200), ("strict", 400)])
@pytest.mark.parametrize("hosts", ["", "Host: a\r\nHost: a\r\n"])
async def test_hosts(lab: Lab, mode: str, status: int, hosts: str) -> None:
    """`strict` wants exactly one Host in HTTP/1.1 and none in particular in 1.0."""
    await lab.start(serving(ok), mode=mode)
    assert (await lab.ask(f"GET /a HTTP/1.1\r\n{hosts}\r\n".encode())).status == status
    assert (await lab.ask(f"GET /a HTTP/1.0\r\n{hosts}\r\n".encode())).status == 200


@pytest.mark.parametrize("mode", ["annotate", "gate"])
@pytest.mark.parametrize("first", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x00\x05hello"])
async def test_other_protocols(lab: Lab, mode: str, first: bytes) -> None:
    """What is not HTTP/1 is relayed, and reset where it would go round a limit."""
    await lab.start(echo, mode=mode)
    client = await lab.client()
    await client.send(first)
    if mode == "annotate":
        assert await client.read_bytes(len(first)) == first
    else:
        await client.read_all()
        assert client.over == "reset"
        assert lab.desyncs() == {"other_protocol": 1}
        assert lab.model.requests == b""


@pytest.mark.parametrize("mode", ["annotate", "gate"])
async def test_server_that_speaks_first(lab: Lab, mode: str) -> None:
    """It is heard, or reset where that is no HTTP to count."""

    async def model(peer: Peer) -> None:
        await peer.send(b"220 hello\r\n")
        await peer.read_all()

    await lab.start(model, mode=mode)
    client = await lab.client()
    heard = await client.receive()
    assert (heard, client.over) == ((b"220 hello\r\n", "") if mode == "annotate" else (b"", "reset"))


async def test_forwarded_for(lab: Lab) -> None:
    """The client's address is appended to what is there, or a line is added."""
    await lab.start(serving(ok), forwarded_for=True)
    for lines, expected in (
        ((), b"x-forwarded-for: 127.0.0.1"),
        (("X-Forwarded-For: 9.9.9.9",), b"X-Forwarded-For: 9.9.9.9, 127.0.0.1"),
        (("X-Forwarded-For:", "Other: 1"), b"X-Forwarded-For:127.0.0.1"),
        (("X-Forwarded-For: a", "X-Forwarded-For: b "), b"X-Forwarded-For: b, 127.0.0.1"),
    ):
        assert (await lab.ask(get("/a", ID, *lines))).status == 200
        assert expected in lab.model.peers[-1].received.split(b"\r\n")


async def test_opaque_listener(lab: Lab) -> None:
    """Nothing is followed, whatever is spoken: bytes and connections are counted, and a reset stays a reset."""
    await lab.start(echo, opaque=True)
    client = await lab.client()
    await client.send(get("/a", ID))
    assert await client.read_bytes(len(get("/a", ID))) == get("/a", ID)
    client.fin()
    assert await client.read_all() == b""
    await lab.idle()
    size = len(get("/a", ID))
    assert lab.connections() == {"opaque": (1, size, size)}
    assert lab.rows() == []
    again = await lab.client()
    await again.send(b"x")
    await again.read_bytes(1)
    again.reset()
    await lab.until(lambda: lab.model.peers[-1].over == "reset")


async def test_opaque_listener_without_a_model(lab: Lab) -> None:
    """As at a closed port: a reset, and no answer in a protocol that nobody speaks."""
    await lab.start(None, opaque=True, connect_timeout=0.05)
    client = await lab.client()
    await client.send(get("/a", ID))
    await client.read_all()
    assert client.over == "reset"
    await lab.idle()


async def test_client_that_closes_behind_a_refusal(lab: Lab) -> None:
    """A refusal behind an exchange whose client goes away is said to nobody, and nothing is left."""
    await lab.start(silent, mode="strict")
    client = await lab.client()
    await client.send(get("/a", ID) + b"GET /b HTTP/1.1\r\n\r\n")
    await lab.finished(1)
    client.reset()
    await lab.finished(2)
    assert lab.outcomes() == {("400", "rejected"): 1, ("none", "abort"): 1}
