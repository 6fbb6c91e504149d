"""A store behind a queue: nobody waits for it, whatever it does, and everything offered is accounted for."""

import asyncio
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError

import pytest

from exporter.pending.contract import Label, Limits, Released, Rows, Taken
from exporter.pending.guarded import Guarded, GuardLimits
from exporter.pending.memory import Memory
from tests.pending.stores import T0, label, rows

SECONDS = 60.0


class Odd(Memory):
    """A store that waits until it may go on, raises on demand, and remembers the sizes of its batches."""

    def __init__(self) -> None:
        super().__init__(Limits())
        self.go = threading.Event()
        self.go.set()
        self.begun = threading.Event()
        self.raises: Exception | None = None
        self.puts: list[int] = []
        self.closed = 0

    def put(self, rows: Rows, now: float) -> list[Released]:
        self._pass()
        self.puts.append(len(rows.keys))
        return super().put(rows, now)

    def take(self, labels: Sequence[Label], now: float) -> list[Taken]:
        self._pass()
        return super().take(labels, now)

    def versions(self) -> Mapping[int, str]:
        self._pass()
        return super().versions()

    def close(self) -> None:
        self.closed += 1

    def _pass(self) -> None:
        self.begun.set()
        assert self.go.wait(SECONDS)
        if self.raises is not None:
            raise self.raises


class Held:
    """A guarded store, and what was released."""

    def __init__(self, limits: GuardLimits) -> None:
        self.released: list[Released] = []
        self.now = 0.0
        self.store = Odd()
        self.guarded = Guarded(self.store, self.released.extend, limits, lambda: self.now)

    def hang(self) -> None:
        """The store is busy with something from here on."""
        self.store.go.clear()
        self.store.begun.clear()
        self.guarded.ask(lambda store: store.versions(), {})
        assert self.store.begun.wait(SECONDS)

    def outcomes(self, *names: str) -> list[str]:
        taken = self.guarded.take([label(name) for name in names], T0 + 60).result(SECONDS)
        return [one.outcome for one in taken]


@pytest.fixture
def held() -> Iterator[Held]:
    one = Held(GuardLimits(queue=10, patience_seconds=5))
    one.guarded.start()
    yield one
    one.store.go.set()
    assert one.guarded.stop(SECONDS)


def test_rows_and_labels_meet_in_order(held: Held) -> None:
    """What is offered is done in the order of offering; labels that waited are handed out in the thread."""
    assert held.outcomes("early") == ["parked"]
    assert held.guarded.offer(rows("a", "early"), T0)
    assert held.outcomes("a", "early") == ["joined", "duplicate"]
    assert [one.value for one in held.released] == [b"good"]
    assert held.guarded.waiting == 0


def test_small_batches_are_put_together(held: Held) -> None:
    """As many as wait, in one call, and a question between them keeps its place."""
    held.hang()
    for name in "abc":
        held.guarded.offer(rows(name), T0)
    question = held.guarded.take([label("c")], T0)
    held.guarded.offer(rows("d"), T0)
    held.store.go.set()
    assert [one.outcome for one in question.result(SECONDS)] == ["joined"]
    assert held.outcomes("d") == ["joined"]
    assert held.store.puts == [3, 1]


def test_a_store_that_hangs(held: Held) -> None:
    """The queue fills to its bound, the rest is dropped at once and counted, and what had room is done later."""
    held.hang()
    assert held.guarded.offer(rows(*"abcdef"), T0)
    assert not held.guarded.offer(rows(*"ghijk"), T0)
    assert held.outcomes("a", "b", "c", "d", "e") == ["lost"] * 5
    assert held.guarded.offer(rows("g"), T0)
    assert held.guarded.waiting == 7
    assert held.guarded.dropped == {"queue_full": 10, "timed_out": 0, "failed": 0, "shutdown": 0}
    held.store.go.set()
    assert held.outcomes("a", "g", "h") == ["joined", "joined", "parked"]


def test_questions_without_items_take_room_too(held: Held) -> None:
    """A queue of them cannot grow for ever."""
    held.hang()
    asked = [held.guarded.ask(lambda store: store.versions(), {1: "none"}) for _ in range(20)]
    assert sum(one.done() for one in asked) == 10
    held.store.go.set()
    assert sorted(len(one.result(SECONDS)) for one in asked) == [0] * 10 + [1] * 10


def test_whoever_asks_has_patience_for_so_long(held: Held) -> None:
    """A question that waited longer is not put to the store any more; rows are, however long they waited."""
    held.hang()
    held.guarded.offer(rows("a"), T0)
    question = held.guarded.take([label("a"), label("b")], T0)
    held.now += 5.1
    held.store.go.set()
    assert [one.outcome for one in question.result(SECONDS)] == ["lost", "lost"]
    assert held.guarded.dropped["timed_out"] == 2
    assert held.outcomes("a") == ["joined"]


def test_a_store_that_raises(held: Held, caplog: pytest.LogCaptureFixture) -> None:
    """A defect costs its batch, is told once, and the next goes on."""
    held.store.raises = RuntimeError("a defect")
    assert held.outcomes("a", "b") == ["lost", "lost"]
    held.guarded.offer(rows("a"), T0)
    assert held.outcomes("a") == ["lost"]
    assert held.guarded.dropped["failed"] == 4
    assert [record.exc_info is not None for record in caplog.records] == [True]
    held.store.raises = None
    held.guarded.offer(rows("a"), T0)
    assert held.outcomes("a") == ["joined"]


def test_a_question_that_was_cancelled_takes_nothing(held: Held) -> None:
    """Before its turn: the rows are still there for the next."""
    held.hang()
    held.guarded.offer(rows("a"), T0)
    question = held.guarded.take([label("a")], T0)
    assert question.cancel()
    held.store.go.set()
    assert held.outcomes("a") == ["joined"]
    with pytest.raises(CancelledError):
        question.result()


async def test_an_event_loop_waits_for_it(held: Held) -> None:
    """Futures are of the kind that asyncio wraps."""
    held.guarded.offer(rows("a"), T0)
    taken = await asyncio.wrap_future(held.guarded.take([label("a")], T0))
    assert [one.outcome for one in taken] == ["joined"]


def test_the_end(held: Held) -> None:
    """What is queued is done, then the store is closed; what comes later is dropped and counted."""
    held.hang()
    held.guarded.offer(rows("a"), T0)
    held.store.go.set()
    assert held.guarded.stop(SECONDS)
    assert held.store.puts == [1] and held.store.closed == 1
    assert not held.guarded.offer(rows("b"), T0)
    assert held.outcomes("a") == ["lost"]
    assert held.guarded.dropped["shutdown"] == 2


def test_the_end_of_one_that_hangs(held: Held) -> None:
    """It is not waited for; what was queued is counted, and its askers hear."""
    held.hang()
    held.guarded.offer(rows("a"), T0)
    question = held.guarded.take([label("a")], T0)
    assert not held.guarded.stop(0.01)
    assert [one.outcome for one in question.result(SECONDS)] == ["lost"]
    assert held.guarded.dropped["shutdown"] == 2
    assert held.store.closed == 0


def test_one_that_was_never_started() -> None:
    """It keeps what it is offered, and counts it at the end."""
    held = Held(GuardLimits())
    assert held.guarded.offer(rows("a"), T0)
    assert held.guarded.stop(0)
    assert held.guarded.dropped["shutdown"] == 1
