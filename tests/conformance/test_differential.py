"""Real servers, asked directly and through the sidecar in every mode: the client sees the same bytes and the same end.

What differs is listed: heads are edited where the mode says so, `gate` and `strict` refuse. Of what the servers read
every byte is the client's. (A server that is scripted to the byte plays in test_scenes.)
"""

import re
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

import pytest

from exporter.proxy.settings import MODES
from tests.conformance.scripts import ANSWER, BODILESS, FIN, RESET, REST, SCRIPTS, Do, Script, Steps, Until
from tests.conformance.servers import SERVERS, Record, Server
from tests.conformance.stage import REFUSING, UNEDITED, brief, undone
from tests.proxy.clients import Peer, connect, request
from tests.proxy.lab import Lab

_CLOSES = re.compile(rb"(?i)\r\nconnection: close\r\n")
_DATE = re.compile(rb"(?mi)^date: [^\r\n]*")
# This server takes a body that its application did not read for the next request, and answers that: nobody asked for
# it, so the connection cannot be followed on, and fails closed where that is promised.
OUT_OF_TURN = {
    ("http.server", "early answer in chunks"),
    ("http.server", "early answer, then the body"),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the client saw, without dates, and how it ended; what it sent."""

    seen: bytes
    over: str
    sent: bytes

    def __str__(self) -> str:
        return f"{brief(self.seen)}, then {self.over}"


async def run(address: tuple[str, int], steps: Steps) -> Outcome:
    """One client. It says no more once an answer said that it is the last, as a client should."""
    peer = await connect(address)
    sent, over = b"", ""
    try:
        for step in (*steps, FIN, REST):
            if isinstance(step, bytes):
                sent += step
                with suppress(ConnectionError):
                    await peer.send(step)
            elif not peer.over and await do(peer, step):
                await do(peer, FIN)
                await do(peer, REST)
                break
    except TimeoutError:
        over = "waits for ever"
    finally:
        peer.close()
    return Outcome(_DATE.sub(b"date: now", bytes(peer.received)), over or peer.over, sent)


async def do(peer: Peer, step: Do | Until) -> bool:
    """What is not a write. Whether it was an answer that is the last."""
    if isinstance(step, Until):
        await peer.read_to(step.mark)
    elif step in (ANSWER, BODILESS):
        return _CLOSES.search((await peer.read_message(step is BODILESS)).head) is not None
    elif step is FIN:
        with suppress(OSError):
            peer.fin()
    elif step is RESET:
        peer.reset()
        peer.over = "left"
    else:
        await peer.read_all()
    return False


@dataclass(frozen=True, slots=True)
class Between:
    """A sidecar in some mode in front of that server."""

    lab: Lab
    mode: str
    server: Server

    async def difference(self, name: str, script: Script) -> str:
        """What this script shows to be other than without the sidecar; "" if nothing is, or as it is listed."""
        edited = bool(script.edited) and self.mode not in UNEDITED
        expected = await run(self.server.address, script.edited if edited else script.steps)
        found = await run(self.lab.address, script.steps)
        await self.lab.idle()
        refused = self.refused(script)
        if refused:
            as_listed = found.seen.startswith(b"HTTP/1.1 %d " % refused) and found.over == "fin"
        elif self.mode in REFUSING and (self.server.name, name) in OUT_OF_TURN:
            as_listed = expected.seen.startswith(found.seen) and found.over == "reset"
        else:
            as_listed = (found.seen, found.over) == (expected.seen, expected.over)
        if not as_listed:
            return f"{found}; without the sidecar: {expected}"
        if refused or self.server.records is None:
            return ""
        return await self.misread(expected.sent, *self.server.records[-2:])

    def refused(self, script: Script) -> int:
        """The status of a refusal in this mode, 0 for none."""
        return script.refused if self.mode in REFUSING[script.gate_lets_through :] else 0

    async def misread(self, sent: bytes, alone: Record, record: Record) -> str:
        """What is wrong with what the server read through the sidecar: no less and nothing else than alone."""
        await self.lab.until(lambda: alone.over.is_set() and record.over.is_set())
        got = undone(bytes(record.data), self.mode)
        if sent.startswith(got) and (got == sent or bytes(alone.data) != sent):
            return ""
        return f"the server read {brief(got)}; it was sent {brief(sent)}"


@pytest.fixture
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    """The server of that name."""
    async with SERVERS[request.param]() as running:
        yield running


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("server", SERVERS, indirect=True)
async def test_same_outcome_as_without(lab: Lab, server: Server, mode: str) -> None:
    """No script has another outcome than without the sidecar, save what is listed."""
    await lab.start(None, port=server.address[1], mode=mode)
    between = Between(lab, mode, server)
    differences = ""
    for name, script in SCRIPTS.items():
        if script.server in ("", server.name) and (found := await between.difference(name, script)):
            differences += f"{name}: {found}\n"
    assert not differences, differences


@pytest.mark.parametrize("server", SERVERS, indirect=True)
async def test_streamed_back(lab: Lab, server: Server) -> None:
    """A real server sends megabytes back while it still receives them: all of them return."""
    await lab.start(None, port=server.address[1])
    pieces = [bytes((number,)) * 70_000 for number in range(60)]
    client = await lab.client()
    await client.send(request("/duplex", b"", "Transfer-Encoding: chunked"))

    async def upload() -> None:
        for piece in pieces:
            await client.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        await client.send(b"0\r\n\r\n")

    uploading = lab.loop.create_task(upload())
    assert unchunked((await client.read_message()).body) == b"".join(pieces)
    await uploading
    client.fin()
    await client.read_all()
    await lab.idle()
    assert lab.outcomes() == {("200", ""): 1}


def unchunked(coded: bytes) -> bytes:
    """The body behind a chunked coding without trailers."""
    body, at = b"", 0
    while size := int(coded[at : (end := coded.index(b"\r\n", at))], 16):
        body += coded[end + 2 : end + 2 + size]
        at = end + 2 + size + 2
    return body
