"""`whole` against `feed`: it says the same of a message that came in one read, and nothing of anything else."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.wire.events import Data, End, Event, Head
from exporter.wire.http1 import RequestFollower, ResponseFollower
from tests.wire.messages import Message, requests, responses

VECTORS = Path(__file__).parent.parent / "vectors" / "http1"
CASES = sorted(VECTORS.glob("*/*.http"))
NEXT = b"GET /next HTTP/1.1\r\n\r\n"
NEXT_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Follower = RequestFollower | ResponseFollower


def follower(methods: Sequence[str] | None) -> Follower:
    """A fresh one; `methods` for answers."""
    if methods is None:
        return RequestFollower()
    made = ResponseFollower()
    for method in methods:
        made.expect(method.encode())
    return made


def is_one_message(events: list[Event], size: int) -> bool:
    """A head and its end in this chunk, with nothing before and nothing behind."""
    kinds = [type(event) for event in events]
    return kinds in ([Head, End], [Head, Data, End]) and events[0].start == 0 and events[-1].at == size  # type: ignore[union-attr]


def agree(data: bytes, methods: Sequence[str] | None) -> bool:
    """Both ways say the same of `data`, and go on alike; whether it was whole."""
    short, long = follower(methods), follower(methods)
    head, events = short.whole(data), long.feed(data)
    if head is None:
        assert _plain(short.feed(data)) == _plain(events), "a look that found nothing changed nothing"
        return False
    assert is_one_message(events, len(data)), events
    first = events[0]
    assert isinstance(first, Head)
    assert head.raw == first.head.raw == data[: first.end]
    after = NEXT if methods is None else NEXT_ANSWER
    assert _plain(short.feed(after)) == _plain(long.feed(after)), "the next message is followed alike"
    return True


def _plain(events: list[Event]) -> list[tuple[object, ...]]:
    return [(type(e).__name__, *(part.raw if hasattr(part, "raw") else part for part in e)) for e in events]


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_vectors(path: Path) -> None:
    """On every vector and every prefix of it the two agree."""
    expected = json.loads(path.with_name(path.stem + ".expected.json").read_text())
    methods = expected.get("methods", ["GET"] * 8) if path.parent.name == "responses" else None
    raw = path.read_bytes()
    for end in {len(raw), *range(1, min(len(raw), 400))}:
        agree(raw[:end], methods)


@given(st.lists(requests(), min_size=1, max_size=4))
def test_requests(sent: list[Message]) -> None:
    """A sequence of requests, one a read: what is whole is told at once, and events say the same of the rest."""
    short, long = RequestFollower(), RequestFollower()
    for message in sent:
        head, events = short.whole(message.raw), long.feed(message.raw)
        if head is None:
            assert _plain(short.feed(message.raw)) == _plain(events)
        else:
            assert is_one_message(events, len(message.raw))


@given(st.lists(responses(), min_size=1, max_size=4))
def test_answers(sent: list[tuple[list[Message], Message]]) -> None:
    """The same for answers, interim ones included."""
    short, long = ResponseFollower(), ResponseFollower()
    for interim, final in sent:
        for side in (short, long):
            side.expect(final.method.encode())
        for message in (*interim, final):
            head, events = short.whole(message.raw), long.feed(message.raw)
            if head is None:
                assert _plain(short.feed(message.raw)) == _plain(events)
            else:
                assert is_one_message(events, len(message.raw))


def test_some_are_whole() -> None:
    """The comparison is not empty: plain requests and answers are whole, pipelined and cut ones are not."""
    post = b"POST /x HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi"
    assert agree(post, None)
    assert agree(NEXT_ANSWER, ["POST"])
    assert agree(b"HTTP/1.1 204 No Content\r\n\r\n", ["GET"])
    assert agree(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", ["HEAD"])
    for cut in (post[:-1], post + post, post + b"\r"):
        assert not agree(cut, None)
