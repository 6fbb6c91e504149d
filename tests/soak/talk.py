"""What the clients say and how they read it: requests with bodies of their own, answers taken apart byte by byte."""

import hashlib
import json
import random
import re
from dataclasses import dataclass

from tests.proxy.clients import Peer

FEATURES = 13
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_CHUNKED = re.compile(rb"(?i)\r\ntransfer-encoding: *chunked")
LOCAL = b'{"error":"modeltap:'


class Broken(Exception):
    """Something that the sidecar owes did not come: what, where."""


@dataclass(slots=True)
class Answer:
    """What came: `status` 0 if no whole head did; `size` counts every byte, interim answers included."""

    status: int = 0
    head: bytes = b""
    body: bytes = b""
    whole: bool = False
    size: int = 0

    @property
    def local(self) -> bool:
        """Whether the sidecar answered in the model's place."""
        return self.body.startswith(LOCAL)

    def field(self, name: str) -> str | None:
        """A field's value, None if there is none."""
        found = re.search(rf"(?im)^{name}:[ \t]*(.*?)\r$".encode(), self.head)
        return found[1].decode("latin-1") if found else None


async def answer(peer: Peer, bodiless: bool = False) -> Answer:
    """The next final answer, or as much of it as came."""
    got = Answer()
    while not got.status or 100 <= got.status < 200:
        head = await peer.read_to(b"\r\n\r\n")
        got.size += len(head)
        found = _STATUS.match(head)
        if found is None or not head.endswith(b"\r\n\r\n"):
            return got
        got.status, got.head = int(found[1]), head
        if got.status == 101:
            break
    if bodiless or got.status in (101, 204, 304):
        got.whole = True
    elif length := _LENGTH.search(got.head):
        got.body = await peer.read_bytes(int(length[1]))
        got.size += len(got.body)
        got.whole = len(got.body) == int(length[1])
    elif _CHUNKED.search(got.head):
        await _chunks(peer, got)
    else:
        got.body = await peer.read_all()
        got.size += len(got.body)
        got.whole = peer.over == "fin"
    return got


async def _chunks(peer: Peer, got: Answer) -> None:
    while (line := await peer.read_to(b"\r\n")).endswith(b"\r\n"):
        got.size += len(line)
        size = int(line.partition(b";")[0], 16)
        if not size:
            break
        data = await peer.read_bytes(size + 2)
        got.size += len(data)
        got.body += data[:size]
        if len(data) < size + 2:
            return
    while (line := await peer.read_to(b"\r\n")).endswith(b"\r\n"):
        got.size += len(line)
        if line == b"\r\n":
            got.whole = True
            return


def request(path: str, body: bytes | None = b"", *fields: str, method: str = "POST") -> bytes:
    """A whole request; with a body of None the framing is the fields' own."""
    lines = [f"{method} {path} HTTP/1.1", "host: soak", *fields]
    if body:
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def v2_body(draw: random.Random, rows: int = 1) -> bytes:
    """Rows of 13 features in the Open Inference Protocol V2."""
    data = [round(draw.gauss(0.0, 3.0), 4) for _ in range(rows * FEATURES)]
    tensor = {"name": "features", "shape": [rows, FEATURES], "datatype": "FP64", "data": data}
    return json.dumps({"inputs": [tensor]}).encode()


def v1_body(draw: random.Random) -> bytes:
    """One row of KServe V1."""
    return json.dumps({"instances": [[round(draw.random(), 4) for _ in range(FEATURES)]]}).encode()


def trace_context(draw: random.Random) -> list[str]:
    """None, a sampled one, an unsampled one, a malformed one, or two; and now and then an id of the request."""
    parent = f"{draw.getrandbits(128) | 1:032x}-{draw.getrandbits(64) | 1:016x}"
    fields = draw.choice(
        (
            [],
            [f"traceparent: 00-{parent}-01"],
            [f"traceparent: 00-{parent}-00"],
            ["traceparent: 00-" + "z" * draw.randint(1, 400)],
            [f"traceparent: 00-{parent}-01"] * 2,
        )
    )
    return fields + ([f"x-request-id: {draw.getrandbits(60):x}"] if draw.random() < 0.5 else [])


def check(got: Answer, fields: list[str], body: bytes) -> None:
    """Raises Broken unless the model saw this very body, this trace and this id."""
    digest = hashlib.sha256(body).hexdigest()
    if digest.encode() not in got.body[:400]:
        raise Broken(f"the model did not get the body that was sent: {got.body[:300]!r}")
    said = dict(field.split(": ", 1) for field in fields)
    for name, value in said.items():
        if name == "x-do":
            continue
        seen = got.field(f"x-seen-{name}") or ""
        # Of a sampled parent only the span's digits are exchanged for ours.
        same = seen[:36] + seen[52:] == value[:36] + value[52:] if value.endswith("-01") else seen == value
        if not same:
            raise Broken(f"{name} reached the model as {seen!r}, sent was {value!r}")
