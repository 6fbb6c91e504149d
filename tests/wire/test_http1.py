"""The followers, on generated messages: exact pairing, any cuts, any garbage, bounded work."""

import random
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.wire.events import Data, Desync, End, Head, Tunnel
from exporter.wire.head import MAX_HEAD
from exporter.wire.http1 import KEPT_HEAD, MAX_EXTENSIONS, RequestFollower, ResponseFollower
from tests.wire.follow import Part, Run, follow
from tests.wire.messages import Message, requests, responses

CHUNKED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


def bodies(parts: list[Part]) -> list[tuple[str, bytes]]:
    """First line and body of each message."""
    found: list[tuple[str, bytes]] = []
    for part in parts:
        if part[0] == "head":
            found.append((part[2].split("\r\n")[0], b""))
        elif part[0] == "body":
            line, body = found[-1]
            found[-1] = line, body + part[1].encode("latin-1")
    return found


def cut(raw: bytes, seed: int) -> list[bytes]:
    dice = random.Random(seed)
    pieces, at = [], 0
    while at < len(raw):
        size = dice.choice((1, 2, 7, 50, 1000))
        pieces.append(raw[at : at + size])
        at += size
    return pieces


@settings(max_examples=120)
@given(st.lists(requests(), min_size=1, max_size=6), st.integers(0, 1 << 30), st.booleans())
def test_requests_are_told_apart(sent: list[Message], seed: int, by_message: bool) -> None:
    """Any sequence of valid requests in any cuts gives exactly these first lines and bodies."""
    run = follow(cut(b"".join(message.raw for message in sent), seed), None, by_message)
    assert bodies(run.parts()) == [(message.line, message.body) for message in sent]
    assert run.follower.idle


@settings(max_examples=120)
@given(st.lists(responses(), min_size=1, max_size=6), st.integers(0, 1 << 30))
def test_answers_pair_with_their_requests(sent: list[tuple[list[Message], Message]], seed: int) -> None:
    """Any sequence of valid answers, HEAD, 204, 304 and interim ones among them, pairs with its methods."""
    messages = [message for interim, final in sent for message in (*interim, final)]
    run = follow(cut(b"".join(m.raw for m in messages), seed), [final.method for _, final in sent])
    assert bodies(run.parts()) == [(message.line, message.body) for message in messages]
    assert sum(part == ["end"] for part in run.parts()) == len(sent)
    assert run.follower.idle


@settings(max_examples=200)
@given(st.lists(requests(), max_size=2), st.binary(max_size=80), st.integers(0, 1 << 30), st.data())
def test_garbage_never_raises(sent: list[Message], junk: bytes, seed: int, data: st.DataObject) -> None:
    """Bytes put anywhere into valid messages give the same parts in any cuts, and never an exception."""
    raw = b"".join(message.raw for message in sent)
    at = data.draw(st.integers(0, len(raw)))
    raw = raw[:at] + junk + raw[at + data.draw(st.integers(0, 4)) :]
    for methods in (None, ["GET", "HEAD", "POST"]):
        whole = follow([raw], methods).parts()
        assert follow(cut(raw, seed), methods).parts() == whole
        assert follow([bytes((byte,)) for byte in raw], methods, True).parts() == whole


ALPHABET = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"GET / HTTP/1.1",
    b"HTTP/1.1 200 OK",
    b"0",
    b"5",
    b";x",
    b" ",
    b"\t",
]
ALPHABET += [
    b"Content-Length: 3",
    b"Transfer-Encoding: chunked",
    b"X:",
    b"a",
    b"\0",
    b"abc",
    b"HTTP/1.0 204 ",
    b":",
]


@settings(max_examples=400)
@given(st.lists(st.sampled_from(ALPHABET), max_size=24), st.integers(0, 1 << 30))
def test_near_misses_are_read_alike_in_any_cuts(words: list[bytes], seed: int) -> None:
    """Input made of HTTP's own words, in any order, is read the same whole and in pieces."""
    raw = b"".join(words)
    for start, methods in ((b"", None), (CHUNKED, None), (b"", ["GET", "HEAD", "GET"])):
        whole = follow([start + raw], methods).parts()
        assert follow(cut(start + raw, seed), methods).parts() == whole
        assert follow([bytes((byte,)) for byte in start + raw], methods).parts() == whole


@pytest.mark.parametrize("methods", [None, ["GET", "GET"]])
def test_after_the_last_word_nothing_is_said(methods: list[str] | None) -> None:
    """Neither line ends nor messages fed behind a Desync or a Tunnel give events."""
    bad = b"HTTP/1.1 101 Go\r\n\r\n" if methods else b"GET /\0 HTTP/1.1\r\n\r\n"
    for behind in (b"\r\n", b"GET / HTTP/1.1\r\n\r\n", b"5\r\nhello\r\n", b"HTTP/1.1 200 OK\r\n\r\n"):
        run = follow([bad], methods)
        assert isinstance(run.events[-1], Desync | Tunnel)
        assert run.follower.feed(behind) == []
        assert run.follower.feed_message(behind, 0)[0] == []
        if methods:
            assert run.follower.eof() == []


def test_a_body_may_come_in_any_number_of_chunks() -> None:
    """A stream of 20,000 short chunks stays in sync: line ends are not charged as extensions."""
    run = follow([CHUNKED, b"1\r\nx\r\n" * 20_000, b"0\r\n\r\n"])
    assert run.parts()[-1] == ["end"]


def test_extensions_are_bounded_per_message() -> None:
    """Up to the bound in all chunk lines together; the next message starts anew."""
    line = b"1;" + b"e" * 127 + b"\r\nx\r\n"
    full = line * (MAX_EXTENSIONS // 128)
    assert follow([CHUNKED, full, b"0\r\n\r\n", CHUNKED, full, b"0\r\n\r\n"]).parts()[-1] == ["end"]
    assert follow([CHUNKED, full, b"1;\x7e\r\nx\r\n"]).parts()[-1][:2] == ["desync", "line_too_long"]


def test_trailers_are_bounded_per_message() -> None:
    """Trailers have the bound of a head, by line and together."""
    last = CHUNKED + b"0\r\n"
    line = b"T: " + b"x" * 1019 + b"\r\n"
    assert follow([last, line * 64, b"\r\n"]).parts()[-1] == ["end"]
    for raw in (line * 64 + b"a:\r\n", b"T: " + b"x" * MAX_HEAD):
        for pieces in ([last + raw], [last, *cut(raw, 5)]):
            assert follow(pieces).parts()[-1][:2] == ["desync", "line_too_long"]


def head_of(size: int, first: bytes = b"GET / HTTP/1.1\r\n") -> bytes:
    return first + b"A: " + b"x" * (size - len(first) - 7) + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("first", "methods"), [(b"GET / HTTP/1.1\r\n", None), (b"HTTP/1.1 200 OK\r\n", ["HEAD"])]
)
def test_a_head_has_a_bound(first: bytes, methods: list[str] | None) -> None:
    """64 KiB pass, one byte more does not, complete or not, in any cuts."""
    largest = head_of(MAX_HEAD, first)
    assert len(largest) == MAX_HEAD
    for pieces in ([largest], cut(largest, 3)):
        assert follow(pieces, methods).parts()[-1] == ["end"]
    for raw in (head_of(MAX_HEAD + 1, first), largest[:-2] + b"x" * 9, head_of(3 * MAX_HEAD, first)):
        for pieces in ([raw], cut(raw, 3)):
            assert follow(pieces, methods).parts() == [["desync", "head_too_large", raw.decode()]]


def test_a_flaw_has_one_name_however_late_it_is_seen() -> None:
    """The first flaw in the bytes names the reason, also where a larger one comes behind it."""
    for raw, reason in (
        (b"GET / HTTP/1.1\nA: " + b"x" * 2 * MAX_HEAD, "bare_lf"),
        (b"(GET / HTTP/1.1\n" + b"x" * 2 * MAX_HEAD, "malformed_head"),
        (head_of(MAX_HEAD + 9)[:-9] + b"\nxx", "head_too_large"),
        (b"GET / HTTP/1.1\nA: b\r\n\r\n", "bare_lf"),
    ):
        for pieces in ([raw], cut(raw, 4), [raw[:1], raw[1:]]):
            assert follow(pieces).parts() == [["desync", reason, raw.decode()]]


def drip(size: int, start: bytes, raw: bytes) -> float:
    """CPU seconds of this process for `size` bytes fed one by one behind `start`."""
    follower = RequestFollower()
    follower.feed(start)
    pieces = [raw[at : at + 1] for at in range(size)]
    before = process_time()
    for piece in pieces:
        follower.feed(piece)
    return process_time() - before


@pytest.mark.parametrize(
    ("start", "raw"),
    [
        (b"", head_of(MAX_HEAD)),
        (CHUNKED + b"0\r\n", b"T: " + b"x" * MAX_HEAD),
        (b"", b"GET / HTTP/1.1\r\n" + b"a:\r\n" * (MAX_HEAD // 4)),
    ],
    ids=["head", "trailer", "fields"],
)
def test_a_drip_costs_linear_time(start: bytes, raw: bytes) -> None:
    """Four times the bytes, fed one by one, cost about four times the work; quadratic growth would cost sixteen."""
    short = min(drip(16384, start, raw) for _ in range(3))
    long = min(drip(65000, start, raw) for _ in range(3))
    assert long < 10 * short


HOSTILE = {
    "spaces": b"GET / HTTP/1.1\r\nA:%s\r\n\r\n",
    "spaces before a control byte": b"GET / HTTP/1.1\r\nA:%s\0\r\n\r\n",
    "spaces in the request line": b"GET %s HTTP/1.1\r\n\r\n",
    "spaces after a length": b"GET / HTTP/1.1\r\nContent-Length: 1%sx\r\n\r\n",
    "spaces in Connection": b"GET / HTTP/1.1\r\nConnection:%s,close\r\n\r\n",
}


def scan(raw: bytes) -> float:
    before = process_time()
    for _ in range(8):
        RequestFollower().feed(raw)
    return process_time() - before


@pytest.mark.parametrize("form", HOSTILE.values(), ids=HOSTILE)
def test_hostile_heads_cost_linear_time(form: bytes) -> None:
    """A head of 60 KiB that is mostly spaces costs no more than in proportion to one of 15 KiB."""
    short = min(scan(form % (b" " * 15_000)) for _ in range(3))
    long = min(scan(form % (b" " * 60_000)) for _ in range(3))
    assert long < 10 * short + 0.01


@pytest.mark.parametrize(
    "line", [b"connection:close\r\n", b"upgrade:h2c\r\n", b"traceparent:\r\n", b"x-request-id:\r\n"]
)
def test_many_known_fields_cost_linear_time(line: bytes) -> None:
    """Thousands of the fields that are read cost in proportion."""
    short, long = (
        min(scan(b"GET / HTTP/1.1\r\n" + line * (size // len(line)) + b"\r\n") for _ in range(3))
        for size in (15_000, 60_000)
    )
    assert long < 10 * short + 0.01


def test_offsets_of_a_head_in_pieces() -> None:
    """A head that began in an earlier chunk starts below 0; what follows it is told in the present chunk."""
    follower = RequestFollower()
    assert follower.feed(b"POST / HTTP/1.1\r\nContent-Le") == []
    assert follower.held == b"POST / HTTP/1.1\r\nContent-Le"
    head, data, end = follower.feed(b"ngth: 2\r\n\r\nhi")
    assert isinstance(head, Head)
    assert (head.start, head.end) == (-27, 11)
    assert (data, end) == (Data(11, 13), End(13))
    assert follower.held == b""
    assert follower.idle


def test_what_is_held_is_told_without_a_copy() -> None:
    """Its size and whether there is any: of a head that is not complete, and of nothing else."""
    follower = RequestFollower()
    assert (follower.holding, follower.held_size) == (False, 0)
    follower.feed(b"\r\nPOST")
    assert (follower.holding, follower.held_size, follower.held) == (True, 6, b"\r\nPOST")
    follower.feed(b" / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5")
    assert (follower.holding, follower.held_size, follower.idle) == (False, 0, False)
    follower.feed(b"\r\nhello\r\n0\r\nTrailer")
    assert (follower.holding, follower.held_size, follower.held) == (False, 0, b"")
    assert isinstance(follower.feed(b"\x00\r\n")[-1], Desync)
    assert (follower.holding, follower.held_size) == (False, 0)


@pytest.mark.parametrize("by_message", [False, True])
def test_a_long_head_is_not_remembered(by_message: bool) -> None:
    """One over the bound is scanned again when it comes again: an idle connection keeps little."""
    for size, kept in ((KEPT_HEAD, True), (KEPT_HEAD + 1, False)):
        raw = head_of(size)
        follower = RequestFollower()
        if by_message:
            first, second = (follower.feed_message(raw, 0)[0][0].head for _ in range(2))
        else:
            first, second = (follower.whole(raw) for _ in range(2))
        assert first.raw == second.raw == raw
        assert (first is second) == kept


def test_a_long_head_whose_body_follows() -> None:
    """A message that was not whole is followed to its end all the same, whatever the size of its head."""
    raw = head_of(KEPT_HEAD + 9, b"POST / HTTP/1.1\r\nContent-Length: 2\r\n")
    follower = RequestFollower()
    assert follower.whole(raw + b"h") is None
    head, *_ = follower.feed(raw + b"h")
    assert isinstance(head, Head)
    assert [type(event) for event in follower.feed(b"i")] == [Data, End]


def test_an_equal_head_is_not_scanned_again() -> None:
    """The same head object is told for a head of the same bytes, on requests and on answers."""
    raw = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    follower = RequestFollower()
    first, second = (follower.feed(raw)[0] for _ in range(2))
    assert isinstance(first, Head)
    assert isinstance(second, Head)
    assert first.head is second.head
    answer, answers = b"HTTP/1.1 204 No Content\r\n\r\n", ResponseFollower()
    answers.expect(b"GET")
    answers.expect(b"GET")
    heads = [event.head for event in answers.feed(answer * 2) if isinstance(event, Head)]
    assert len(heads) == 2
    assert heads[0] is heads[1]


def test_an_equal_answer_is_framed_by_its_own_method() -> None:
    """One head answers HEAD without body and GET with one, though it is scanned once."""
    answers = ResponseFollower()
    for method in (b"HEAD", b"GET", b"HEAD"):
        answers.expect(method)
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    kinds = [type(event) for event in answers.feed(raw + raw + b"hi" + raw)]
    assert kinds == [Head, End, Head, Data, End, Head, End]


def test_answers_may_be_expected_between_chunks() -> None:
    """A request told after some of the bytes of earlier answers is paired in its turn."""
    run = Run(["GET"])
    run.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh")
    run.follower.expect(b"HEAD")
    run.feed(b"iHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
    assert [type(event) for event in run.events] == [Head, Data, End, Head, End]


def test_eof_ends_only_what_lasts_until_it() -> None:
    """An answer without length ends with the connection; eof is safe twice and on any state."""
    answers = ResponseFollower()
    assert answers.eof() == []
    answers.expect(b"GET")
    answers.feed(b"HTTP/1.1 200 OK\r\n\r\nabc")
    assert answers.certain > 1 << 60
    assert answers.eof() == [End(0)]
    assert answers.eof() == []
    assert answers.feed(b"more") == []
