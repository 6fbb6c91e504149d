"""What the pair asks of sockets: resets that are resets, the rest that a failed write leaves behind, who is gone."""

import asyncio
import socket

from exporter.proxy import sockets
from tests.proxy.clients import Peer, connect
from tests.proxy.upstreams import Upstream, deaf

CLOSE_WAIT = 8  # linux/tcp_states.h: the peer sent its FIN


class Keeper(asyncio.Protocol):
    """Accepts and keeps its transport; reads nothing."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def eof_received(self) -> bool:
        return True


async def _pair() -> tuple[asyncio.AbstractServer, Keeper, Peer]:
    keeper = Keeper()
    server = await asyncio.get_running_loop().create_server(lambda: keeper, "127.0.0.1", 0)
    peer = await connect(server.sockets[0].getsockname())
    while not hasattr(keeper, "transport"):
        await asyncio.sleep(0.001)
    keeper.transport.pause_reading()
    return server, keeper, peer


async def test_reset_is_a_reset() -> None:
    """The peer sees RST where `abort` alone would show FIN; safe twice and on nothing."""
    server, keeper, peer = await _pair()
    sockets.reset(keeper.transport)
    sockets.reset(keeper.transport)
    sockets.reset(None)
    assert await peer.receive() == b""
    assert peer.over == "reset"
    peer.close()
    server.close()


async def test_end() -> None:
    """FIN where all is written, RST where the peer does not take it."""
    server, keeper, peer = await _pair()
    sockets.end(None)
    keeper.transport.write(b"x" * 30_000_000)
    assert keeper.transport.get_write_buffer_size()
    sockets.end(keeper.transport)
    while await peer.receive(1 << 20):
        pass
    assert peer.over == "reset"
    peer.close()
    server.close()
    server, keeper, peer = await _pair()
    sockets.end(keeper.transport)
    assert (await peer.receive(), peer.over) == (b"", "fin")
    peer.close()
    server.close()


async def test_unread() -> None:
    """What was not read is still there, up to what there is."""
    server, keeper, peer = await _pair()
    await peer.send(b"answer" * 20_000)
    peer.close()
    got = b""
    while len(got) < 120_000:
        got += sockets.unread(keeper.transport)
        await asyncio.sleep(0.001)
    assert got == b"answer" * 20_000
    sockets.reset(keeper.transport)
    assert sockets.unread(keeper.transport) == b""
    server.close()


async def test_gone() -> None:
    """A reset is seen on a connection that is not read; an open or half-closed one is not gone."""
    server, keeper, peer = await _pair()
    assert not sockets.gone(keeper.transport)
    peer.fin()
    sock = keeper.transport.get_extra_info("socket")
    while sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != CLOSE_WAIT:
        await asyncio.sleep(0.001)
    assert not sockets.gone(keeper.transport)
    peer.reset()
    while not sockets.gone(keeper.transport):
        await asyncio.sleep(0.001)
    sockets.finish_writing(keeper.transport)
    sockets.reset(keeper.transport)
    assert sockets.gone(keeper.transport)
    assert sockets.gone(None)
    server.close()


async def test_finish_writing_twice() -> None:
    """FIN is sent once, behind what was written; again is harmless."""
    upstream = Upstream(deaf)
    upstream.start()
    server, keeper, peer = await _pair()
    keeper.transport.write(b"last")
    sockets.finish_writing(keeper.transport)
    sockets.finish_writing(keeper.transport)
    assert await peer.read_all() == b"last"
    assert peer.over == "fin"
    peer.close()
    keeper.transport.close()
    server.close()
    await upstream.stop()
