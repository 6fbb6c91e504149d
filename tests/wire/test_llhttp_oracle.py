"""Another parser's own cases, where they lie beside the repository, and always our vectors in the same form.

A case is input with what that parser says of it: complete messages with their bodies, and whether it refuses. Where
the two differ, the difference must be in the list below, with its reason.
"""

import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from exporter.wire.events import Data, Desync, End, Head, Tunnel
from exporter.wire.head import RequestHead
from tests.wire.follow import Run, cuts, follow

ROOT = Path(__file__).parents[2]
CORPUS = ROOT.parent / "shared" / "corpora" / "llhttp"
VECTORS = ROOT / "tests" / "vectors" / "http1"
_CASE = re.compile(
    r"<!-- meta=(\{.*?\}) -->\s*```http\n(.*?)\n```\n(?:(?!```).)*?```log\n(.*?)\n```", re.DOTALL
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|[rntf])")
_SIMPLE = {"r": "\r", "n": "\n", "t": "\t", "f": "\f"}


class Message(NamedTuple):
    """First word (method, or status) and body of a complete message, and the offset behind its last byte."""

    word: str
    body: bytes
    end: int


class Case(NamedTuple):
    """`refused` is the oracle's reason, "" if it took everything."""

    name: str
    raw: bytes
    requests: bool
    messages: list[Message]
    refused: str


def unescape(text: str) -> bytes:
    text = re.sub(r"\\\n", "", text).replace("\n", "\r\n")
    # An escape is a character, of which the oracle was fed the UTF-8 form: its offsets say so.
    return _ESCAPE.sub(lambda m: _SIMPLE.get(m[1]) or chr(int(m[1][1:], 16)), text).encode()


def spans(log: str, raw: bytes) -> list[Message]:
    """Complete messages of an event log, whose spans are offsets and lengths."""
    messages: list[Message] = []
    word, body = "", b""
    for line in log.splitlines():
        found = re.match(r"off=(\d+) (?:len=(\d+) span\[(\w+)\]|(.*))", line)
        if found is None:
            continue
        at, size, kind, event = int(found[1]), int(found[2] or 0), found[3], found[4] or ""
        if event == "message begin":
            word, body = "", b""
        elif kind == "method":
            word += raw[at : at + size].decode("latin-1")
        elif kind == "body":
            body += raw[at : at + size]
        elif event.startswith("headers complete"):
            word = word or re.search(r"status=(\d+)|$", event)[1] or ""
        elif event == "message complete" and (word[:1] != "1" or word == "101"):
            messages.append(Message(word, body, at))
    return messages


def from_corpus() -> list[Case]:
    cases = []
    for path in sorted(CORPUS.glob("re*/*.md")):
        for number, found in enumerate(_CASE.finditer(path.read_text())):
            meta, log = json.loads(found[1]), found[3]
            # Its lenient modes, and what its caller may pause or skip, are no statements about the bytes.
            if meta["type"] not in ("request", "response") or meta.keys() & {"pause", "skipBody"}:
                continue
            raw = unescape(found[2])
            error = re.search(r'error code=(\d+) reason="([^"]*)"', log)
            leaves = error is not None and error[1] in ("22", "23")
            refused = error[2] if error is not None and not leaves else ""
            name = f"{path.parent.name}/{path.stem}-{number}"
            cases.append(Case(name, raw, meta["type"] == "request", spans(log, raw), refused))
    return cases


def from_vectors() -> list[Case]:
    cases = []
    for path in sorted(VECTORS.glob("re*/*.http")):
        stored = json.loads(path.with_suffix(".expected.json").read_text())
        requests = path.parent.name == "requests"
        if not requests and (set(stored["methods"]) != {"GET"} or stored.get("closes")):
            continue
        messages, word, body, refused, at = [], "", b"", "", 0
        for part in stored["parts"]:
            at += len(part[-1]) if part[0] not in ("end", "tunnel") else 0
            if part[0] == "head":
                word, body = part[2].split()[0 if requests else 1], b""
            elif part[0] == "body":
                body += part[1].encode("latin-1")
            elif part[0] in ("end", "tunnel"):
                messages.append(Message(word, body, at))
            elif part[0] == "desync":
                refused = part[1]
        cases.append(Case(f"{path.parent.name}/{path.stem}", path.read_bytes(), requests, messages, refused))
    return cases


# Ours is the stricter one: reason, what the input must show, why.
STRICTER = (
    ("length_invalid", rb"Content-Length: 0[0-9]", "a length with leading zeros is read as octal by some"),
    (
        "coding_unknown",
        rb"Transfer-Encoding: (?!chunked\r\n(?!.*Transfer))",
        "only the one coding is followed",
    ),
    ("coding_without_body", rb"HTTP/1.1 101[^\0]*Transfer-Encoding", "a coding on 101 contradicts it"),
    (
        "malformed_head",
        rb"(?:RTSP|ICE)/1|HTTP/0\.9|GET /\r\n",
        "other protocols and HTTP/0.9 are not followed",
    ),
    (
        "malformed_head",
        rb"(?:\A|[^\n])\r\nHTTP/1|\r\n\r\n\r\nHTTP/1",
        "an answer begins with its status line",
    ),
    ("malformed_head", rb"PRI \* HTTP", "HTTP/2 is recognised before there is a follower"),
    ("after_close", rb"CONNECT .* HTTP/1\.0", "what follows a CONNECT is told apart by its answer"),
    ("body_on_connect", rb"CONNECT [^\0]*Content-Length", "a CONNECT has no body"),
)
# It is the stricter one: its reason, why following is certain all the same.
LOOSER = {
    "Invalid method for HTTP/x.x request": "any token is a method",
    "Expected space after method": "any token is a method",
    "Invalid char in url path": "bytes above 127 in a target move no boundary",
    "Invalid character in chunk size": "white space behind a size moves no boundary",
    "Invalid character in chunk extensions quoted value": "a quote cannot hide a line end",
}
CASES = [*from_vectors(), *from_corpus()]


def said(run: Run) -> tuple[list[Message], str]:
    """Complete final messages, and why the follower refused, "" if it did not."""
    messages: list[Message] = []
    word, body = "", b""
    for event in run.events:
        if isinstance(event, Head):
            head = event.head
            word = head.method.decode() if isinstance(head, RequestHead) else str(head.status)
            body = b""
        elif isinstance(event, Data):
            body += run.raw[event.start : event.end]
        elif isinstance(event, End | Tunnel):
            messages.append(Message(word, body, event.at))
        elif isinstance(event, Desync):
            return messages, event.reason
    return messages, ""


def explained(case: Case, run: Run, refused: str) -> bool:
    """Whether this difference is one of those that we know."""
    if refused and not case.refused:
        return any(word == refused and re.search(shows, case.raw, re.DOTALL) for word, shows, _ in STRICTER)
    if case.refused and not refused:
        if case.refused in LOOSER:
            return True
        # It refuses at the byte, we when the head is complete.
        return said(follow([case.raw, b"\r\n\r\n"], methods_of(case)))[1] != ""
    return False


def methods_of(case: Case) -> list[str] | None:
    return None if case.requests else ["GET"] * 8


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_against_the_oracle(case: Case) -> None:
    """The messages, bodies, offsets of their ends, and refusals of another parser, but for listed differences."""
    run = follow([case.raw], methods_of(case))
    messages, refused = said(run)
    if (messages, bool(refused)) != (case.messages, bool(case.refused)):
        assert explained(case, run, refused), f"{messages} {refused!r}, expected {case}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_any_cuts(case: Case) -> None:
    """Each byte of the oracle's input is in exactly one part, the same in any cuts."""
    whole = follow([case.raw], methods_of(case)).parts()
    for way, pieces in cuts(case.raw, seed=len(case.raw), times=2):
        assert follow(pieces, methods_of(case)).parts() == whole, way


def test_there_are_cases() -> None:
    """The oracle has enough to say, wherever it came from, in both directions."""
    both = 2 if CORPUS.is_dir() else 1
    assert sum(case.requests for case in CASES) >= 80 * both
    assert sum(not case.requests for case in CASES) >= 25 * both
    assert sum(bool(case.refused) for case in CASES) >= 50 * both
    assert sum(len(case.messages) for case in CASES) >= 60 * both
