"""Redis: pending predictions on a Redis or Valkey server, shared by all replicas of a model.

Refuses to know what rows and labels mean. Invariants: a row or label moves in one step of the server, so it is handed
out once whoever asks; all keys of one step have the same hash tag, so a cluster can hold them. Rows are spread over
16 partitions, each with a ledger of its own, and leave by the server's clock (`PX`) even if nobody calls `expire`. A
full store refuses new rows: the server keeps no order of them that would cost less than they do.
"""

import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from exporter.pending.contract import OUTCOMES, Counts, Label, Limits, Released, Rows, Taken
from exporter.pending.ledger import KEPT, counts_of
from exporter.pending.redis_cohorts import RedisCohorts
from exporter.pending.redis_link import Call, Link
from exporter.pending.redis_scripts import EXPIRE, PUT, TAKE
from exporter.pending.row import ROW_BYTES
from exporter.pending.slots import Admitted, Ages, parked, released, tail_of, until

PARTITIONS: Final = 16
TIMEOUT_SECONDS: Final = 1.0
# Rows or labels in one step: a step keeps every other client of the server waiting, for about 4 µs each.
_STEP: Final = 128
# Of a key beside its rows, measured on 7.0: names, object heads, two tables, the time to live.
_KEY_COST: Final = 142
_ANSWER: Final = struct.Struct("<BHB")


class Redis(RedisCohorts):
    """See `Store`. `namespace` begins every key: stores of different models on one server differ in it."""

    name: Final = "redis"

    def __init__(
        self,
        url: str,
        limits: Limits,
        namespace: str = "mt",
        timeout_seconds: float = TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(Link(url, timeout_seconds, clock), limits, namespace)
        self._ages = Ages(limits)
        self._tags = [f"{{{namespace}:{number}}}".encode() for number in range(PARTITIONS)]
        rows = min(limits.rows, limits.bytes // (_KEY_COST + ROW_BYTES))
        self._rows_each = max(1, rows // PARTITIONS)
        self._parked_each = -(-limits.parked // PARTITIONS)

    @property
    def lost(self) -> Mapping[str, int]:
        """See `Store`."""
        return dict(self._link.lost)

    def put(self, rows: Rows, now: float) -> list[Released]:
        """See `Store`."""
        admitted = Admitted(rows, now, self._ages)
        if admitted.too_old:
            ledger = self._ledger(0)
            self._link.ask(
                *(("HINCRBY", ledger, name, str(admitted.too_old)) for name in ("predictions", "expired"))
            )
        keys: list[bytes] = []
        values: list[bytes] = []
        for _, some_keys, some_values in admitted.groups():
            keys += some_keys
            values += some_values
        steps = self._steps(keys)
        calls = [
            self._call(
                PUT, [keys[at] for at in step], now, self._rows_each, b"".join([values[at] for at in step])
            )
            for step in steps
        ]
        found: list[Released] = []
        for places, reply in zip(steps, self._link.run(calls), strict=True):
            for at, tail in zip((reply or ())[::2], (reply or ())[1::2], strict=True):
                place = places[at]
                found.append(released(keys[place], values[place], values[place] + tail))
        return found

    def take(self, labels: Sequence[Label], now: float) -> list[Taken]:
        """See `Store`."""
        tails = [tail_of(label) for label in labels]
        keys = [label.key for label in labels]
        last = until(parked(b"", now + self._limits.park_seconds))
        steps = self._steps(keys)
        calls = [
            self._call(TAKE, [keys[at] for at in step], now, last, self._parked_each, _counted(tails, step))
            for step in steps
        ]
        taken = [Taken("lost")] * len(labels)
        for places, reply in zip(steps, self._link.run(calls), strict=True):
            if reply is not None:
                for place, found in zip(places, _answers(reply), strict=True):
                    taken[place] = found
        return taken

    def expire(self, now: float) -> None:
        """See `Store`."""
        given = self._times(now)
        self._link.run([Call(EXPIRE, (self._ledger(at),), given) for at in range(PARTITIONS)])
        self._forget_hours(now)

    def counts(self) -> Counts | None:
        """See `Store`."""
        asked = [("HMGET", self._ledger(at), *KEPT) for at in range(PARTITIONS)]
        replies = self._link.ask(*asked, ("HGET", self._cohort_ledger, "refused_cells"))
        if None in replies[:-1]:
            return None
        kept = {
            name: sum(int(reply[place] or 0) for reply in replies[:-1]) for place, name in enumerate(KEPT)
        }
        kept["refused_cells"] = int(replies[-1] or 0)
        return counts_of(kept, _KEY_COST)

    def _ledger(self, partition: int) -> bytes:
        return self._tags[partition] + b"ledger"

    def _steps(self, keys: Sequence[bytes]) -> list[list[int]]:
        """The places of the keys of each step: of one partition, in order."""
        partitions: list[list[int]] = [[] for _ in range(PARTITIONS)]
        for place, key in enumerate(keys):
            partitions[key[0] % PARTITIONS].append(place)
        return [one[at : at + _STEP] for one in partitions for at in range(0, len(one), _STEP)]

    def _call(self, script: str, keys: Sequence[bytes], now: float, *more: int | bytes) -> Call:
        """A step; the keys are of one partition."""
        tag = self._tags[keys[0][0] % PARTITIONS]
        names = [tag + b"ledger", *[tag + key for key in keys]]
        return Call(script, names, [*self._times(now), *more], len(keys))

    def _times(self, now: float) -> list[str]:
        return [repr(float(now)), str(self._ages.width), repr(float(self._ages.age))]


def _counted(tails: Sequence[bytes], places: Sequence[int]) -> bytes:
    """These tails, each behind a byte of its length."""
    return b"".join([bytes((len(tails[place]),)) + tails[place] for place in places])


def _answers(reply: bytes) -> Iterator[Taken]:
    """What the script says of each label."""
    at = 0
    while at < len(reply):
        place, rows, before = _ANSWER.unpack_from(reply, at)
        start = at + _ANSWER.size
        at = start + rows + before
        yield Taken(OUTCOMES[place], reply[start : start + rows], reply[start + rows : at])
