"""Scripted models: a coroutine per accepted connection does exactly what the case says."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from tests.proxy.clients import Message, Peer, answer

Script = Callable[[Peer], Awaitable[None]]


class Upstream:
    """Listens on loopback and runs a script for every connection; keeps all peers that it met."""

    def __init__(self, script: Script, sock: socket.socket | None = None, send_buffer: int = 0) -> None:
        self.script = script
        self.sock = sock if sock is not None else listener()
        if send_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        self.peers: list[Peer] = []
        self.failures: list[BaseException] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._leave: Callable[[], None] = _nothing

    @property
    def address(self) -> tuple[str, int]:
        host, port, *_ = self.sock.getsockname()
        return host, port

    @property
    def requests(self) -> bytes:
        """Everything that the model was sent, over all connections."""
        return b"".join(bytes(peer.received) for peer in self.peers)

    def start(self) -> None:
        self._leave = accepting(self.sock, self._met)

    def _met(self, sock: socket.socket) -> None:
        peer = Peer(sock)
        self.peers.append(peer)
        task = asyncio.get_running_loop().create_task(self._run(peer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, peer: Peer) -> None:
        try:
            await self.script(peer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        except BaseException as error:  # noqa: BLE001 - raised again by `stop`
            self.failures.append(error)
        finally:
            peer.close()

    async def stop(self) -> None:
        self._leave()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.sock.close()
        for peer in self.peers:
            peer.close()
        if self.failures:
            raise self.failures[0]


def accepting(sock: socket.socket, met: Callable[[socket.socket], None]) -> Callable[[], None]:
    """Give `met` each connection that the listener accepts, until what is returned is called.

    Not `loop.sock_accept`: if its task is cancelled after a connection came and before the task is told, nobody knows
    of that connection, and it stays open until it is collected.
    """
    loop = asyncio.get_running_loop()

    def readable() -> None:
        with suppress(BlockingIOError, ConnectionError):  # whoever knocked has gone
            accepted, _ = sock.accept()
            accepted.setblocking(False)
            met(accepted)

    loop.add_reader(sock, readable)
    return partial(loop.remove_reader, sock)


def _nothing() -> None:
    pass


def listener(host: str = "127.0.0.1", port: int = 0, family: int = socket.AF_INET) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    sock.listen(512)
    sock.setblocking(False)
    return sock


def closed_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


# ---------------------------------------------------------------- scripts


def serving(respond: Callable[[Message], bytes] | bytes) -> Script:
    """Answer request after request, until the client ends."""

    async def script(peer: Peer) -> None:
        while True:
            message = await peer.read_message()
            if not message.head.endswith(b"\r\n\r\n"):
                return
            await peer.send(respond if isinstance(respond, bytes) else respond(message))

    return script


def ok(message: Message) -> bytes:
    """200 with the request's own body, as a server would give it to that method."""
    whole = answer(message.body or b"{}")
    return whole.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if message.head.startswith(b"HEAD ") else whole


def saying(*pieces: bytes, then: str = "fin") -> Script:
    """After one request say these pieces, each in a write of its own, then end: fin, reset, close, or stay."""

    async def script(peer: Peer) -> None:
        await peer.read_message()
        await say(peer, pieces, then)

    return script


async def say(peer: Peer, pieces: tuple[bytes, ...], then: str) -> None:
    for piece in pieces:
        await peer.send(piece)
        await asyncio.sleep(0)  # the other callbacks of this loop get their turn, the data plane's among them
    if then == "reset":
        peer.reset()
    elif then == "fin":
        peer.fin()
        await peer.read_all()
    elif then == "stay":
        await peer.read_all()


async def silent(peer: Peer) -> None:
    """Read everything, never answer."""
    await peer.read_all()


async def deaf(peer: Peer) -> None:
    """Accept and do nothing at all."""
    await asyncio.Event().wait()


async def echo(peer: Peer) -> None:
    """Every byte back as it comes, FIN included."""
    while data := await peer.receive():
        await peer.send(data)
    if peer.over == "fin":
        peer.fin()
