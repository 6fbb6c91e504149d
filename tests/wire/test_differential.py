"""h11 and httptools beside the followers, on valid input: same first lines, same bodies, but for what is listed."""

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h11
import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.follow import Part, follow
from tests.wire.messages import Message, requests, responses

VECTORS = Path(__file__).parent.parent / "vectors" / "http1"
Read = tuple[str, bytes]  # "METHOD target" or status, and the body, of a complete final message


def ours(parts: list[Part], is_request: bool) -> list[Read]:
    """What the vector says of complete messages."""
    read: list[Read] = []
    line, body = "", b""
    for part in parts:
        if part[0] == "head":
            words = part[2].split()
            line, body = f"{words[0]} {words[1]}" if is_request else words[1], b""
        elif part[0] == "body":
            body += part[1].encode("latin-1")
        elif part[0] == "end":
            read.append((line, body))
    return read


def by_httptools(raw: bytes, methods: Sequence[str] | None) -> list[Read]:
    """All complete messages up to its first error."""
    read: list[Read] = []

    class Callbacks:
        def on_message_begin(self) -> None:
            self.url, self.body = b"", b""

        def on_url(self, url: bytes) -> None:
            self.url += url

        def on_body(self, body: bytes) -> None:
            self.body += body

        def on_message_complete(self) -> None:
            if methods is None:
                word = f"{parser.get_method().decode()} {self.url.decode('latin-1')}"
            else:
                word = str(parser.get_status_code())
            if methods is None or word[0] != "1":
                read.append((word, self.body))

    kind: Any = httptools.HttpRequestParser if methods is None else httptools.HttpResponseParser
    parser = kind(Callbacks())
    with contextlib.suppress(httptools.HttpParserError, httptools.HttpParserUpgrade):
        parser.feed_data(raw)
    return read


def _h11_message(side: h11.Connection) -> Read | None:
    """One complete message, or None if there is none."""
    line, body = "", b""
    while True:
        event = side.next_event()
        if isinstance(event, h11.Request):
            line = f"{event.method.decode()} {event.target.decode('latin-1')}"
        elif isinstance(event, h11.Response):
            line = str(event.status_code)
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return line, body
        elif not isinstance(event, h11.InformationalResponse):
            return None


def by_h11(raw: bytes, methods: Sequence[str] | None, closes: bool = False) -> list[Read]:
    """All complete messages up to its first error; the other side of each exchange is played here."""
    side = h11.Connection(h11.SERVER if methods is None else h11.CLIENT, 1 << 17)
    read: list[Read] = []
    turn = 0
    try:
        side.receive_data(raw)
        while methods is None or turn < len(methods):
            if methods is not None:
                side.send(h11.Request(method=methods[turn], target="/", headers=[("Host", "a")]))
                side.send(h11.EndOfMessage())
                if closes and turn == 0:
                    side.receive_data(b"")
            found = _h11_message(side)
            if found is None:
                break
            read.append(found)
            if methods is None:
                side.send(h11.Response(status_code=204, headers=[]))
                side.send(h11.EndOfMessage())
            turn += 1
            side.start_next_cycle()
    except (h11.RemoteProtocolError, h11.LocalProtocolError):
        pass
    return read


def vectors() -> list[Path]:
    """Those that no follower refuses."""
    found = []
    for path in sorted(VECTORS.glob("*/*.http")):
        parts = json.loads(path.with_suffix(".expected.json").read_text())["parts"]
        if ["end"] in parts and not any(part[0] == "desync" for part in parts):
            found.append(path)
    return found


def with_host(parts: list[Part]) -> bytes:
    """The vector's bytes, with a Host in every request: only for h11 is a request without one no request."""
    texts = [part[-1] for part in parts if part != ["end"]]
    heads = {part[-1] for part in parts if part[0] == "head"}
    added = [
        text[:-2] + "Host: a\r\n\r\n" if text in heads and "\r\nHost" not in text else text for text in texts
    ]
    return "".join(added).encode("latin-1")


# Vectors that the other parser reads otherwise, and why ours is right about the bytes all the same.
H11 = {
    "requests/chunked_extension_after_space": "it takes no white space there, RFC 9112 section 7.1.1 does",
    "requests/leading_crlf": "it reads no empty line ahead of a request, RFC 9112 section 2.2 does",
    "requests/leading_crlf_after_body": "it reads no empty line ahead of a request",
    "requests/leading_crlf_twice": "it reads no empty line ahead of a request",
    "requests/obs_text": "it takes no byte above 127 in a target",
    "requests/http10_keep_alive": "it never keeps an HTTP/1.0 connection",
    "responses/http10_keep_alive": "it never keeps an HTTP/1.0 connection",
}
HTTPTOOLS = {
    "requests/chunked_extension_after_space": "it takes no white space there",
    "requests/method_of_symbols": "it knows a fixed list of methods",
    "requests/obs_text": "it takes no byte above 127 in a target",
    "requests/upgrade_with_body": "it takes the body for the other protocol's bytes before anyone agreed to it",
    "responses/head_chunked": "it cannot be told that HEAD was asked",
    "responses/head_length": "it cannot be told that HEAD was asked",
    "responses/head_without_length": "it cannot be told that HEAD was asked",
    "responses/pipelined": "it cannot be told that HEAD was asked",
    "responses/until_close": "it cannot be told that the connection was closed",
    "responses/until_close_http10": "it cannot be told that the connection was closed",
}


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", vectors(), ids=name)
def test_vectors(path: Path) -> None:
    """Each valid vector is read alike by all three, unless its disagreement is listed; a listed one must exist."""
    stored = json.loads(path.with_suffix(".expected.json").read_text())
    methods, parts = stored.get("methods"), stored["parts"]
    expected = ours(parts, methods is None)
    raw = with_host(parts) if methods is None else path.read_bytes()
    assert (by_h11(raw, methods, stored.get("closes", False)) == expected) == (name(path) not in H11)
    assert (by_httptools(raw, methods) == expected) == (name(path) not in HTTPTOOLS)


@settings(max_examples=80)
@given(st.lists(requests(plain=True), min_size=1, max_size=4))
def test_requests(sent: list[Message]) -> None:
    """Generated requests have the same methods, targets and bodies in all three."""
    raw = b"".join(message.raw for message in sent)
    read = ours(follow([raw]).parts(), True)
    assert read == by_h11(raw, None) == by_httptools(raw, None)
    assert len(read) == len(sent)


@settings(max_examples=80)
@given(st.lists(responses(plain=True), min_size=1, max_size=4))
def test_responses(sent: list[tuple[list[Message], Message]]) -> None:
    """Generated answers have the same status and bodies in all three; HEAD only where the parser can be told."""
    raw = b"".join(message.raw for interim, final in sent for message in (*interim, final))
    methods = [final.method for _, final in sent]
    final = [read for read in ours(follow([raw], methods).parts(), False) if read[0] >= "200"]
    assert final == by_h11(raw, methods)
    assert len(final) == len(sent)
    if "HEAD" not in methods:
        assert final == by_httptools(raw, methods)
