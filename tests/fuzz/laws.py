"""What holds for any bytes in any cuts, in one function that a fuzzer, a stored corpus and generated input all call.

An input is a seed for the cuts, a byte of choices, and a stream: client bytes, then, behind SEPARATOR if there is
one, the model's. It imports nothing but the followers and the standard library, so it runs beside any fuzzer.
"""

import random
import sys
from collections.abc import Sequence
from itertools import pairwise
from types import FrameType
from typing import NamedTuple

from exporter.wire.events import Data, Desync, End, Event, Head
from exporter.wire.head import RequestHead
from tests.wire.follow import Run, follow, follower, whole_agrees

SEPARATOR = b"\x00\xff\x00"
# Whose answers the stream is, where it holds no requests of its own.
METHODS = (
    ["GET"] * 8,
    ["HEAD", "GET", "POST"],
    ["CONNECT", "GET"],
    ["POST", "HEAD", "HEAD", "CONNECT", "PUT"],
)
# Calls of the interpreter, by byte and by read: several times what the worst input that is known costs.
CALLS_PER_BYTE, CALLS_PER_READ, CALLS_ALWAYS = 8, 40, 200
BEHIND = (b"\r\n", b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", b"0\r\n\r\n")


class Choices(NamedTuple):
    """Which of the ways this input takes; `thorough` takes them all."""

    thorough: bool
    by_message: bool
    bytewise: bool
    counted: bool
    methods: list[str]
    eof: bool


def pack(raw: bytes, seed: int = 0, choices: int = 0) -> bytes:
    """An input of these bytes."""
    return bytes((seed, choices)) + raw


def streams(data: bytes) -> tuple[bytes, bytes | None]:
    """What the client and what the model sends in this input; None if the stream is not divided."""
    client, divided, model = data[2:].partition(SEPARATOR)
    return client, model if divided else None


def check(data: bytes, thorough: bool = False) -> None:
    """Run one input through every law; an AssertionError, or anything else that is raised, is a defect."""
    if len(data) < 3:
        return
    bits = data[1]
    flags = (bool(bits & bit) for bit in (1, 2, 4))
    choices = Choices(thorough, *flags, METHODS[bits >> 3 & 3], bool(bits & 128))
    dice = random.Random(data[0])
    client, model = streams(data)
    requests = laws(client, None, choices, dice)
    methods = [event.head.method.decode() for event in requests.events if is_request(event)]
    if model is None:
        model, methods = client, choices.methods
    else:
        lockstep(client, model, requests, dice)
    laws(model, methods, choices, dice)


def is_request(event: Event) -> bool:
    """The head of a request."""
    return isinstance(event, Head) and isinstance(event.head, RequestHead)


def laws(raw: bytes, methods: Sequence[str] | None, choices: Choices, dice: random.Random) -> Run:
    """One direction, whole and cut; returns the run over the whole."""
    whole = follow([raw], methods)
    whole.parts()  # each byte is in exactly one part
    pieces = cut(raw, dice)
    ways = [(pieces, choices.by_message)]
    if choices.thorough:
        ways += [(pieces, not choices.by_message), (bytewise(raw, 0, 2048), False)]
    elif choices.bytewise:
        ways.append((bytewise(raw, dice.randint(0, len(raw)), 64), False))
    for way in ways:
        assert follow(way[0], methods, way[1]).state() == whole.state(), "what is said depends on the cuts"
    for piece in (raw, *pieces[:2]):
        whole_agrees(piece, methods)
    assert as_the_tap(at_messages(raw, whole), methods) == whole.events, "`whole` says otherwise than `feed`"
    if choices.counted or choices.thorough:
        work_is_linear(pieces, methods)
    last_word(raw, methods)
    if choices.eof and methods is not None:
        end_of_answers(raw, pieces, methods)
    return whole


def cut(raw: bytes, dice: random.Random) -> list[bytes]:
    """At random places, more often near a line end than elsewhere."""
    ends = [at + dice.randint(-1, 2) for at in range(len(raw)) if raw[at] == 13 and dice.random() < 0.3]
    places = {*ends, *(dice.randint(0, len(raw)) for _ in range(dice.randint(0, 6))), 0, len(raw)}
    kept = sorted(place for place in places if 0 <= place <= len(raw))
    return [raw[start:end] for start, end in pairwise(kept)]


def bytewise(raw: bytes, start: int, size: int) -> list[bytes]:
    """Up to `size` bytes from `start` on one by one, the others together."""
    single = raw[start : start + size]
    return [raw[:start], *(bytes((byte,)) for byte in single), raw[start + size :]]


def at_messages(raw: bytes, whole: Run) -> list[bytes]:
    """Cut where messages end, so that `whole` has something to find."""
    ends = [event.at for event in whole.events if isinstance(event, End)]
    return [raw[start:end] for start, end in pairwise([0, *ends, len(raw)]) if end > start]


def as_the_tap(pieces: Sequence[bytes], methods: Sequence[str] | None) -> list[Event]:
    """Events as the tap sees them: `whole` first, `feed` for what is none; what `whole` found is told as events."""
    run = Run(methods)
    for piece in pieces:
        head = run.follower.whole(piece)
        if head is None:
            run.feed(piece)
            continue
        end, size = len(head.raw), len(piece)
        body: list[Event] = [Data(end, size)] if size > end else []
        run.told(piece, [Head(head, 0, end), *body, End(size)])
    return run.events


def work_is_linear(pieces: Sequence[bytes], methods: Sequence[str] | None) -> None:
    """The calls that following takes, counted, are bounded by bytes and reads."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    side = follower(methods)
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        for piece in pieces:
            side.feed(piece)
    finally:
        sys.setprofile(before)
    most = CALLS_PER_BYTE * sum(map(len, pieces)) + CALLS_PER_READ * len(pieces) + CALLS_ALWAYS
    assert calls <= most, f"{calls} calls for {sum(map(len, pieces))} bytes in {len(pieces)} reads"


def last_word(raw: bytes, methods: Sequence[str] | None) -> None:
    """Nothing is said, held or certain once sync is lost or a tunnel begins."""
    side = follower(methods)
    events = side.feed(raw)
    if events and not isinstance(events[-1], Head | Data | End):
        for piece in BEHIND:
            assert side.feed(piece) == []
            assert side.feed_message(piece, 0) == ([], len(piece))
            assert side.whole(piece) is None
        assert (side.held, side.certain, side.idle, side.holding) == (b"", 0, False, False)


def end_of_answers(raw: bytes, pieces: Sequence[bytes], methods: Sequence[str]) -> None:
    """The close ends a body that lasts until then, and nothing else; it may be told twice."""
    whole, parts = follow([raw], methods), follow(pieces, methods)
    lasts = whole.follower.certain > 1 << 60
    for run in (whole, parts):
        run.eof()
        assert run.closed == lasts
        run.eof()
    assert parts.events == whole.events
    whole.parts()


def lockstep(client: bytes, model: bytes, requests: Run, dice: random.Random) -> None:
    """Both directions of one connection, cut and mixed: each answer's method is told when its request is seen.

    The model may answer before it is asked; only then do the answers differ from those told all methods before.
    """
    asked, answered = Run(), Run([])
    sides = [(asked, cut(client, dice)), (answered, cut(model, dice))]
    while sides[0][1] or sides[1][1]:
        run, pieces = sides[dice.random() < 0.4]
        if not pieces:
            continue
        before = len(asked.events)
        run.feed(pieces.pop(0))
        for event in asked.events[before:]:
            if isinstance(event, Head) and isinstance(event.head, RequestHead):
                answered.expect(event.head.method)
    assert asked.state() == requests.state(), "requests are followed otherwise beside answers"
    methods = [event.head.method.decode() for event in requests.events if is_request(event)]
    known = follow([model], methods)
    last = answered.events[-1] if answered.events else None
    if isinstance(last, Desync) and last.reason == "unsolicited_response":
        said = answered.events[:-1]
        assert said == known.events[: len(said)], (
            "what was paired before an answer to nothing is another pairing"
        )
    else:
        assert answered.state() == known.state(), "answers are paired otherwise beside requests"
    paired = sum(isinstance(event, End) for event in answered.events)
    assert paired <= len(methods), "more answers than requests"
