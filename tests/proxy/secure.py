"""TLS over a raw peer, for clients and scripted models: `ssl` without an event loop's help, so that nothing is hidden.

`over` tells one more ending: "cut" is a FIN without close_notify before it. "fin" is close_notify.
"""

import asyncio
import socket
import ssl
from contextlib import suppress
from pathlib import Path

from exporter.proxy.settings import Tls
from tests.proxy.clients import DEADLINE, Peer
from tests.proxy.upstreams import Script

FILES = Path(__file__).parents[1] / "vectors" / "tls"


def file(name: str) -> str:
    """The path of one of the certificates or keys."""
    return str(FILES / name)


SERVING = Tls(cert=file("server.pem"), key=file("server.key"))


class SecurePeer(Peer):
    """A peer that speaks TLS once `handshake` is done."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, name: str | None = None) -> None:
        super().__init__(sock)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = context.protocol == ssl.PROTOCOL_TLS_SERVER
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server, server_hostname=name)

    async def handshake(self) -> None:
        """ssl.SSLError if it fails, ConnectionError if the other side ends it."""
        try:
            while True:
                try:
                    self.tls.do_handshake()
                    return
                except ssl.SSLWantReadError:
                    await self._flush()
                    if not await self._fill():
                        raise ConnectionResetError("the handshake was cut") from None
        finally:
            await self._flush()

    async def send(self, data: bytes) -> None:
        self.tls.write(data)
        await self._flush()
        self.sent += len(data)

    async def receive(self, size: int = 65536) -> bytes:
        while not self.over:
            try:
                data = self.tls.read(size)
            except ssl.SSLWantReadError:
                await self._fill()
                continue
            except ssl.SSLZeroReturnError:
                data = b""
            if data:
                self.received += data
                return data
            self.over = "fin"
        return b""

    async def end_writing(self) -> None:
        """close_notify; reading goes on."""
        with suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        await self._flush()

    async def _fill(self) -> bool:
        try:
            async with asyncio.timeout(DEADLINE):
                data = await self.loop.sock_recv(self.sock, 65536)
        except ConnectionError:
            self.over = "reset"
            return False
        if not data:
            self.over = "cut"
        self._incoming.write(data)
        return bool(data)

    async def _flush(self) -> None:
        if data := self._outgoing.read():
            async with asyncio.timeout(DEADLINE):
                await self.loop.sock_sendall(self.sock, data)


def trusting(*, cert: str = "", ca: str = "ca.pem") -> ssl.SSLContext:
    """A client's context, with a certificate of its own if it is named."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(file(ca))
    context.set_alpn_protocols(["h2", "http/1.1"])
    if cert:
        context.load_cert_chain(file(f"{cert}.pem"), file(f"{cert}.key"))
    return context


def presenting(cert: str = "server", *, ca: str = "") -> ssl.SSLContext:
    """A model's context; with `ca` it asks for a certificate of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file(f"{cert}.pem"), file(f"{cert}.key"))
    context.set_alpn_protocols(["http/1.1"])
    if ca:
        context.load_verify_locations(file(ca))
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def secured(script: Script, context: ssl.SSLContext) -> Script:
    """The script behind TLS. A handshake that the other side refuses ends it without a word."""

    async def run(peer: Peer) -> None:
        secure = SecurePeer(peer.sock, context)
        try:
            await secure.handshake()
            await script(secure)
        except ssl.SSLError:
            return

    return run
