"""One exchange in each way in which a body's end is found: length, chunks, an event stream, the close, a WebSocket.

Each knows its bytes, where an answer can be cut, when it looks complete, and what the sidecar must count for it.
"""

import re
from dataclasses import dataclass

from tests.faults.ends import End
from tests.proxy.clients import chunked

EVENTS = [b'data: {"token":"t%d"}\n\n' % n for n in range(4)] + [b"data: [DONE]\n\n"]
BODY = b'{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP64","data":[0.5]}]}'
RESULT = b'{"outputs":[{"name":"y","shape":[1],"datatype":"FP64","data":[1.5]}]}'
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)\r\n")


@dataclass(frozen=True, slots=True)
class Labels:
    """What every traffic family has; the version is summed over."""

    model_name: str
    operation: str
    protocol: str

    @property
    def key(self) -> tuple[str, str, str]:
        """In the order of the labels."""
        return self.model_name, self.operation, self.protocol

    @property
    def unconfirmed(self) -> "Labels":
        """Before the first answer of that model."""
        return Labels("unknown", self.operation, self.protocol)


@dataclass(frozen=True)
class Framing:
    """`pieces` are the parts in which a model sends the answer: the head, then parts of the body."""

    name: str
    labels: Labels
    first_line: str
    lines: tuple[str, ...]
    body: bytes
    pieces: tuple[bytes, ...]
    code: str = "200"
    spoken: str = "http1"
    further: bytes = b""  # what the client says after the answer's head

    @property
    def answer(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def path(self) -> str:
        """Without the query."""
        return self.first_line.split()[1].partition("?")[0]

    @property
    def head(self) -> int:
        """Length of the answer's head."""
        return len(self.pieces[0])

    def request(self, case: str, *lines: str) -> bytes:
        """The opening request of that case."""
        head = "\r\n".join([self.first_line.format(case), "Host: model", *self.lines, *lines, "", ""])
        return head.encode() + self.body

    def opening(self, case: str, length: int) -> bytes:
        """The head alone, for a body of that length."""
        head = self.request(case).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        return _LENGTH.sub(b"\r\nContent-Length: %d\r\n" % length, head)

    @property
    def chunked(self) -> bool:
        """Whether requests come in chunks."""
        return any("chunked" in line for line in self.lines)

    async def take(self, model: End) -> None:
        """Read one request, on the model's side."""
        await model.read_message()

    def cuts(self) -> dict[str, int]:
        """Where the model may stop, by phase: bytes of the answer that went out."""
        head, second = self.head, len(self.pieces[1])
        return {
            "before": 0,
            "in the head": head // 2,
            "behind the head": head,
            "in the body": head + second // 2,
            "between parts": head + second,
            "one byte short": len(self.answer) - 1,
            "behind the last byte": len(self.answer),
        }

    def complete(self, received: bytes, over: str) -> bool:
        """Whether a client takes that for a whole answer; written apart from the sidecar's follower."""
        head, found, body = received.partition(b"\r\n\r\n")
        if not found:
            return False
        if self.spoken == "upgraded":
            return True  # frames have their own ends, the stream has none
        if length := _LENGTH.search(head + b"\r\n"):
            return len(body) >= int(length[1])
        if b"chunked" in head.lower():
            return body.endswith(b"0\r\n\r\n")
        return over == "fin"

    def result(self, sent: int, over: str) -> tuple[str, str]:
        """Code and error type that must be counted if the model ended in that way after so many bytes."""
        if sent < self.head:
            return "none", "reset"
        if self.complete(self.answer[:sent], over):
            return self.code, ""
        return self.code, "incomplete"

    def ended_as(self, sent: int) -> str:
        """What must have been spoken on a connection that saw so much of the answer."""
        return self.spoken if sent >= self.head else "http1"


def _head(*lines: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode()


def _post(path: str) -> str:
    return f"POST {path}?case={{}} HTTP/1.1"


def _json(length: bool = True) -> tuple[str, ...]:
    return ("Content-Type: application/json", *((f"Content-Length: {len(BODY)}",) if length else ()))


def frame(payload: bytes, masked: bool = False) -> bytes:
    """One WebSocket text frame of at most 125 bytes."""
    key = b"\x11\x22\x33\x44"
    if not masked:
        return bytes([0x81, len(payload)]) + payload
    return bytes([0x81, 0x80 | len(payload)]) + key + bytes(b ^ key[i % 4] for i, b in enumerate(payload))


LENGTH = Framing(
    "length",
    Labels("length", "predict", "open_inference_v2"),
    _post("/v2/models/length/infer"),
    _json(),
    BODY,
    (
        _head("Content-Type: application/json", f"Content-Length: {len(RESULT)}"),
        RESULT[:30],
        RESULT[30:],
    ),
)
CHUNKED = Framing(
    "chunked",
    Labels("chunked", "predict", "open_inference_v2"),
    _post("/v2/models/chunked/infer"),
    (*_json(length=False), "Transfer-Encoding: chunked"),
    chunked([BODY[:20], BODY[20:]], b"Checksum: 1\r\n"),
    (
        _head("Content-Type: application/json", "Transfer-Encoding: chunked"),
        chunked([RESULT[:30]])[:-5],
        chunked([RESULT[30:]])[:-5],
        b"0\r\n\r\n",
    ),
)
SSE = Framing(
    "sse",
    Labels("sse", "generate", "triton_generate"),
    _post("/v2/models/sse/generate_stream"),
    _json(),
    BODY,
    (
        _head("Content-Type: text/event-stream", "Transfer-Encoding: chunked"),
        *(chunked([event])[:-5] for event in EVENTS),
        b"0\r\n\r\n",
    ),
)
CLOSE = Framing(
    "close",
    Labels("close", "predict", "open_inference_v2"),
    _post("/v2/models/close/infer"),
    _json(),
    BODY,
    (_head("Content-Type: application/json", "Connection: close"), RESULT[:30], RESULT[30:]),
)
WEBSOCKET = Framing(
    "websocket",
    Labels("unknown", "other", "unknown"),
    "GET /stream?case={} HTTP/1.1",
    (
        *("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"),
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ),
    b"",
    (
        _head(
            *("Upgrade: websocket", "Connection: Upgrade"),
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            status="101 Switching Protocols",
        ),
        *(frame(b"message %d" % n) for n in range(4)),
    ),
    code="101",
    spoken="upgraded",
    further=frame(b"hello", masked=True),
)
CANARY_LABELS = Labels("canary", "predict", "open_inference_v2")
BODIES = (LENGTH, CHUNKED, SSE, CLOSE)
ALL = (*BODIES, WEBSOCKET)
