"""One raw end of a TCP connection, used for clients and for scripted models alike.

Everything that is read is kept, so that a test can compare whole byte streams; `over` tells how the other side ended:
"" while it has not, "fin" or "reset". Every wait has a deadline.
"""

import asyncio
import re
import socket
import struct
from dataclasses import dataclass

DEADLINE = 10.0
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)")
_CHUNKED = re.compile(rb"(?i)\r\ntransfer-encoding: *chunked")


@dataclass(frozen=True, slots=True)
class Message:
    """A head and a body as they came, transfer coding included."""

    head: bytes
    body: bytes

    @property
    def status(self) -> int:
        return int(self.head.split(b" ", 2)[1])


class Peer:
    """A connected, non-blocking socket."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.loop = asyncio.get_running_loop()
        self.received = bytearray()
        self.sent = 0
        self.over = ""
        self._at = 0  # up to where `received` was taken by read_…

    async def send(self, data: bytes) -> None:
        async with asyncio.timeout(DEADLINE):
            await self.loop.sock_sendall(self.sock, data)
        self.sent += len(data)

    async def send_pieces(self, data: bytes, size: int) -> None:
        """In separate segments, each of them read on its own by whoever is quick enough."""
        for start in range(0, len(data), size):
            await self.send(data[start : start + size])
            await asyncio.sleep(0)

    async def send_until_stuck(self, data: bytes, limit: int) -> int:
        """Write until the other side takes no more for a while, at most `limit` bytes; how many went out."""
        total, stuck = 0, 0
        while total < limit and stuck < 25:
            try:
                total += self.sock.send(data[: limit - total])
                stuck = 0
            except BlockingIOError:
                stuck += 1
            await asyncio.sleep(0.01 if stuck else 0)
        return total

    async def receive(self, size: int = 65536) -> bytes:
        """What is there next; b"" once the other side ended, see `over`."""
        if self.over:
            return b""
        try:
            async with asyncio.timeout(DEADLINE):
                data = await self.loop.sock_recv(self.sock, size)
        except ConnectionError:
            self.over = "reset"
            return b""
        if not data:
            self.over = "fin"
        self.received += data
        return data

    async def read_to(self, mark: bytes) -> bytes:
        """Up to and with `mark`, or whatever came before the end."""
        while (found := self.received.find(mark, self._at)) < 0:
            if not await self.receive():
                return self._take(len(self.received))
        return self._take(found + len(mark))

    async def read_bytes(self, count: int) -> bytes:
        """So many bytes, or fewer if the end comes first."""
        while self.ahead < count:
            if not await self.receive():
                break
        return self._take(min(len(self.received), self._at + count))

    async def read_all(self) -> bytes:
        """Everything from here to the end."""
        while await self.receive():
            pass
        return self._take(len(self.received))

    async def read_message(self, bodiless: bool = False) -> Message:
        """One request or answer; without length or coding an answer ends with the connection."""
        head = await self.read_to(b"\r\n\r\n")
        if bodiless or re.match(rb"HTTP/1\.. (1..|204|304) ", head):
            return Message(head, b"")
        if found := _LENGTH.search(head):
            return Message(head, await self.read_bytes(int(found[1])))
        if _CHUNKED.search(head):
            return Message(head, await self._chunks())
        return Message(head, await self.read_all() if head.startswith(b"HTTP/") else b"")

    async def _chunks(self) -> bytes:
        body = b""
        while True:
            line = await self.read_to(b"\r\n")
            body += line
            if not (size := int(line.partition(b";")[0] or b"0", 16)):
                while line.strip():
                    line = await self.read_to(b"\r\n")
                    body += line
                return body
            body += await self.read_bytes(size + 2)

    @property
    def ahead(self) -> int:
        """Bytes that were received and not taken yet."""
        return len(self.received) - self._at

    def _take(self, end: int) -> bytes:
        taken = bytes(self.received[self._at : end])
        self._at = end
        return taken

    def fin(self) -> None:
        """No more will be sent; reading goes on."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Gone, with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self) -> None:
        self.sock.close()


async def connect(address: tuple[str, int], receive_buffer: int = 0) -> Peer:
    """A client; a small receive buffer makes one that does not read fill up soon."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.setblocking(False)
    try:
        async with asyncio.timeout(DEADLINE):
            await asyncio.get_running_loop().sock_connect(sock, address)
    except OSError:
        sock.close()
        raise
    return Peer(sock)


def request(
    target: str = "/v2/models/iris/infer", body: bytes = b"", *lines: str, method: str = "POST"
) -> bytes:
    """A request head with Host, a Content-Length if there is a body, and further lines."""
    fields = [f"{method} {target} HTTP/1.1", "Host: model", *lines]
    if body:
        fields.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*fields, "", ""]).encode("latin-1") + body


def get(target: str = "/v2/models/iris/ready", *lines: str) -> bytes:
    return request(target, b"", *lines, method="GET")


def answer(body: bytes = b"{}", status: str = "200 OK", *lines: str) -> bytes:
    """An answer with Content-Length."""
    fields = [f"HTTP/1.1 {status}", *lines, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(fields).encode() + body


def chunked(pieces: list[bytes], trailers: bytes = b"") -> bytes:
    """A body in the chunked coding."""
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n" + trailers + b"\r\n"
