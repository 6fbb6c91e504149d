"""The queue between processes: frames, thinning, and a ledger that always closes."""

import os
import random
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from exporter.records.exchange import Exchange
from exporter.records.messages import (
    Ack,
    Control,
    Learned,
    Sampling,
    decode_batch,
    decode_control,
    encode_control,
    frame,
)
from exporter.records.queue import BATCH_EXCHANGES, CAPACITY, Frames, Sender, pressure_rate, share
from exporter.records.totals import Layout, Reader, Writer, create
from tests.records.exchanges import EXCHANGES, exchange

LAYOUT = Layout((0.1,))
MEBIBYTE = b"\0" * (1 << 20)


class Sent(NamedTuple):
    """What is kept of a batch."""

    number: int
    ids: list[str]


class End:
    """A sender, what it wrote, and a reader of its totals."""

    def __init__(self) -> None:
        self._fd = create(LAYOUT)
        self.reader = Reader(self._fd, LAYOUT)
        self.sender = Sender(Writer(self._fd, LAYOUT))
        self.frames = Frames()
        self.batches: list[Sent] = []

    def connect(self) -> None:
        self.frames, self.batches = Frames(), []
        self.sender.connect(self._write)

    def _write(self, data: bytes) -> None:
        for batch in map(decode_batch, self.frames.feed(data)):
            self.batches.append(Sent(batch.number, [item.request_id for item in batch.exchanges]))

    def offer(self, item: Exchange) -> bool:
        return self.sender.admits(item.request_id) and self.sender.put(item)

    def dropped(self) -> dict[str, int]:
        return {reason: count for reason, count in self.reader.reasons("dropped").items() if count}

    def assert_closed(self) -> None:
        waiting = self.reader.scalar("unacknowledged")
        settled = self.reader.scalar("acknowledged") + sum(self.dropped().values())
        assert self.reader.scalar("offered") == settled + waiting
        assert 0 <= self.reader.scalar("queue_bytes") <= CAPACITY
        assert (waiting == 0) == (self.reader.scalar("queue_bytes") == 0 and self.sender.pending == 0)

    def close(self) -> None:
        os.close(self._fd)


@pytest.fixture
def end() -> Any:
    end = End()
    yield end
    end.assert_closed()
    end.close()


# ---------------------------------------------------------------- frames


@given(st.lists(st.binary(max_size=40), max_size=12), st.integers(0, 1 << 30))
def test_frames_in_any_cuts(payloads: list[bytes], seed: int) -> None:
    """The payloads come out whole and in order, each as soon as its last byte is there."""
    raw = b"".join(map(frame, payloads))
    dice, frames, found, at = random.Random(seed), Frames(), [], 0
    while at < len(raw):
        size = dice.choice((1, 2, 3, 5, 30, 200))
        found += frames.feed(raw[at : at + size])
        at = min(at + size, len(raw))
        complete, end = 0, 0
        for payload in payloads:
            end += 4 + len(payload)
            complete += end <= at
        assert found == payloads[:complete]
    assert found == payloads


def test_a_large_frame_in_small_pieces() -> None:
    """Some MiB in pieces of 10 kB; a following small one comes along."""
    raw = frame(MEBIBYTE * 3) + frame(b"next")
    frames = Frames()
    found = [payload for at in range(0, len(raw), 10_000) for payload in frames.feed(raw[at : at + 10_000])]
    assert found == [MEBIBYTE * 3, b"next"]


def test_a_payload_is_given_once() -> None:
    """Whoever stops in the middle of what was fed does not get the same again, and loses the rest of it only."""
    frames = Frames()
    for payload in frames.feed(frame(b"a") + frame(b"b") + frame(b"c")[:5]):
        assert payload == b"a"
        break
    assert list(frames.feed(frame(b"d"))) == [b"d"]


@pytest.mark.parametrize(
    "message", [Ack(7), Learned({"a": "1", "é": "2"}), Sampling(0.25), Ack(0), Learned({})]
)
def test_control_messages(message: Control) -> None:
    """What the analysis says arrives as it was said."""
    (payload,) = Frames().feed(encode_control(message))
    assert decode_control(payload) == message


# ---------------------------------------------------------------- thinning


def test_thinning_keeps_nested_sets() -> None:
    """What is kept at a lower rate is kept at every higher one; shares are about the rate."""
    ids = [f"{random.Random(number).getrandbits(64):x}" for number in range(4000)]
    kept = {rate: {name for name in ids if share(name) < rate} for rate in (1.0, 0.5, 0.25, 1 / 32, 0.0)}
    assert kept[1.0] == set(ids)
    assert kept[0.0] == set()
    assert kept[1 / 32] < kept[0.25] < kept[0.5] < kept[1.0]
    for rate, names in kept.items():
        assert abs(len(names) / len(ids) - rate) < 0.03
    assert share("\udcff") < 1.0


def test_two_senders_keep_the_same(end: End) -> None:
    """Replicas at the same rate keep the same exchanges, whatever their sizes."""
    other = End()
    for one in (end, other):
        one.connect()
        one.sender.limit(0.3)
    names = [str(number) for number in range(300)]
    large = [one for one in names if end.offer(exchange(request_id=one, request_body=b"x" * 5000))]
    small = [one for one in names if other.offer(exchange(request_id=one))]
    assert large == small == [one for one in names if share(one) < 0.3]
    assert end.dropped() == {"cpu_budget": 300 - len(large)}
    other.close()


def test_pressure_lowers_the_rate_from_half_full() -> None:
    """1 up to half, then a half, halved with each further eighth."""
    eighth = CAPACITY // 8
    assert [pressure_rate(n * eighth) for n in range(9)] == [1, 1, 1, 1, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32]
    assert pressure_rate(4 * eighth - 1) == 1
    assert pressure_rate(CAPACITY - 1) == 1 / 16


def test_pressure_and_relief(end: End) -> None:
    """Half full halves the rate, which is exported; acknowledged, it is 1 again."""
    end.connect()
    while end.reader.scalar("queue_bytes") < CAPACITY // 2:
        assert end.offer(exchange(request_body=MEBIBYTE))
    assert end.sender.rate == 0.5
    assert end.reader.scalar("sampling_millionths") == 500_000
    names = [str(number) for number in range(100)]
    for one in names:
        end.offer(exchange(request_id=one))
    assert end.dropped() == {"sampled": sum(share(one) >= 0.5 for one in names)}
    end.sender.flush()
    end.sender.acknowledge(end.batches[-1].number)
    assert end.sender.rate == 1.0
    assert end.reader.scalar("unacknowledged") == 0


@pytest.mark.parametrize(("told", "rate"), [(-1.0, 0.0), (0.5, 0.5), (2.0, 1.0), (float("nan"), 1.0)])
def test_the_budget_is_a_share(end: End, told: float, rate: float) -> None:
    """Whatever the analysis tells, the rate is within 0 and 1."""
    end.connect()
    end.sender.limit(told)
    assert end.sender.rate == rate


# ---------------------------------------------------------------- sending


def test_what_does_not_fit_is_refused(end: End) -> None:
    """Over the capacity nothing is taken, and that is counted; nothing waits."""
    end.connect()
    taken = sum(end.sender.admits("") and end.sender.put(exchange(request_body=MEBIBYTE)) for _ in range(20))
    assert taken == 15
    assert end.dropped()["queue_full"] == 20 - taken
    assert end.reader.scalar("queue_bytes") <= CAPACITY


def test_batches_leave_when_full_or_flushed(end: End) -> None:
    """After 64 exchanges or 256 KiB a batch leaves by itself; a flush of nothing sends nothing."""
    end.connect()
    for _ in range(BATCH_EXCHANGES):
        assert end.offer(exchange())
    assert [len(batch.ids) for batch in end.batches] == [64]
    end.sender.flush()
    assert len(end.batches) == 1
    end.offer(exchange(response_body=b"x" * (256 << 10)))
    assert [batch.number for batch in end.batches] == [1, 2]
    assert end.sender.pending == 0


def test_nobody_listens(end: End) -> None:
    """Without an analysis everything is dropped under its reason, before anything is built."""
    assert not end.sender.connected
    assert not end.sender.admits("a")
    assert end.dropped() == {"analysis_down": 1}


def test_a_lost_analysis(end: End) -> None:
    """What it had not acknowledged is lost, sent or not; a stale acknowledgement from before changes nothing."""
    end.connect()
    end.offer(exchange())
    end.sender.flush()
    end.offer(exchange())
    end.sender.disconnect()
    end.sender.disconnect()
    assert end.dropped() == {"analysis_lost": 2}
    end.connect()
    end.offer(exchange())
    end.sender.flush()
    assert end.batches[0].number == 2
    end.sender.acknowledge(1)
    assert end.reader.scalar("unacknowledged") == 1
    end.sender.acknowledge(2)
    assert end.reader.scalar("acknowledged") == 1


def test_what_cannot_be_encoded_is_counted(end: End) -> None:
    """A batch with text that is no Unicode is dropped for that reason, and the next one goes on."""
    end.connect()
    end.offer(exchange(path="\udcff"))
    end.sender.flush()
    assert (end.dropped(), end.batches) == ({"encode_failed": 1}, [])
    end.offer(exchange())
    end.sender.flush()
    assert len(end.batches) == 1


def test_a_write_that_fails_sends_nothing_twice(end: End) -> None:
    """If writing raises, the batch counts as sent and is lost with its analysis."""

    def broken(data: bytes) -> None:
        raise OSError("gone")

    end.sender.connect(broken)
    end.offer(exchange())
    with pytest.raises(OSError, match="gone"):
        end.sender.flush()
    end.assert_closed()
    end.sender.flush()
    end.connect()
    assert end.dropped() == {"analysis_lost": 1}


@settings(max_examples=60)
@given(EXCHANGES, st.integers(0, 20_000))
def test_an_exchange_takes_no_more_than_is_charged(item: Exchange, length: int) -> None:
    """The bound is one of bytes: path and request id, which travel beside the head that holds them, are charged."""
    path, name = "/" + "p" * length, "i" * length
    head = f"GET {path} HTTP/1.1\r\nx-request-id: {name}\r\n\r\n".encode()
    fields = {key: getattr(item, key) for key in item.__struct_fields__}
    texts = {"operation": "predict", "protocol": "open_inference_v2", "model_name": "m" * 50, "method": "GET"}
    item = Exchange(**(fields | texts | {"request_head": head, "path": path, "request_id": name}))
    end, sizes = End(), []
    end.sender.connect(lambda data: sizes.append(len(data)))
    assert end.offer(item)
    charged = end.sender._pending_bytes
    end.sender.flush()
    assert sizes[0] <= charged
    end.close()


class Ledger(RuleBasedStateMachine):
    """Every way to use a sender, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.end = End()
        self.offered = 0
        self.taken: list[str] = []
        self.acknowledged = 0

    @rule()
    def connect(self) -> None:
        self.end.connect()
        self.taken, self.acknowledged = [], 0

    @rule()
    def disconnect(self) -> None:
        self.end.sender.disconnect()
        self.end.batches, self.taken, self.acknowledged = [], [], 0

    @rule(body=st.sampled_from([b"", b"x" * 3000, MEBIBYTE * 2]), times=st.integers(1, 4))
    def offer(self, body: bytes, times: int) -> None:
        for _ in range(times):
            self.offered += 1
            name = f"id{self.offered}"
            if self.end.offer(exchange(request_id=name, request_body=body)):
                self.taken.append(name)

    @rule()
    def flush(self) -> None:
        self.end.sender.flush()
        if self.end.sender.connected:
            assert self.end.sender.pending == 0

    @rule(ahead=st.integers(-3, 3))
    @precondition(lambda self: self.end.batches)
    def acknowledge(self, ahead: int) -> None:
        self.end.sender.acknowledge(self.end.batches[len(self.end.batches) // 2].number + ahead)

    @rule(rate=st.sampled_from([0.0, 0.2, 0.7, 1.0, 5.0]))
    def limit(self, rate: float) -> None:
        self.end.sender.limit(rate)

    @invariant()
    def nothing_is_unaccounted(self) -> None:
        self.end.assert_closed()
        assert self.end.reader.scalar("offered") == self.offered
        assert self.end.reader.scalar("sampling_millionths") == round(self.end.sender.rate * 1e6)

    @invariant()
    def what_was_taken_is_sent_in_order(self) -> None:
        sent = [name for batch in self.end.batches for name in batch.ids]
        assert sent == self.taken[: len(sent)]
        assert len(self.taken) - len(sent) == self.end.sender.pending

    def teardown(self) -> None:
        self.end.close()


TestLedger = Ledger.TestCase
TestLedger.settings = settings(max_examples=30, stateful_step_count=25)
