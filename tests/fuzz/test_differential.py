"""h11, httptools and both of aiohttp's parsers beside the followers, on valid, hostile and nearly valid input.

Whatever a follower is certain of, each of them must frame to the byte alike, or refuse. Whatever differs is in a table
here, with its reason; a row that no input shows is a failure too. What two of them frame differently is never certain.
"""

import asyncio
import json
import random
import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import corpus, near
from tests.fuzz.compare import Difference, claims, difference, hosted
from tests.fuzz.laws import METHODS, is_request, streams
from tests.fuzz.peers import PEERS, Peer, Read, Refused
from tests.wire import messages as valid
from tests.wire.follow import follow
from tests.wire.test_llhttp_oracle import from_corpus

NEAR = 1500  # of each direction
VECTORS = corpus.VECTORS / "http1"

# We refuse and they do not, by our reason: why it is not certain.
TAKES = {
    "malformed_head": "names, spaces, control bytes, folded lines, versions, RFC 9112 sections 2.3, 3, 4, 5.1 and 5.2: "
    "each is read leniently somewhere, and a lenient reading is another reading",
    "bare_lf": "a lone LF may be taken for a line end, section 2.2: who does not take it sees one line, not two",
    "too_many_fields": "a bound of ours; every Python model server has a lower one",
    "line_too_long": "a bound of ours on chunk extensions, section 7.1.1 asks for one",
    "length_and_coding": "section 6.3: it ought to be handled as an error, and some believe the length",
    "length_repeated": "section 6.3: some take the first, some the last, some refuse",
    "length_invalid": "signs, zeros ahead, lists, more than 64 bits: section 6.2 has digits only, and readers overflow",
    "coding_in_http10": "section 6.1: to be treated as faulty framing, though most read it",
    "coding_unknown": "section 6.1: whoever does not know the coding reads until the close, or the length",
    "coding_without_body": "section 6.1: no coding may be sent with 1xx and 204; some then read a body",
    "body_on_connect": "RFC 9110 section 9.3.6: content of a CONNECT has no meaning that is agreed upon",
    "chunk_malformed": "section 7.1: signs, spaces, more than 64 bits, control bytes in extensions",
    "trailer_malformed": "section 7.1.2: as in a head",
    "trailer_framing": "RFC 9110 section 6.5.1: a framing field there is dropped by some and believed by others",
    "after_close": "section 9.6: who sent `close` sends no more; what comes may be anyone's",
    "unsolicited_response": "section 9.2: an answer to nothing may be any other request's",
}
_LEAVES_HTTP = re.compile(rb"(?i)\nupgrade:|connect ")


class Row(NamedTuple):
    """Peers by a pattern of their names, their words by a pattern, and why following is certain all the same.

    `shows` is a pattern that the input must have, where the words alone say too little.
    """

    peers: str
    words: str
    why: str
    shows: bytes = b""


# They refuse and we do not.
_TARGET = "a byte above 127 in a target, or another form of it, moves no boundary"
_SPACE = "white space ahead of an extension, section 7.1.1, moves no boundary"
REFUSES = (
    Row("h11", "illegal request line", _TARGET, rb"[\x80-\xff]"),
    Row("aiohttp|httptools", "Invalid char in url path", _TARGET, rb"[\x80-\xff]"),
    Row("aiohttp.*|httptools", "in url|InvalidURLError", _TARGET),
    Row("aiohttp|httptools", "Invalid method|space after method", "any token is one, RFC 9110 section 9.1"),
    Row(
        "aiohttp|httptools",
        "HTTP/2 Connection Preface",
        "that is told apart before anything is followed",
        b"PRI ",
    ),
    Row("h11", "illegal chunk header", _SPACE, rb"[0-9A-Fa-f][ \t]+(?:;|\r\n)"),
    Row(
        "aiohttp.*|httptools", "in chunk size|TransferEncodingError", _SPACE, rb"[0-9A-Fa-f][ \t]+(?:;|\r\n)"
    ),
    Row("aiohttp|httptools", "in chunk extensions", "what an extension holds ends no line"),
    Row(
        "h11", "no request line received", "an empty line ahead is to be ignored, section 2.2", rb"\r\n\w+ /"
    ),
    Row("h11", "not in a reusable state", "an HTTP/1.0 connection may be kept, section 9.3", rb"HTTP/1\.0"),
    Row("h11|aiohttp.*|httptools", "Upgrade", "they leave HTTP when it is asked for, we when it is granted"),
    Row(
        "aiohttp.*", "Sec-WebSocket-Key1", "a field of the first drafts of WebSocket says nothing of framing"
    ),
    Row("aiohttp.*|httptools", "Data after `Connection: close`", "in an interim answer it ends nothing yet"),
)
# They frame it otherwise, and why ours is right.
FRAMES = (Row("httptools", "late", "it cannot be told that HEAD was asked, RFC 9112 section 6.3"),)


class Case(NamedTuple):
    """`methods` are those of the requests that are answered, None if these are requests."""

    name: str
    raw: bytes
    methods: list[str] | None


def from_stored(path: Path) -> Iterator[Case]:
    client, model = streams(path.read_bytes())
    yield Case(path.name, client, None)
    if model is not None:
        asked = [event.head.method.decode() for event in follow([client]).events if is_request(event)]
        yield Case(path.name, model, asked)


def nearly() -> Iterator[Case]:
    dice = random.Random(9112)
    for number in range(NEAR):
        yield Case(f"near request {number}", near.requests(dice), None)
        yield Case(f"near answer {number}", near.responses(dice), METHODS[0])


@cache
def cases() -> tuple[Case, ...]:
    """Vectors, the stored corpus, what is nearly valid, and another parser's cases where they are."""
    found = [
        Case(
            path.stem,
            path.read_bytes(),
            json.loads(path.with_suffix(".expected.json").read_text()).get("methods"),
        )
        for path in sorted(VECTORS.glob("*/*.http"))
    ]
    found += [case for path in corpus.stored() for case in from_stored(path)]
    found += nearly()
    found += [Case(case.name, case.raw, None if case.requests else METHODS[0]) for case in from_corpus()]
    return tuple(
        Case(case.name, hosted(case.raw), None) if case.methods is None else case
        for case in found
        if case.raw
    )


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """For parsers that want one; it never runs."""
    made = asyncio.new_event_loop()
    yield made
    made.close()


def row_of(peer: str, found: Difference, raw: bytes) -> Row | str | None:
    """The row that explains this difference; None if there is none."""
    if found.kind == "takes":
        return found.word if found.word in TAKES else None
    rows, words = (REFUSES, found.word) if found.kind == "refuses" else (FRAMES, found.kind)
    if found.kind == "late" and found.method != "HEAD":
        return None
    for row in rows:
        if re.fullmatch(row.peers, peer) and re.search(row.words, words) and re.search(row.shows, raw):
            return row
    return None


def test_what_differs_is_listed(loop: asyncio.AbstractEventLoop) -> None:
    """Every difference between a follower and another parser has its row, and every row is met."""
    met: set[Row | str] = set()
    for case in cases():
        for peer, kind in PEERS.items():
            found = difference(case.raw, case.methods, kind, loop)
            if found is None:
                continue
            row = row_of(peer, found, case.raw)
            assert row is not None, f"{peer}: {found} of {case}"
            met.add(row)
    missing = (set(TAKES) | set(REFUSES) | set(FRAMES)) - met
    assert not missing, f"explained and never seen: {missing}"


def reading(case: Case, peer: Peer) -> list[Read | None]:
    """All that a peer reads; None at the end if it waits for more there, nothing if it refused."""
    try:
        peer.feed(case.raw)
        end = [None]
    except Refused:
        end = []
    return [*(Read(read.word.upper(), read.body) for read in peer.read), *end]


def divided(readings: Sequence[list[Read | None]]) -> Iterator[bool]:
    """By the number of a message, whether two of them read it differently, or one reads it and another waits."""
    for reads in zip_longest(*readings, fillvalue=False):
        found = {read for read in reads if read is not False}
        yield len(found) > 1


def test_what_two_frame_differently_is_not_certain(loop: asyncio.AbstractEventLoop) -> None:
    """Where two parsers read another message at the same place, the follower is certain of none there."""
    split = 0
    for case in cases():
        if set(case.methods or ()) & {"HEAD", "CONNECT"} or _LEAVES_HTTP.search(case.raw):
            continue  # only some can be told; and each leaves HTTP at another moment
        readings = [reading(case, kind(case.methods, loop)) for kind in PEERS.values()]
        places = [number for number, differ in enumerate(divided(readings)) if differ]
        if places:
            split += 1
            sure = claims(follow([case.raw], case.methods))
            assert len(sure) <= places[0], f"{case}: {readings}, certain of {sure}"
    assert split >= 2, "no input divides them: nothing is shown"


@settings(max_examples=80)
@given(st.lists(valid.requests(plain=True), min_size=1, max_size=4))
def test_valid_requests(loop: asyncio.AbstractEventLoop, sent: list[valid.Message]) -> None:
    """Generated requests are framed alike by all, methods, targets and bodies, and none is refused."""
    raw = b"".join(message.raw for message in sent)
    assert [claim.read.body for claim in claims(follow([raw]))] == [message.body for message in sent]
    assert [difference(raw, None, kind, loop) for kind in PEERS.values()] == [None] * len(PEERS)


@settings(max_examples=80)
@given(st.lists(valid.responses(plain=True), min_size=1, max_size=4))
def test_valid_answers(
    loop: asyncio.AbstractEventLoop, sent: list[tuple[list[valid.Message], valid.Message]]
) -> None:
    """The same for answers, interim ones among them; of HEAD only where the parser can be told."""
    raw = b"".join(message.raw for interim, final in sent for message in (*interim, final))
    methods = [final.method for _, final in sent]
    assert [claim.read.body for claim in claims(follow([raw], methods))] == [final.body for _, final in sent]
    found = {peer: difference(raw, methods, kind, loop) for peer, kind in PEERS.items()}
    assert all(one is None or row_of(peer, one, raw) in FRAMES for peer, one in found.items()), found


def test_there_are_cases() -> None:
    """Enough of both directions, and the stored corpus among them."""
    assert sum(case.methods is None for case in cases()) > NEAR + 100
    assert sum(case.methods is not None for case in cases()) > NEAR + 50
    assert corpus.stored()
