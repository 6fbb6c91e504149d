"""`whole` against `feed`: it says the same of a message that came in one read, and nothing of anything else."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.wire.http1 import RequestFollower, ResponseFollower
from tests.wire.follow import NEXT_ANSWER, is_one_message, whole_agrees
from tests.wire.messages import Message, requests, responses

VECTORS = Path(__file__).parent.parent / "vectors" / "http1"
CASES = sorted(VECTORS.glob("*/*.http"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_vectors(path: Path) -> None:
    """On every vector and every prefix of it the two agree."""
    expected = json.loads(path.with_name(path.stem + ".expected.json").read_text())
    methods = expected.get("methods", ["GET"] * 8) if path.parent.name == "responses" else None
    raw = path.read_bytes()
    for end in {len(raw), *range(1, min(len(raw), 400))}:
        whole_agrees(raw[:end], methods)


@given(st.lists(requests(), min_size=1, max_size=4))
def test_requests(sent: list[Message]) -> None:
    """A sequence of requests, one a read: what is whole is told at once, and events say the same of the rest."""
    short, long = RequestFollower(), RequestFollower()
    for message in sent:
        head, events = short.whole(message.raw), long.feed(message.raw)
        if head is None:
            assert short.feed(message.raw) == events
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
                assert short.feed(message.raw) == events
            else:
                assert is_one_message(events, len(message.raw))


def test_some_are_whole() -> None:
    """The comparison is not empty: plain requests and answers are whole, pipelined and cut ones are not."""
    post = b"POST /x HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi"
    assert whole_agrees(post, None)
    assert whole_agrees(NEXT_ANSWER, ["POST"])
    assert whole_agrees(b"HTTP/1.1 204 No Content\r\n\r\n", ["GET"])
    assert whole_agrees(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", ["HEAD"])
    for cut in (post[:-1], post + post, post + b"\r"):
        assert not whole_agrees(cut, None)
