"""Sockets become the loop's without a task; TLS handshakes can be ended, everything else is over too soon."""

import asyncio
import errno
import ssl
from typing import Any

import pytest

from exporter.proxy.handover import ACCEPTING, DIALLING, PLAIN, Handover
from tests.proxy.clients import Peer, connect
from tests.proxy.secure import SecurePeer, presenting, trusting
from tests.proxy.upstreams import listener


class Keeper(asyncio.Protocol):
    """Keeps its transport and hears of its end."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.heard: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.heard.append("made")

    def connection_lost(self, exc: Exception | None) -> None:
        self.heard.append("lost")


class Case:
    """A connected pair of sockets: one for the loop, one for a raw peer."""

    def __init__(self) -> None:
        self.keeper = Keeper()
        self.ends: list[BaseException | None] = []

    async def start(self, handshake: int, **options: Any) -> Handover:
        loop = asyncio.get_running_loop()
        sock = listener()
        self.peer: Peer = await connect(sock.getsockname())
        ours, _ = sock.accept()
        sock.close()
        call = loop.create_connection if handshake == DIALLING else loop.connect_accepted_socket
        taking = call(lambda: self.keeper, sock=ours, **options)
        made = Handover(taking, handshake, self.ends.append)
        made.start()
        assert self.ends == []
        return made

    async def over(self) -> BaseException | None:
        async with asyncio.timeout(30):
            while not self.ends:
                await asyncio.sleep(0)
        (end,) = self.ends
        return end


async def test_plain() -> None:
    """The protocol is told, then who started it; cancelling is too late and changes nothing."""
    case = Case()
    made = await case.start(PLAIN)
    made.cancel()
    made.cancel()
    assert await case.over() is None
    assert case.keeper.heard == ["made"]
    await case.peer.send(b"x")
    case.keeper.transport.abort()
    assert await case.peer.read_all() == b""
    made.cancel()
    assert len(case.ends) == 1
    case.peer.close()


@pytest.mark.parametrize("handshake", [ACCEPTING, DIALLING])
async def test_tls(handshake: int) -> None:
    """Over when the handshake is."""
    case = Case()
    ours: dict[str, Any] = {"ssl": presenting()}
    theirs: tuple[ssl.SSLContext, str | None] = trusting(), "model"
    if handshake == DIALLING:
        ours, theirs = {"ssl": trusting(), "server_hostname": "model"}, (presenting(), None)
    await case.start(handshake, **ours)
    secure = SecurePeer(case.peer.sock, *theirs)
    await secure.handshake()
    assert await case.over() is None
    assert case.keeper.heard == ["made"]
    case.keeper.transport.write(b"hello")
    assert await secure.read_bytes(5) == b"hello"
    case.keeper.transport.abort()
    assert await secure.read_all() == b""
    secure.close()


@pytest.mark.parametrize("handshake", [ACCEPTING, DIALLING])
@pytest.mark.parametrize("late", [False, True])
async def test_tls_cancelled(handshake: int, late: bool) -> None:
    """Within a handshake, or before it began: the socket is closed and the protocol never hears of it."""
    case = Case()
    ours = {"ssl": trusting(), "server_hostname": "model"} if handshake == DIALLING else {"ssl": presenting()}
    made = await case.start(handshake, **ours)
    if late and handshake == DIALLING:
        await case.peer.receive()  # the first message of the handshake
    made.cancel()
    made.cancel()
    assert isinstance(await case.over(), asyncio.CancelledError)
    await case.peer.read_all()
    assert case.peer.over
    assert case.keeper.heard == []
    case.peer.close()


@pytest.mark.parametrize("handshake", [ACCEPTING, DIALLING])
async def test_handshake_that_fails(handshake: int) -> None:
    """What it failed with comes as it is."""
    case = Case()
    ours = {"ssl": trusting(), "server_hostname": "model"} if handshake == DIALLING else {"ssl": presenting()}
    await case.start(handshake, **ours)
    await case.peer.send(b"GET / HTTP/1.1\r\n\r\n")
    assert isinstance(await case.over(), ssl.SSLError)
    await case.peer.read_all()
    assert case.keeper.heard == []
    case.peer.close()


async def test_loop_that_refuses() -> None:
    """An error within the first step is told within `start`."""

    async def refusing() -> None:
        raise OSError(errno.ENOTCONN, "not connected")

    ends: list[BaseException | None] = []
    made = Handover(refusing(), PLAIN, ends.append)
    made.start()
    assert isinstance(ends[0], OSError)
    made.cancel()
    assert len(ends) == 1
