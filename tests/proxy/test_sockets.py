"""What the pair asks of sockets: resets that are resets, the rest that a failed write leaves behind, who is gone."""

import asyncio
import socket
from pathlib import Path
from typing import Any

from exporter.proxy import sockets
from tests.proxy.clients import Peer, connect
from tests.proxy.secure import SecurePeer, presenting, trusting
from tests.proxy.upstreams import Upstream, deaf

CLOSE_WAIT = 8  # linux/tcp_states.h: the peer sent its FIN


class Keeper(asyncio.Protocol):
    """Accepts and keeps its transport; reads nothing."""

    transport: asyncio.Transport
    lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def eof_received(self) -> bool:
        return self.transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True


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
    assert sockets.finish_writing(keeper.transport)
    assert sockets.finish_writing(keeper.transport)
    assert await peer.read_all() == b"last"
    assert peer.over == "fin"
    peer.close()
    keeper.transport.close()
    server.close()
    await upstream.stop()


# ---------------------------------------------------------------- Unix sockets


async def test_unix_sockets_have_no_reset(tmp_path: Path) -> None:
    """Its peer is gone when it closed both ways, not when it only ended writing; a reset shows as the end."""
    keeper = Keeper()
    path = str(tmp_path / "sock")
    server = await asyncio.get_running_loop().create_unix_server(lambda: keeper, path)
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    peer = Peer(sock)
    while not hasattr(keeper, "transport"):
        await asyncio.sleep(0.001)
    keeper.transport.pause_reading()
    assert not sockets.gone(keeper.transport)
    peer.fin()
    assert not sockets.gone(keeper.transport)
    sockets.reset(keeper.transport)
    assert await peer.receive() == b""
    peer.close()
    server.close()


async def test_unix_peer_that_is_gone(tmp_path: Path) -> None:
    """What was not read is still there."""
    keeper = Keeper()
    path = str(tmp_path / "sock")
    server = await asyncio.get_running_loop().create_unix_server(lambda: keeper, path)
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    peer = Peer(sock)
    while not hasattr(keeper, "transport"):
        await asyncio.sleep(0.001)
    keeper.transport.pause_reading()
    await peer.send(b"answer")
    peer.close()
    assert sockets.gone(keeper.transport)
    assert sockets.unread(keeper.transport) == b"answer"
    keeper.transport.abort()
    server.close()


# ---------------------------------------------------------------- TLS


async def _secure(server_side: bool) -> tuple[asyncio.AbstractServer | None, Keeper, SecurePeer]:
    """A loop's TLS transport, of either side, and its raw peer."""
    loop, keeper = asyncio.get_running_loop(), Keeper()
    server: Any = None
    if server_side:
        server = await loop.create_server(lambda: keeper, "127.0.0.1", 0, ssl=presenting())
        peer = await connect(server.sockets[0].getsockname())
        secure = SecurePeer(peer.sock, trusting(), "model")
        await secure.handshake()
    else:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        secure = SecurePeer(theirs, presenting())
        made = loop.create_connection(lambda: keeper, sock=ours, ssl=trusting(), server_hostname="model")
        await asyncio.gather(secure.handshake(), made)
    while not hasattr(keeper, "transport"):
        await asyncio.sleep(0.001)
    return server, keeper, secure


async def _lost(keeper: Keeper) -> None:
    async with asyncio.timeout(30):
        while not keeper.lost:
            await asyncio.sleep(0.001)


async def test_tls_reset_is_a_reset() -> None:
    """RST under TLS, also where close_notify went out already; again is harmless."""
    for closing, expected in ((False, ("reset",)), (True, ("reset", "fin"))):
        server, keeper, peer = await _secure(True)
        assert sockets.is_tls(keeper.transport)
        assert not sockets.gone(keeper.transport)
        if closing:
            keeper.transport.close()
        sockets.reset(keeper.transport)
        sockets.reset(keeper.transport)
        await peer.read_all()
        await _lost(keeper)
        assert peer.over in expected
        peer.close()
        assert server is not None
        server.close()


async def test_tls_answers_end_with_close_notify() -> None:
    """Towards a client the end is a whole close behind every byte, and the loop waits for no answer to it."""
    server, keeper, peer = await _secure(True)
    keeper.transport.write(b"x" * 100_000)
    sockets.finish_writing(keeper.transport)
    sockets.finish_writing(keeper.transport)
    assert await peer.read_all() == b"x" * 100_000
    assert peer.over == "fin"
    await _lost(keeper)
    sockets.close(keeper.transport)
    sockets.close(None)
    peer.close()
    assert server is not None
    server.close()


async def test_tls_close_behind_what_is_not_taken_yet() -> None:
    """A peer that reads late gets everything, and close_notify after it."""
    server, keeper, peer = await _secure(True)
    keeper.transport.write(b"x" * 8_000_000)
    sockets.close(keeper.transport)
    assert len(await peer.read_all()) == 8_000_000
    assert peer.over == "fin"
    peer.close()
    await _lost(keeper)
    assert server is not None
    server.close()


async def test_tls_end_waits_for_nobody() -> None:
    """A peer that takes nothing is reset or cut, so that no part of an answer looks whole; an idle one is closed."""
    for waiting, expected in ((30_000_000, ("reset", "cut")), (0, ("fin",))):
        server, keeper, peer = await _secure(True)
        if waiting:
            keeper.transport.write(b"x" * waiting)
        sockets.end(keeper.transport)
        await _lost(keeper)
        await peer.read_all()
        assert peer.over in expected
        peer.close()
        assert server is not None
        server.close()


async def test_tls_upstream_is_not_half_closed() -> None:
    """The end of what a client sends does not end the connection that its answer comes on."""
    _, keeper, peer = await _secure(False)
    got: list[bytes] = []
    keeper.data_received = got.append  # type: ignore[method-assign]
    assert not sockets.finish_writing(keeper.transport)
    assert not keeper.transport.is_closing()
    await peer.send(b"answer")
    while b"".join(got) != b"answer":
        await asyncio.sleep(0.001)
    sockets.close(keeper.transport)
    assert await peer.read_all() == b""
    assert peer.over == "fin"
    peer.close()
    await _lost(keeper)


async def test_tls_peer_that_is_gone() -> None:
    """A reset is seen under TLS too; what was not read can no longer be deciphered."""
    server, keeper, peer = await _secure(True)
    keeper.transport.pause_reading()
    await peer.send(b"request")
    assert sockets.unread(keeper.transport) == b""
    peer.reset()
    async with asyncio.timeout(30):
        while not sockets.gone(keeper.transport):
            await asyncio.sleep(0.001)
    keeper.transport.abort()
    await _lost(keeper)
    assert server is not None
    server.close()
