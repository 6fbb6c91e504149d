"""Memory: pending predictions in the process itself, the default. A restart forgets them.

Invariant: each key with rows stands once in the order of its bucket, from its first row until it is forgotten; so the
oldest go first, whether by age or for want of room. Keys and slots are bytes and the order one bytearray per bucket:
the garbage collector walks none of them, at ten million rows either. 256 small tables grow at different moments, where
one large one would stop the process for a second.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Final

from exporter.pending.cohorts import Cohorts
from exporter.pending.contract import (
    MAX_VERSIONS,
    TEXT_BYTES,
    Cohort,
    Counts,
    Label,
    Limits,
    Released,
    Rows,
    Taken,
)
from exporter.pending.row import KEY_BYTES, ROW_BYTES
from exporter.pending.slots import (
    Admitted,
    Ages,
    add,
    answer,
    parked,
    pending_in,
    released,
    rows_in,
    tail_of,
    until,
)

_SHARDS: Final = 256
# Of a key, beside its slot's bytes, measured at ten million rows: two objects' heads, the table, the order.
_KEY_COST: Final = 136


class Memory:
    """See `Store`. `lost` stays empty: nothing here can fail but for memory that is out."""

    name: Final = "memory"
    lost: Final[Mapping[str, int]] = {}

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._ages = Ages(limits)
        self._lock = threading.Lock()
        self._counts = Counts()
        self._shards: list[dict[bytes, bytes]] = [{} for _ in range(_SHARDS)]
        self._order: dict[int, bytearray] = {}
        self._rows = 0  # joined ones included
        self._parked: OrderedDict[bytes, bytes] = OrderedDict()
        self._versions: dict[int, str] = {}
        self._cohorts = Cohorts(limits.cells, limits.age_seconds)

    def put(self, rows: Rows, now: float) -> list[Released]:
        """See `Store`."""
        found: list[Released] = []
        with self._lock:
            self._forget(now)
            admitted = Admitted(rows, now, self._ages)
            self._counts.predictions += admitted.too_old
            self._counts.expired += admitted.too_old
            for bucket, keys, values in admitted.groups():
                self._put(bucket, keys, values, found)
            while self._too_much():
                self._evict()
        return found

    def _put(
        self, bucket: int, keys: Sequence[bytes], values: Sequence[bytes], found: list[Released]
    ) -> None:
        shards, waiting, fresh = self._shards, self._parked, []
        for key, value in zip(keys, values, strict=True):
            # One look-up: what comes back is the row itself only if the key was new.
            if shards[key[0]].setdefault(key, value) is not value:
                self._again(key, value, found)
            else:
                fresh.append(key)
                if key in waiting:
                    self._release(key, value, found)
        counts = self._counts
        counts.predictions += len(fresh)
        counts.pending += len(fresh)
        counts.held_bytes += len(fresh) * (_KEY_COST + ROW_BYTES)
        self._rows += len(fresh)
        if fresh:
            self._order.setdefault(bucket, bytearray()).extend(b"".join(fresh))

    def _again(self, key: bytes, row: bytes, found: list[Released]) -> None:
        """A row under a key that has rows."""
        counts, shard = self._counts, self._shards[key[0]]
        slot, what = add(shard[key], row)
        if what == "repeated":
            counts.repeated += 1
            return
        counts.predictions += 1
        if what == "evicted":
            counts.evicted += 1
            return
        shard[key] = slot
        self._rows += 1
        counts.held_bytes += ROW_BYTES
        if what == "pending":
            counts.pending += 1
        else:
            counts.joined += 1
            found.append(released(key, row, slot))

    def _release(self, key: bytes, row: bytes, found: list[Released]) -> None:
        """The first row of a key whose label came before it."""
        slot, _ = add(self._parked.pop(key), row)
        self._shards[key[0]][key] = slot
        counts = self._counts
        counts.held_bytes += len(slot) - ROW_BYTES
        counts.released += 1
        counts.joined += 1
        counts.pending -= 1
        found.append(released(key, row, slot))

    def take(self, labels: Sequence[Label], now: float) -> list[Taken]:
        """See `Store`."""
        tails = [tail_of(label) for label in labels]
        with self._lock:
            self._forget(now)
            return [self._take(label.key, tail, now) for label, tail in zip(labels, tails, strict=True)]

    def _take(self, key: bytes, tail: bytes, now: float) -> Taken:
        shard = self._shards[key[0]]
        slot = shard.get(key)
        if slot is None:
            return self._park(key, tail, now)
        changed, taken = answer(slot, tail)
        shard[key] = changed
        counts = self._counts
        counts.held_bytes += len(changed) - len(slot)
        if taken.outcome == "joined":
            rows = rows_in(slot)
            counts.joined += rows
            counts.pending -= rows
        return taken

    def _park(self, key: bytes, tail: bytes, now: float) -> Taken:
        waiting = self._parked.get(key)
        if waiting is not None:
            self._parked[key], taken = answer(waiting, tail)
            return taken
        if len(self._parked) >= self._limits.parked:
            self._counts.refused_labels += 1
            return Taken("full")
        self._parked[key] = parked(tail, now + self._limits.park_seconds)
        self._counts.parked += 1
        return Taken("parked")

    def expire(self, now: float) -> None:
        """See `Store`."""
        with self._lock:
            self._forget(now)
            self._cohorts.expire(now)

    def _forget(self, now: float) -> None:
        """What every method begins with, so that none meets a slot that is too old; costs nothing while none is."""
        while self._parked and until(next(iter(self._parked.values()))) <= now:
            self._parked.popitem(last=False)
        while self._order and self._ages.due(min(self._order)) <= now:
            order = self._order.pop(min(self._order))
            for at in range(0, len(order), KEY_BYTES):
                self._counts.expired += self._drop(bytes(order[at : at + KEY_BYTES]))

    def _too_much(self) -> bool:
        return self._rows > self._limits.rows or self._counts.held_bytes > self._limits.bytes

    def _evict(self) -> None:
        """Forget the oldest keys, one bucket's at most."""
        oldest = min(self._order)
        order = self._order[oldest]
        while order and self._too_much():
            self._counts.evicted += self._drop(bytes(order[:KEY_BYTES]))
            del order[:KEY_BYTES]  # moves the beginning, copies nothing
        if not order:
            del self._order[oldest]

    def _drop(self, key: bytes) -> int:
        """Forget a key; how many of its rows were pending."""
        slot = self._shards[key[0]].pop(key)
        self._rows -= rows_in(slot)
        self._counts.held_bytes -= _KEY_COST + len(slot)
        waited = pending_in(slot)
        self._counts.pending -= waited
        return waited

    def counts(self) -> Counts:
        """See `Store`."""
        with self._lock:
            self._counts.refused_cells = self._cohorts.refused
            return Counts(**{name: getattr(self._counts, name) for name in Counts.__slots__})

    def learn(self, versions: Mapping[int, str]) -> None:
        """See `Store`."""
        with self._lock:
            for number, text in versions.items():
                if len(self._versions) < MAX_VERSIONS and len(text.encode()) <= TEXT_BYTES:
                    self._versions.setdefault(number, text)

    def versions(self) -> Mapping[int, str]:
        """See `Store`."""
        with self._lock:
            return dict(self._versions)

    def add_cells(self, hour: int, cells: Mapping[str, float], now: float) -> bool:
        """See `Store`."""
        with self._lock:
            return self._cohorts.add(hour, cells, now)

    def cohorts(self) -> list[Cohort]:
        """See `Store`."""
        with self._lock:
            return self._cohorts.all()

    def claim(self, hour: int, owner: str, until: float, now: float) -> Cohort | None:
        """See `Store`."""
        with self._lock:
            return self._cohorts.claim(hour, owner, until, now)

    def settle(self, hour: int, owner: str, now: float) -> bool:
        """See `Store`."""
        with self._lock:
            return self._cohorts.settle(hour, owner, now)

    def close(self) -> None:
        """Nothing is held that needs it."""
