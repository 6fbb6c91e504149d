"""WebSocket between a real client and a real server: all of it arrives; the tunnel is counted in bytes and time."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from time import monotonic_ns

import aiohttp
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, web

from exporter.proxy.settings import MODES
from tests.conformance.servers import Server, aiohttp_server
from tests.proxy.clients import Peer, get
from tests.proxy.lab import Lab

MIB = 1 << 20
HANDSHAKE = get(
    "/ws",
    *("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
    *("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "x-request-id: 7"),
)
CONTINUATION, TEXT, CLOSE, PING, PONG = 0, 1, 8, 9, 10
FIN = 0x80
UPGRADED = {("101", ""): 1}


class Sockets:
    """A server that says every message back; a text `close N` is answered by closing with that code."""

    def __init__(self) -> None:
        self.codes: list[int | None] = []  # with which sockets were closed

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """One socket."""
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT and message.data.startswith("close "):
                await socket.close(code=int(message.data[6:]), message=b"as asked")
            elif message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
            elif message.type is WSMsgType.PING:
                await socket.pong(message.data)
        self.codes.append(socket.close_code)
        return socket


@pytest.fixture
def sockets() -> Sockets:
    """What the server knows."""
    return Sockets()


@pytest.fixture
async def server(sockets: Sockets) -> AsyncIterator[Server]:
    """A real one."""
    async with aiohttp_server(sockets.handle) as running:
        yield running


@asynccontextmanager
async def connected(lab: Lab, compress: int = 0) -> AsyncIterator[ClientWebSocketResponse]:
    """A real client, through the sidecar."""
    url = f"http://127.0.0.1:{lab.address[1]}/ws"
    async with (
        asyncio.timeout(30),
        aiohttp.ClientSession() as session,
        session.ws_connect(url, autoping=False, compress=compress) as socket,
    ):
        yield socket


def tunnel(lab: Lab) -> tuple[int, int, int, int, int]:
    """Upgraded connections, bytes in, bytes out, how many durations were counted, their sum in nanoseconds."""
    count, received, sent, *buckets, total = (int(slot) for slot in lab.reader.connections("upgraded"))
    return count, received, sent, sum(buckets), total


@pytest.mark.parametrize("compress", [0, 15])
@pytest.mark.parametrize("mode", MODES)
async def test_messages_pings_and_sizes(lab: Lab, server: Server, mode: str, compress: int) -> None:
    """Texts, binaries of up to 1 MiB, pings and their pongs go through whole; the time is that of the connection."""
    await lab.start(None, port=server.address[1], mode=mode)
    began = monotonic_ns()
    async with connected(lab, compress) as socket:
        for text in ("", "hello", "\u00e9" * 70_000):
            await socket.send_str(text)
            assert await socket.receive_str() == text
        for size in (0, 1, 125, 126, 65_535, 65_536, MIB):
            data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
            await socket.send_bytes(data)
            assert await socket.receive_bytes() == data
        await socket.ping(b"are you there?")
        pong = await socket.receive()
        assert (pong.type, bytes(pong.data)) == (WSMsgType.PONG, b"are you there?")
    await lab.idle()
    count, received, sent, counted, duration = tunnel(lab)
    assert (count, counted) == (1, 1)
    assert min(received, sent) > (0 if compress else MIB + 2 * 65_535)
    assert 0 < duration <= monotonic_ns() - began
    assert lab.outcomes() == UPGRADED
    if mode == "observe":
        assert server.records is not None
        assert received == len(server.records[0].data)


async def test_both_directions_at_once(lab: Lab, server: Server) -> None:
    """Neither waits for the other: hundreds of messages are under way in both directions, and stay in order."""
    await lab.start(None, port=server.address[1])
    messages = [b"%d " % number * 500 for number in range(400)]

    async def say(socket: ClientWebSocketResponse) -> None:
        for message in messages:
            await socket.send_bytes(message)

    async with connected(lab) as socket, asyncio.TaskGroup() as group:
        group.create_task(say(socket))
        assert [await socket.receive_bytes() for _ in messages] == messages


@pytest.mark.parametrize("code", [1000, 1001, 1011, 4321])
async def test_close_codes(lab: Lab, server: Server, sockets: Sockets, code: int) -> None:
    """Who closes first, with which code and reason, is seen by the other."""
    await lab.start(None, port=server.address[1])
    async with connected(lab) as socket:
        await socket.send_str(f"close {code}")
        message = await socket.receive()
        assert (message.type, message.data, message.extra) == (WSMsgType.CLOSE, code, "as asked")
    async with connected(lab) as socket:
        await socket.close(code=code)
    await lab.until(lambda: len(sockets.codes) == 2)
    await lab.idle()
    # The client answers the close of the server with 1000, whatever its code.
    assert sockets.codes == [1000, code]
    assert tunnel(lab)[0] == 2


def frame(opcode: int, payload: bytes, fin: int = FIN) -> bytes:
    """A client's frame of at most 125 bytes; the mask is all zeros, which is allowed."""
    return bytes((fin | opcode, 0x80 | len(payload), 0, 0, 0, 0)) + payload


def unframed(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The server's frames, each at most 125 bytes."""
    at = 0
    while at < len(data):
        size = data[at + 1]
        yield data[at], data[at + 2 : at + 2 + size]
        at += 2 + size


async def shaken(client: Peer) -> None:
    """The handshake of the standard's own example."""
    await client.send(HANDSHAKE)
    head = await client.read_to(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head


@pytest.mark.parametrize("cut", [1000, 1])
async def test_fragments(lab: Lab, server: Server, sockets: Sockets, cut: int) -> None:
    """A message in fragments with a ping between them, whole or byte by byte; every byte is counted."""
    await lab.start(None, port=server.address[1])
    client = await lab.client()
    await shaken(client)
    said = (
        frame(TEXT, b"frag", fin=0)
        + frame(CONTINUATION, b"men", fin=0)
        + frame(PING, b"!")
        + frame(CONTINUATION, b"ted")
        + frame(CLOSE, b"\x03\xe8bye")
    )
    await client.send_pieces(said, cut)
    got = list(unframed(await client.read_all()))
    assert got[:2] == [(FIN | PONG, b"!"), (FIN | TEXT, b"fragmented")]
    assert got[2][0] == FIN | CLOSE and got[2][1][:2] == b"\x03\xe8"
    client.close()
    await lab.idle()
    assert tunnel(lab)[:3] == (1, client.sent, len(client.received))
    assert sockets.codes == [1000]


async def test_abort(lab: Lab, server: Server, sockets: Sockets) -> None:
    """A client that vanishes is gone for the server too: 1006, as it would be without the sidecar."""
    await lab.start(None, port=server.address[1])
    client = await lab.client()
    await shaken(client)
    await client.send(frame(TEXT, b"half", fin=0))
    client.reset()
    await lab.until(lambda: sockets.codes)
    await lab.idle()
    assert sockets.codes == [1006]
    assert lab.outcomes() == UPGRADED
