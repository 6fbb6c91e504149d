"""Every store against a small model: whatever is put, labelled and forgotten, in any order, the answers agree."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from exporter.pending.contract import Limits, Store
from tests.pending.stores import LIVE, SHADOW, STORES, T0, V1, V2, key, label, rows, told
from tests.receivers.redis import RedisServer

AGE, PARK = 640, 50
LIMITS = Limits(age_seconds=AGE, park_seconds=PARK)
NAMES = ("a", "b", "c", "d")
IDS = st.sampled_from(NAMES)
ANSWERS = st.sampled_from([(V1, LIVE), (V1, SHADOW), (V2, LIVE)])
VALUES = st.sampled_from([b"good", b"bad", b"", b"x" * 27, b"x" * 31])


class Held:
    """What the model keeps of one key."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, int]] = []
        self.label: tuple[float, bytes] | None = None
        self.ends = 0.0


class Stores(RuleBasedStateMachine):
    """Steps of time, predictions and labels."""

    store: Store

    def __init__(self) -> None:
        super().__init__()
        self.now = T0
        self.held: dict[str, Held] = {}
        self.count = dict.fromkeys(("predictions", "joined", "expired", "repeated", "parked", "released"), 0)

    @initialize()
    def begin(self) -> None:
        self.store = next(self.fresh)

    fresh: Iterator[Store]

    def forget(self) -> None:
        for name, held in list(self.held.items()):
            if held.ends <= self.now:
                del self.held[name]
                self.count["expired"] += 0 if held.label else len(held.rows)

    @rule(seconds=st.sampled_from([0, 1, 10, 49, 200, 640]))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(name=IDS, answer=ANSWERS, before=st.sampled_from([0, 0, 0, 30, 700]))
    def put(self, name: str, answer: tuple[int, int], before: int) -> None:
        self.forget()
        time = self.now - before
        released = self.store.put(rows(name, time=time, version=answer[0], role=answer[1]), self.now)
        due = (time // 10 + 1) * 10 + AGE
        if due <= self.now:
            self.count["predictions"] += 1
            self.count["expired"] += 1
            assert released == []
            return
        held = self.held.setdefault(name, Held())
        if answer in held.rows:
            self.count["repeated"] += 1
            assert released == []
            return
        if not held.rows:
            held.ends = due
            self.count["released"] += held.label is not None
        held.rows.append(answer)
        self.count["predictions"] += 1
        self.count["joined"] += held.label is not None
        found = [(one.key, told(one.row), (one.time, one.value)) for one in released]
        assert found == ([(key(name), [answer], held.label)] if held.label else [])

    @rule(name=IDS, value=VALUES, seen=st.sampled_from([0, 0, 5, 20]))
    def take(self, name: str, value: bytes, seen: int) -> None:
        self.forget()
        given = (self.now - seen, value)
        (taken,) = self.store.take([label(name, value, given[0])], self.now)
        held = self.held.setdefault(name, Held())
        before, held.label = held.label, held.label if held.label and held.label[0] > given[0] else given
        if before is None:
            self.count["joined"] += len(held.rows)
            self.count["parked"] += not held.rows
            held.ends = held.ends if held.rows else self.now + PARK
            expected: tuple[str, bytes] = ("joined" if held.rows else "parked", b"")
        elif before[1] == value:
            expected = ("duplicate", b"")
        elif before[0] > given[0]:
            expected = ("stale", b"")
        else:
            expected = ("corrected", before[1]) if held.rows else ("parked", b"")
        assert (taken.outcome, taken.before) == expected
        assert told(taken.rows) == (held.rows if taken.outcome in ("joined", "corrected") else [])

    @rule()
    def expire(self) -> None:
        self.forget()
        self.store.expire(self.now)
        found = self.store.counts()
        assert found is not None and found.balanced
        assert {name: getattr(found, name) for name in self.count} == self.count
        assert found.pending == sum(len(held.rows) for held in self.held.values() if not held.label)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()


@pytest.mark.parametrize("name", sorted(STORES))
def test_a_store_is_its_model(name: str, server: RedisServer, tmp_path: Path) -> None:
    """Any history ends in the same answers and the same ledger."""

    def fresh() -> Iterator[Store]:
        while True:
            server.command("FLUSHALL")
            shutil.rmtree(tmp_path)
            tmp_path.mkdir()
            yield STORES[name](tmp_path, server.url, LIMITS)

    machine = type("Machine", (Stores,), {"fresh": fresh()})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
        ),
    )
