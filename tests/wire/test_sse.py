"""Server-sent events: stored streams, and any stream against a reading of the standard by single characters."""

import json
import random
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.wire.sse import EventFollower, events
from exporter.wire.sse import told as told_of
from tests.wire.follow import cuts

VECTORS = Path(__file__).parent.parent / "vectors" / "sse"
CASES = sorted(VECTORS.glob("*.sse"))
BOM = b"\xef\xbb\xbf"
PIECES = st.sampled_from(
    [b"\n", b"\r", b"\r\n", b"data", b"data:", b"data: a", b"event: k", b"id", b":", b": c", b" ", b"x", BOM]
)
STREAMS = st.lists(PIECES, max_size=12).map(b"".join)
Told = list[tuple[bytes, bytes, int]]


def standard(body: bytes) -> Told:
    """WHATWG HTML 9.2.6, as it is written: one character at a time."""
    found: Told = []
    at, size = 3 if body.startswith(BOM) else 0, len(body)
    kind, data, line = b"", b"", b""
    while at < size:
        if body[at : at + 1] not in (b"\n", b"\r"):
            line += body[at : at + 1]
            at += 1
            continue
        end = at + 1
        at += 2 if body[at : at + 2] == b"\r\n" else 1
        if line:
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if name == b"data":
                data += value + b"\n"
            elif name == b"event":
                kind = value
        else:
            if data:
                found.append((kind, data.removesuffix(b"\n"), end))
            kind = data = b""
        line = b""
    return found


def read(body: bytes) -> Told:
    """What `events` says."""
    return [(event.kind, event.data, event.end) for event in events(body)]


def followed(pieces: list[bytes]) -> tuple[list[int], int]:
    """Offsets behind the last event of each piece that completes one, and how many events there were."""
    follower, at, ends = EventFollower(), 0, []
    for piece in pieces:
        last = follower.feed(b"?" + piece + b"data: a\n\n", 1, 1 + len(piece))
        if last >= 0:
            ends.append(at + last - 1)
        at += len(piece)
    return ends, follower.events


def agrees(raw: bytes, told: Told) -> None:
    """Follower and reader say what was told, in every way to feed it."""
    assert read(raw) == told
    assert list(told_of(raw)) == [(end, data) for _, data, end in told]
    offsets = [end for _, _, end in told]
    for way, pieces in cuts(raw, seed=len(raw)):
        ends, count = followed(pieces)
        assert count == len(told), way
        assert set(ends) <= set(offsets), way
        assert ends[-1:] == offsets[-1:], way
        if way == "byte by byte":
            assert ends == offsets


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_vector(case: Path) -> None:
    """A stored stream has exactly the stored events, whole, byte by byte, at random cuts and with more behind it."""
    raw = case.read_bytes()
    stored = json.loads(case.with_suffix(".expected.json").read_text())
    told = [(kind.encode("latin-1"), data.encode("latin-1"), end) for kind, data, end in stored]
    agrees(raw, told)
    assert standard(raw) == told
    for behind in (b": more\n", b"da"):
        assert read(raw + behind)[: len(told)] == told


def test_there_are_vectors() -> None:
    """The folder is not empty."""
    assert len(CASES) >= 12


@given(raw=STREAMS)
@example(raw=b"data\r\n\r")
@example(raw=BOM[:2] + b"data: a\n\n")
def test_any_stream(raw: bytes) -> None:
    """Any fields, comments and line ends are read as the standard says."""
    agrees(raw, standard(raw))


@given(
    line=st.sampled_from([b"data: %s", b"event: k\ndata: %s", b"event: data: \ndata: %s"]),
    data=st.lists(st.sampled_from([b"", b"a", b" b", b"data: c", b"event: d", b"x\n", b"\n"]), max_size=4),
    tail=st.sampled_from([b"", b"data: cut", b"\n", b"\r", b"data: z\n\n", b"event: k\n\n", b"id: 1\n\n"]),
)
def test_events_that_are_written_alike(line: bytes, data: list[bytes], tail: bytes) -> None:
    """A body that can be taken apart at once says what it says event by event, and so does one that nearly can."""
    raw = b"".join([line % one + b"\n\n" for one in data]) + tail
    agrees(raw, standard(raw))


@given(raw=st.binary(max_size=64))
def test_any_bytes(raw: bytes) -> None:
    """So are any bytes."""
    agrees(raw, standard(raw))


def test_what_is_cut_off_before_is_read_like_the_rest() -> None:
    """A body that begins behind an event, be it within CR LF, has the events of the whole from there on."""
    raw = b"data: a\r\n\r\ndata: b\r\n\r\n" + b"data: c\n\n" * 3
    whole = read(raw)
    for number, (_, _, end) in enumerate(whole):
        assert [(kind, data, at + end) for kind, data, at in read(raw[end:])] == whole[number + 1 :]


@pytest.mark.replaces
@pytest.mark.parametrize(
    "piece", [b"\r", b"\n", b"\r\n", b"data\r", b"data\n", b"x", b":\n\r", b"data: a\r\r"]
)
def test_cost_is_linear(piece: bytes) -> None:
    """Hostile line ends cost their length: the searches of one chunk see each byte twice at most."""

    class Watched(bytes):
        seen = 0

        def find(self, what: bytes, start: int, end: int) -> int:  # type: ignore[override]
            found = super().find(what, start, end)
            Watched.seen += (found if found >= 0 else end) - start
            return found

    chunk = Watched(piece * (30_000 // len(piece)))
    EventFollower().feed(chunk, 0, len(chunk))
    assert Watched.seen <= 2 * len(chunk)


def test_memory_is_bounded() -> None:
    """However long a line is, eight bytes of it are kept."""
    follower, dice = EventFollower(), random.Random(1)
    for _ in range(200):
        piece = dice.randbytes(100).replace(b"\n", b"").replace(b"\r", b"")
        follower.feed(piece, 0, len(piece))
    assert len(follower._line) <= 8
