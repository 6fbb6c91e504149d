"""The wheel: each connection in at most one slot, asked neither early nor more than a tick late."""

import random

from exporter.proxy.deadlines import TICK, Deadlines


class Item:
    def __init__(self, again: int = 0) -> None:
        self.slot = 0
        self.asked: list[int] = []
        self._again = again

    def due(self, now: int) -> int:
        self.asked.append(now)
        return now + self._again if self._again else 0


def test_nobody_is_asked_early_and_nobody_a_tick_late() -> None:
    """Whatever the times, `due` comes after them and within one tick and a run."""
    wheel, chance = Deadlines(0), random.Random(7)
    items = [(Item(), chance.randrange(60 * TICK)) for _ in range(500)]
    for item, due in items:
        wheel.put(item, due)
    for now in range(0, 62 * TICK, TICK // 2):
        wheel.run(now)
    for item, due in items:
        assert len(item.asked) == 1
        assert due <= item.asked[0] <= due + 2 * TICK


def test_earlier_time_wins() -> None:
    """A later time changes nothing, an earlier one moves the item; it is asked once."""
    wheel, item = Deadlines(0), Item()
    wheel.put(item, 10 * TICK)
    wheel.put(item, 20 * TICK)
    wheel.put(item, 4 * TICK)
    wheel.run(3 * TICK)
    assert item.asked == []
    wheel.run(30 * TICK)
    assert item.asked == [30 * TICK]
    assert item.slot == 0


def test_dropped_is_never_asked() -> None:
    """Dropping is safe twice, and leaves nothing of the item in the wheel."""
    wheel, item = Deadlines(0), Item()
    wheel.drop(item)
    wheel.put(item, TICK)
    wheel.drop(item)
    wheel.drop(item)
    wheel.run(100 * TICK)
    assert item.asked == []
    assert not any(wheel._slots.values())


def test_asks_again_when_told() -> None:
    """What `due` returns is when it is asked next; a time that is over already means the next tick."""
    wheel, item, late = Deadlines(0), Item(5 * TICK), Item()
    wheel.put(item, 0)
    for turn in range(1, 30):
        wheel.run(turn * TICK)
    assert item.asked == [TICK, 7 * TICK, 13 * TICK, 19 * TICK, 25 * TICK]
    wheel.put(late, 0)
    wheel.run(30 * TICK)
    assert late.asked == [30 * TICK]


def test_item_that_drops_its_neighbour() -> None:
    """A connection that ends another one while it is asked does no harm."""
    wheel, other = Deadlines(0), Item()

    class Ending(Item):
        def due(self, now: int) -> int:
            wheel.drop(other)
            return 0

    first = Ending()
    for item in (first, other):
        wheel.put(item, TICK)
    wheel.run(10 * TICK)
    assert (first.slot, other.slot) == (0, 0)
