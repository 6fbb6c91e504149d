"""Each toxic does to a connection what it says, and only that; they stack, on either end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.faults import kernel
from tests.faults.ends import Between, Cut, End, Send, connect, limit_buffer
from tests.faults.model import listening
from tests.faults.toxics import (
    BlackHole,
    HalfClose,
    Latency,
    Reset,
    ResetReader,
    Slicer,
    SlowReader,
    SlowWriter,
    Toxic,
    ZeroWindow,
    full,
    refusing,
)

TEXT = b"some text"


@asynccontextmanager
async def ends(*near: Between, far: tuple[Between, ...] = ()) -> AsyncIterator[tuple[End, End]]:
    """A connection with these toxics on its ends."""
    listener = listening()
    client = await connect(listener.getsockname(), *near)
    sock, _ = await asyncio.get_running_loop().sock_accept(listener)
    limit_buffer(sock, far)
    server = End(sock, far)
    try:
        yield client, server
    finally:
        for each in (client, server, listener):
            each.close()


@pytest.mark.parametrize(
    "toxics",
    [
        (),
        (Toxic(),),
        (Latency(0.001),),
        (Slicer(1),),
        (SlowWriter(2, 0.001),),
        (SlowReader(2, 0.001),),
        (Slicer(2), Latency(0.001), SlowReader(1, 0)),
        (Reset(100), HalfClose(100), ResetReader(100)),
    ],
)
async def test_no_byte_changes(toxics: tuple[Between, ...]) -> None:
    """What passes is what was sent, in both directions, and both ends know what they sent."""
    async with ends(*toxics, far=toxics) as (client, server):
        await client.send(TEXT)
        assert await server.read_bytes(len(TEXT)) == TEXT == client.outgoing
        await server.send(TEXT[::-1])
        assert await client.read_bytes(len(TEXT)) == TEXT[::-1] == server.outgoing


async def test_slicer() -> None:
    """Segments of the size that is asked for, each a write of its own."""
    sizes: list[int] = []

    class Recorder(Toxic):
        async def send(self, end: End, data: bytes, onward: Send) -> None:
            sizes.append(len(data))
            await onward(data)

    async with ends(Slicer(4), Recorder()) as (client, server):
        await client.send(TEXT)
        assert await server.read_bytes(len(TEXT)) == TEXT
        assert sizes == [4, 4, 1]


async def test_slow_reader_takes_little() -> None:
    """However much is there."""
    async with ends(SlowReader(2, 0)) as (client, server):
        await server.send(TEXT)
        assert [await client.receive() for _ in range(3)] == [TEXT[:2], TEXT[2:4], TEXT[4:6]]


@pytest.mark.parametrize("toxic", [ZeroWindow(), BlackHole()])
async def test_zero_window(toxic: Toxic) -> None:
    """Nothing is read, so that soon nothing can be sent."""
    async with ends(toxic) as (client, server):
        reader = asyncio.ensure_future(client.receive())
        assert await server.send_until_stuck(TEXT * 1000, 64 << 20) < 64 << 20
        assert not reader.done()
        reader.cancel()


async def test_black_hole_swallows() -> None:
    """Nothing goes out."""
    async with ends(BlackHole()) as (client, server):
        await client.send(TEXT)
        client.fin()
        assert await server.read_all() == b""
        assert client.outgoing == b""


@pytest.mark.parametrize("after", [0, 4, len(TEXT)])
async def test_reset(after: int) -> None:
    """So many bytes, then RST."""
    async with ends(Reset(after)) as (client, server):
        with pytest.raises(Cut):
            await client.send(TEXT)
        assert await server.read_all() == TEXT[:after]
        assert server.over == "reset"


async def test_reset_of_a_reader() -> None:
    """So many bytes are taken, then RST."""
    async with ends(ResetReader(4)) as (client, server):
        await server.send(TEXT)
        assert await client.receive() == TEXT[:4]
        with pytest.raises(Cut):
            await client.receive()
        assert await server.ended() == "reset"


@pytest.mark.parametrize("after", [0, 4, len(TEXT)])
async def test_half_close(after: int) -> None:
    """So many bytes, then FIN; the other direction goes on."""
    async with ends(HalfClose(after)) as (client, server):
        await client.send(TEXT)
        await client.send(TEXT)
        assert (await server.read_all(), server.over) == (TEXT[:after], "fin")
        await server.send(TEXT)
        assert await client.read_bytes(len(TEXT)) == TEXT


async def test_refusing() -> None:
    """A closed port within, and the same port open again behind."""
    listener = listening()
    with listener:
        with refusing(listener), pytest.raises(ConnectionRefusedError):
            await connect(listener.getsockname())
        (await connect(listener.getsockname())).close()


async def test_full() -> None:
    """Connecting does not end while the backlog is full."""
    listener = listening()
    with listener, full(listener):
        waiting = asyncio.ensure_future(connect(listener.getsockname()))
        await asyncio.wait([waiting], timeout=0.2)
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])


async def test_what_the_kernel_tells() -> None:
    """Bytes that are sent and not read, on the side where they are, and a reset that nobody reads."""
    async with ends() as (client, server):
        await client.send(TEXT)
        near, far = client.sock.getsockname()[1], server.sock.getsockname()[1]
        assert kernel.all_queues()[far, near].unread == len(TEXT)
        assert not kernel.is_reset(server.sock)
        client.reset()
        assert kernel.is_reset(server.sock)
