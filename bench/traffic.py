"""The bytes that the benchmark sends and answers: one request shape, one small answer, one large body, one stream.

Refuses to know sockets. All load generators and the upstream take their bytes from here, so that every peer
sees the same traffic.
"""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

FEATURES = 13
MANY_FEATURES = 50
# Enough different bodies that a cache of identical ones would be seen to fail; a prime, so that no number
# of connections meets the same body each time.
VARIANTS = 997
LARGE_BYTES = 16 * 1024 * 1024
INFER = "/v2/models/bench/infer"
LARGE = "/large"
STREAM = "/stream"
TOKENS = 64
TOKEN_SECONDS = 0.005
TOKEN_BYTES = 60
# What a token tells: its number in the stream, and when the upstream wrote it on the clock of all processes.
TOKEN = re.compile(rb'"n":(\d\d),"t":(\d{19}),')
# Separates requests in the file that wrk's script reads; it cannot occur in JSON or in a head.
SEPARATOR = b"\n\x1e\n"

ANSWER_BODY = json.dumps(
    {
        "model_name": "bench",
        "model_version": "1",
        "id": "bench",
        "parameters": {"content_type": "np"},
        "outputs": [
            {
                "name": "predict",
                "shape": [1],
                "datatype": "FP64",
                "data": [0.7312204478],
                "parameters": {
                    "content_type": "np",
                    "description": "the mean of the predictive distribution, in units of the target",
                },
            }
        ],
    }
).encode()


def answer(close: bool) -> bytes:
    """The whole small response, about 300 bytes of body."""
    connection = b"Connection: close\r\n" if close else b""
    return _head(b"application/json", len(ANSWER_BODY), connection) + ANSWER_BODY


def large_head(close: bool) -> bytes:
    """The head before `large_body()`."""
    return _head(b"application/octet-stream", LARGE_BYTES, b"Connection: close\r\n" if close else b"")


def _head(content_type: bytes, length: int, connection: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nServer: upstream\r\nContent-Type: %b\r\nContent-Length: %d\r\n%b\r\n" % (
        content_type,
        length,
        connection,
    )


def large_body() -> bytes:
    """16 MiB that no hop can shorten: pseudo-random, the same in every process."""
    return random.Random(16).randbytes(64 * 1024) * (LARGE_BYTES // (64 * 1024))


def stream_head() -> bytes:
    """The head of a stream of server-sent events; nginx is told in its own words not to collect the tokens."""
    return (
        b"HTTP/1.1 200 OK\r\nServer: upstream\r\nContent-Type: text/event-stream\r\n"
        b"Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n"
    )


def token(number: int, nanoseconds: int) -> bytes:
    """One chunk with an event of 60 bytes."""
    start = b'data: {"n":%02d,"t":%019d,"x":"' % (number, nanoseconds)
    return b"%x\r\n" % TOKEN_BYTES + start.ljust(TOKEN_BYTES - 4, b"x") + b'"}\n\n\r\n'


def infer_bodies(count: int = VARIANTS, features: int = FEATURES, seed: int = 7) -> Iterator[bytes]:
    """Open Inference Protocol V2 requests of one row; with 13 features about 300 bytes each."""
    draw = random.Random(seed)
    for index in range(count):
        data = [round(draw.gauss(0.0, 10.0), 6) for _ in range(features)]
        tensor = {"name": "features", "shape": [1, features], "datatype": "FP64", "data": data}
        yield json.dumps({"id": f"bench-{index:05d}", "inputs": [tensor]}).encode()


def request(method: str, path: str, body: bytes | None = None, close: bool = False) -> bytes:
    """One whole HTTP/1.1 request; without a body when `body` is None."""
    lines = [f"{method} {path} HTTP/1.1", "Host: bench.local", "User-Agent: bench", "Accept: */*"]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    if close:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def infer_requests(close: bool = False, features: int = FEATURES) -> list[bytes]:
    """The requests that every load generator cycles through."""
    return [request("POST", INFER, body, close) for body in infer_bodies(features=features)]


def write_requests(path: Path, close: bool) -> Path:
    """Put `infer_requests` where wrk's script finds them."""
    path.write_bytes(SEPARATOR.join(infer_requests(close)))
    return path
