"""The model behind the sidecar: a process of its own that answers as the request asks, and misbehaves when told.

Run as `python -m tests.soak.model PORT [FILE]`. What the path means: V2 and V1 inference, V2 readiness, streams of
server-sent events, an answer that never comes, an upgrade that echoes; `x-do` chooses how an inference is framed.
`POST /control` with a word and seconds switches a fault on for that long. Each request to the V1 path appends one
byte to FILE before anything else happens, so that what was seen outlives the process.
"""

import asyncio
import hashlib
import json
import os
import re
import socket
import struct
import sys
from dataclasses import dataclass

LINGER = struct.pack("ii", 1, 0)
LARGE_VALUES = 40_000
PIECES, PIECE_SECONDS = 4, 0.03
TOKEN_SECONDS = 0.01
TRAILERS = b"x-rows: 1\r\n"
_FIELD = re.compile(rb"(?im)^([^:\r\n]+):[ \t]*(.*?)[ \t]*\r$")
_NUMBERS = [round(n * 0.37, 2) for n in range(LARGE_VALUES)]


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request; field names in lower case, the last of equal names wins."""

    method: str
    path: str
    fields: dict[str, str]
    body: bytes


class Model:
    """The state that connections share: the fault in force, and where V1 requests are counted."""

    def __init__(self, port: int, seen: int | None) -> None:
        self.port = port
        self.seen = seen
        self.fault = ""
        self.healed = asyncio.Event()
        self.healed.set()
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        """Accept from now on."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=512)

    async def misbehave(self, fault: str, seconds: float) -> None:
        """Be like that for a while: refuse, reset, stall or cut."""
        self.fault = fault
        self.healed.clear()
        if fault == "refuse" and self._server is not None:
            self._server.close()
        await asyncio.sleep(seconds)
        if fault == "refuse":
            await self.listen()
        self.fault = ""
        self.healed.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await read_request(reader)) is not None:
                if not await self._answer(request, reader, writer):
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass  # the other side left, as it may
        finally:
            writer.close()

    async def _answer(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Whether the connection goes on."""
        path = request.path
        if path == "/control":
            fault, seconds = request.body.decode().split()
            tasks.add(asyncio.create_task(self.misbehave(fault, float(seconds))))
            await say(writer, [plain(b"{}")])
            return True
        if path == "/ws":
            return await echo(reader, writer)
        if path.endswith("/chat/completions"):
            return await stream(request, reader, writer)
        if path.endswith("/completions"):
            await say(writer, [b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"])
            await reader.read()  # until the client gives up
            return False
        if path.startswith("/v1/models/"):
            return await self._faulty(request, writer)
        await say(writer, pieces(request), PIECE_SECONDS if "slow" in request.fields.get("x-do", "") else 0)
        return "eof" not in request.fields.get("x-do", "") and request.fields.get("connection") != "close"

    async def _faulty(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        if self.seen is not None:
            os.write(self.seen, b".")
        if self.fault == "stall":
            await self.healed.wait()
        answer = pieces(request)
        whole = b"".join(answer)
        if self.fault == "cut":
            await say(writer, [whole[: whole.index(b"\r\n\r\n") + 8]])
        if self.fault in ("cut", "reset"):
            sock: socket.socket = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
            return False
        await say(writer, answer, PIECE_SECONDS if "slow" in request.fields.get("x-do", "") else 0)
        return request.fields.get("connection") != "close"


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request with its whole body; None at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    line, _, rest = head.partition(b"\r\n")
    method, path, _ = line.decode().split(" ")
    fields = {name.lower().decode(): value.decode("latin-1") for name, value in _FIELD.findall(rest)}
    if fields.get("transfer-encoding") == "chunked":
        return Request(method, path, fields, await read_chunks(reader))
    return Request(method, path, fields, await reader.readexactly(int(fields.get("content-length", "0"))))


async def read_chunks(reader: asyncio.StreamReader) -> bytes:
    """A body in the chunked coding; trailers are read and thrown away."""
    body = b""
    while size := int((await reader.readline()).partition(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    while await reader.readline() != b"\r\n":
        pass
    return body


async def say(writer: asyncio.StreamWriter, parts: list[bytes], pause: float = 0.0) -> None:
    """Each part in a write of its own."""
    for part in parts:
        writer.write(part)
        await writer.drain()
        if pause:
            await asyncio.sleep(pause)


def plain(body: bytes, status: str = "200 OK", more: str = "") -> bytes:
    """A whole answer with its length."""
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{more}content-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def pieces(request: Request) -> list[bytes]:
    """The answer to an inference or a probe, as `x-do` wants it, in the parts in which it is to be written."""
    do = request.fields.get("x-do", "")
    more = "".join(
        f"x-seen-{name}: {request.fields[name]}\r\n"
        for name in ("traceparent", "x-request-id")
        if name in request.fields
    )
    if "/none/" in request.path:
        return [plain(b'{"error":"no such model"}', "404 Not Found", more)]
    if "/broken/" in request.path:
        return [plain(b'{"error":"it broke"}', "500 Internal Server Error", more)]
    body = result(request, LARGE_VALUES if "large" in do else 1)
    head = plain(body, more=more).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    if request.method == "HEAD":
        return [head]
    if "eof" in do:
        return [re.sub(rb"content-length: \d+", b"connection: close", head), body]
    if "chunked" in do:
        head = re.sub(rb"content-length: \d+", b"transfer-encoding: chunked", head)
        return [head, *chunks(body), b"0\r\n" + TRAILERS + b"\r\n"]
    start = [b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"] if "interim" in do else []
    if "slow" in do:
        step = len(body) // PIECES + 1
        return [*start, head, *(body[at : at + step] for at in range(0, len(body), step))]
    return [*start, head + body]


def chunks(body: bytes) -> list[bytes]:
    """The body in a few chunks."""
    step = len(body) // PIECES + 1
    return [
        b"%x\r\n%s\r\n" % (len(body[at : at + step]), body[at : at + step])
        for at in range(0, len(body), step)
    ]


def result(request: Request, values: int) -> bytes:
    """What an inference gives; `digest` proves to the client that its body arrived as it was."""
    digest = hashlib.sha256(request.body).hexdigest()
    if request.path.startswith("/v1/models/"):
        return json.dumps({"predictions": [0.5], "digest": digest}).encode()
    output = {"name": "predict", "shape": [values, 1], "datatype": "FP64", "data": _NUMBERS[:values]}
    answer = {
        "model_name": "soak",
        "model_version": "1",
        "parameters": {"digest": digest},
        "outputs": [output],
    }
    return json.dumps(answer).encode()


async def stream(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """So many tokens as `x-tokens` says; without it until the client leaves."""
    wanted = int(request.fields.get("x-tokens", "0"))
    await say(
        writer,
        [b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"],
    )
    number = 0
    while not wanted or number < wanted:
        event = b'data: {"choices":[{"delta":{"content":"t%d"}}]}\n\n' % number
        writer.write(b"%x\r\n%s\r\n" % (len(event), event))
        await writer.drain()
        await asyncio.sleep(TOKEN_SECONDS)
        if writer.is_closing():
            return False
        number += 1
    await say(writer, [b"0\r\n\r\n"])
    return True


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Another protocol from here on: every byte comes back, the end too."""
    await say(
        writer, [b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n"]
    )
    while data := await reader.read(65536):
        await say(writer, [data])
    return False


tasks: set[asyncio.Task[None]] = set()


async def main(port: int, seen: str) -> None:
    """Serve until killed."""
    fd = os.open(seen, os.O_WRONLY | os.O_APPEND | os.O_CREAT) if seen else None
    await Model(port, fd).listen()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""))
