"""The backlog: its bound, its drop policies, and a ledger that holds after every step."""

from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from exporter.publish.backlog import DROP_REASONS, Backlog, Entry
from exporter.publish.cloudevents import Side
from exporter.records.sample import Histogram

from .exchanges import changed

SIDES: tuple[tuple[Side, ...], ...] = (("request",), ("response",), ("request", "response"))
CREATED = 5.0


def entry(size: int = 0, sides: tuple[Side, ...] = SIDES[2], taken: float = 0.0) -> Entry:
    """An entry whose bodies have that many bytes."""
    return Entry(changed(request_body=b"x" * size, response_body=b""), sides, taken)


def figures(backlog: Backlog) -> dict[str, float]:
    """Everything counted, by the last words of its name; drops by reason."""
    found: dict[str, float] = {}
    for sample in backlog.samples():
        name = sample.labels[0] if sample.labels else sample.name.removeprefix("modeltap.payload_log.")
        found[name] = sample.value.count if isinstance(sample.value, Histogram) else sample.value
        assert sample.created == (0.0 if ".queue." in sample.name else CREATED)
    return found


class Ledger(RuleBasedStateMachine):
    """Any order of offers, takes, outcomes and the end."""

    @initialize(capacity=st.integers(1, 40_000), oldest=st.booleans())
    def begin(self, capacity: int, oldest: bool) -> None:
        """A backlog of any size and policy."""
        self.capacity, self.oldest = capacity, oldest
        self.backlog = Backlog(capacity, oldest, CREATED)
        self.flying: list[Entry] = []
        self.offered = self.sent = self.given_up = 0
        self.closed = False

    @rule(size=st.integers(0, 15_000), sides=st.sampled_from(SIDES))
    def offer(self, size: int, sides: tuple[Side, ...]) -> None:
        """An offer is kept if and only if it fits, or room can be made for it."""
        made = entry(size, sides)
        self.offered += len(sides)
        flying = sum(each.size for each in self.flying)
        waiting = figures(self.backlog)["queue.usage"] - flying
        room = self.capacity - flying - (0 if self.oldest else waiting)
        assert self.backlog.offer(made) is (not self.closed and made.size <= room)

    @rule(most=st.integers(0, 20_000))
    def take(self, most: int) -> None:
        """What is taken together fits together, or is one."""
        found = self.backlog.take(most)
        assert len(found) <= 1 or sum(each.size for each in found) <= most
        self.flying += found

    @rule(data=st.data(), reason=st.sampled_from(("", *DROP_REASONS)))
    def settle(self, data: st.DataObject, reason: str) -> None:
        """An event of a taken entry arrives or is given up."""
        if not self.flying:
            return
        one = data.draw(st.sampled_from(self.flying))
        if reason:
            self.backlog.dropped(one, reason)
        else:
            self.backlog.sent(one, 1.0)
            self.sent += not self.closed
        if self.closed or not one.left:
            self.flying.remove(one)

    @rule()
    def close(self) -> None:
        """The end comes once; what was under way is lost with the rest."""
        left = figures(self.backlog)["queue.length"]
        assert self.backlog.close() == left
        self.closed = True

    @invariant()
    def balanced(self) -> None:
        """selected = sent + dropped + queued, and the bytes are within the bound."""
        found = figures(self.backlog)
        dropped = sum(found[reason] for reason in DROP_REASONS)
        assert found["selected"] == self.offered == found["sent"] + dropped + found["queue.length"]
        assert found["sent"] == found["delivery.duration"] == self.sent
        assert 0 <= found["queue.usage"] <= self.capacity
        assert (found["queue.usage"] == 0) is (found["queue.length"] == 0)


Ledger.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestLedger = Ledger.TestCase


@pytest.mark.parametrize(("oldest", "left"), [(False, [0, 1, 2]), (True, [1, 2, 3])])
def test_drop_policy(oldest: bool, left: list[int]) -> None:
    """With `newest` what comes is refused, with `oldest` what waits longest goes; both are counted by events."""
    entries = [entry(1000) for _ in range(4)]
    backlog = Backlog(3 * entries[0].size, oldest, CREATED)
    assert [backlog.offer(each) for each in entries] == [True, True, True, oldest]
    assert [entries.index(each) for each in backlog.take(1 << 20)] == left
    assert figures(backlog)["queue_full"] == 2


def test_what_is_being_sent_counts_and_stays() -> None:
    """Bytes under way are bytes, and are not forgotten to make room."""
    first, second = entry(1000), entry(1000)
    backlog = Backlog(first.size, True, CREATED)
    assert backlog.offer(first)
    assert backlog.take(0) == [first]
    assert not backlog.offer(second)
    backlog.sent(first, 0.0)
    assert not backlog.offer(second)
    backlog.sent(first, 0.0)
    assert backlog.offer(second)


def test_latency_is_from_the_offer() -> None:
    """Each event that arrives is counted with its age."""
    backlog = Backlog(1 << 20, False, CREATED)
    made = entry(taken=100.0)
    backlog.offer(made)
    backlog.take(0)
    backlog.sent(made, 100.03)
    backlog.sent(made, 102.0)
    (value,) = [sample.value for sample in backlog.samples() if sample.name.endswith("duration")]
    assert isinstance(value, Histogram)
    hit = [
        upper
        for (_, upper), count in zip(pairwise((0.0, *value.bounds)), value.counts, strict=False)
        if count
    ]
    assert (hit, round(value.sum or 0, 6)) == ([0.05, 2.5], 2.03)
