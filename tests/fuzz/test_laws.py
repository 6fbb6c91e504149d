"""The laws on the stored corpus, on the vectors and on generated input, without the fuzzer; and that they can fail."""

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.wire.events import Event
from exporter.wire.head import MAX_HEAD
from exporter.wire.http1 import MAX_EVENTS, RequestFollower
from tests.fuzz import corpus, laws, near
from tests.fuzz.__main__ import Outcome, outcome
from tests.wire.follow import follow
from tests.wire.messages import requests, responses

GROUPS = 16  # tests of the stored corpus: a failure names the input, so one test each would only cost time


@pytest.mark.parametrize("group", range(GROUPS))
def test_stored(group: int) -> None:
    """What a fuzzer found, fed in every way, breaks no law."""
    for path in corpus.stored()[group::GROUPS]:
        try:
            laws.check(path.read_bytes(), thorough=True)
        except Exception as error:
            raise AssertionError(f"{path.name} breaks a law") from error


def test_seeds() -> None:
    """Every vector, as the fuzzer begins with it, breaks no law."""
    seeds = list(corpus.seeds())
    assert len(seeds) > 140
    for data in seeds:
        laws.check(data, thorough=True)


@settings(max_examples=60)
@given(st.lists(requests(), max_size=3), st.lists(responses(), max_size=3), st.binary(max_size=20), st.data())
def test_generated(sent: list[Any], answers: list[Any], junk: bytes, data: st.DataObject) -> None:
    """Valid messages of both directions with bytes put anywhere into them break no law."""
    client = b"".join(message.raw for message in sent)
    model = b"".join(part.raw for interim, final in answers for part in (*interim, final))
    raw = client + laws.SEPARATOR + model
    at = data.draw(st.integers(0, len(raw)))
    for stream in (raw, raw[:at] + junk + raw[at:]):
        laws.check(laws.pack(stream, data.draw(st.integers(0, 255)), data.draw(st.integers(0, 255))))


@settings(max_examples=100)
@given(st.integers(0, 1 << 30), st.integers(0, 255))
def test_near_misses(seed: int, choices: int) -> None:
    """Messages that are nearly right break no law."""
    dice = random.Random(seed)
    stream = near.requests(dice) + laws.SEPARATOR + near.responses(dice)
    laws.check(laws.pack(stream, seed % 256, choices))


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_noise(data: bytes) -> None:
    """Nor does noise."""
    laws.check(data, thorough=True)


def test_large_heads() -> None:
    """Heads about as long as they may be are held within their bound, in reads of any size."""
    for size in (MAX_HEAD - 1, MAX_HEAD, MAX_HEAD + 1, 2 * MAX_HEAD):
        raw = b"GET / HTTP/1.1\r\nA: " + b"x" * (size - 23) + b"\r\n\r\n"
        for step in (1000, 65536, 250_000):
            follow([raw[at : at + step] for at in range(0, len(raw), step)]).parts()


def test_many_events_come_in_parts() -> None:
    """A read that is full of tiny chunks is told in several calls, each with a bounded number of events."""
    raw = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 5000 + b"0\r\n\r\n"
    side, at, found = RequestFollower(), 0, []
    while at < len(raw):
        events, at = side.feed_message(raw, at)
        assert len(events) <= MAX_EVENTS + 1
        found += events
    assert found == RequestFollower().feed(raw)
    assert len(found) == 5002


class Forgetful:
    """Broken on purpose: a line end that comes alone is lost."""

    def __init__(self) -> None:
        self._follower = RequestFollower()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._follower, name)

    def feed(self, data: bytes) -> list[Event]:
        return [] if data == b"\n" else self._follower.feed(data)


def test_a_broken_follower_breaks_a_law(monkeypatch: pytest.MonkeyPatch) -> None:
    """The laws see a follower whose words depend on the cuts."""
    monkeypatch.setattr("tests.wire.follow.RequestFollower", Forgetful)
    with pytest.raises(AssertionError):
        laws.check(laws.pack(b"GET / HTTP/1.1\r\n\r\n"), thorough=True)


@pytest.mark.parametrize("raw", [b"", b"a", b"\r\n\r\n", b"x" * 50])
def test_cuts(raw: bytes) -> None:
    """A cut loses nothing, and puts nothing in."""
    for seed in range(20):
        assert b"".join(laws.cut(raw, random.Random(seed))) == raw
    assert b"".join(laws.bytewise(raw, len(raw) // 2, 8)) == raw


def test_the_stored_corpus_is_small() -> None:
    """There is one, within its bound, and each file has the name of its bytes."""
    paths = corpus.stored()
    assert len(paths) >= 100
    assert sum(path.stat().st_size for path in paths) <= corpus.MAX_STORED
    assert all(path.name == corpus.name_of(path.read_bytes()) for path in paths)


def test_what_the_fuzzer_says(tmp_path: Path) -> None:
    """Its log is read: the last status, the number of runs, and the input that broke a law."""
    log = (
        "#2\tINITED cov: 11 ft: 12 corp: 1/1b exec/s: 0 rss: 40Mb\n"
        "#2048\tpulse  cov: 598 ft: 2511 corp: 251/129Kb lim: 4096 exec/s: 425 rss: 43Mb\n"
    )
    assert outcome(log) == Outcome(2048, 598, 2511, 251, 129 * 1024, "")
    crash = tmp_path / "crash-1"
    found = outcome(f"{log}stat::number_of_executed_units: 2100\nTest unit written to {crash}\n")
    assert found == Outcome(2100, 598, 2511, 251, 129 * 1024, str(crash))
    assert outcome("no such file") is None
    assert corpus.write(iter([b"abc", b"de"]), tmp_path / "inputs") == 5
    assert sorted(path.read_bytes() for path in (tmp_path / "inputs").iterdir()) == [b"abc", b"de"]
