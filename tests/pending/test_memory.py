"""What is true of the store in memory alone: what a row costs, and that the collector has nothing to walk."""

import gc
import tracemalloc

from exporter.pending.contract import Limits, Rows
from exporter.pending.memory import Memory
from exporter.pending.row import blank, key, keys, request_digest
from tests.pending.stores import T0

COUNT = 200_000


def fill(store: Memory, count: int = COUNT) -> None:
    for at in range(0, count, 1000):
        names = [key(request_digest("x", str(number)), 0) for number in range(at, at + 1000)]
        store.put(Rows(names, blank(1000, T0)), T0)


def test_a_pending_row_takes_at_most_200_bytes() -> None:
    """By what the interpreter allocates; the store's own estimate is near it."""
    tracemalloc.start()
    try:
        store = Memory(Limits())
        before = tracemalloc.get_traced_memory()[0]
        fill(store)
        used = (tracemalloc.get_traced_memory()[0] - before) / COUNT
    finally:
        tracemalloc.stop()
    assert used <= 200
    assert abs(store.counts().held_bytes / COUNT - used) <= 0.2 * used


def test_the_collector_walks_no_row() -> None:
    """As many objects are tracked with many rows as with few."""
    store = Memory(Limits())
    fill(store, 1000)
    gc.collect()
    few = len(gc.get_objects())
    fill(store, 100_000)
    gc.collect()
    assert len(gc.get_objects()) - few < 1000


def test_rows_that_come_late_go_first() -> None:
    """Eviction goes by when rows were predicted, also where an older hour turns up after a younger."""
    store = Memory(Limits(rows=3))
    ages = (0, 0, 86_400 * 10, 0)
    for number, age in enumerate(ages):
        store.put(Rows(keys(request_digest("x", str(number)), [0]), blank(1, T0 - age)), T0)
    assert store.counts().evicted == 1
    store.put(Rows(keys(request_digest("x", "4"), [0]), blank(1, T0 - 86_400 * 20)), T0)
    found = store.counts()
    assert (found.evicted, found.pending) == (2, 3)
