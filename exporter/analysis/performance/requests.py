"""Label requests: which rows' labels are worth asking for, by chance, so that all rows can be estimated from them.

A share of all rows at random, and a larger one of those whose score is near the threshold. Whether a row is asked for
follows from its key alone, so replicas agree and nothing is kept but the row's own chance, in the row. Refuses to
know stores and payloads: an id and a row's number are all that is told. Bounded: the latest so many; what is over is
forgotten here, and counted; its label still counts by its chance.
"""

import hashlib
import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.performance.judged import What
from exporter.pending.row import CHANCES, RowArray

MOST: Final = 10_000
REASONS: Final = ("random", "uncertain")
_KINDS: Final = 512  # outputs and roles that are told apart in counts
_SALT: Final = b"modeltap asks"  # which rows are kept goes by the key itself


@dataclass(frozen=True, slots=True)
class Shares:
    """`random` of all rows, `uncertain` of those whose score is at most `band` from the threshold."""

    random: float = 0.0
    uncertain: float = 0.0
    band: float = 0.1

    def __bool__(self) -> bool:
        return max(self.random, self.uncertain) > 0.0


class Named(NamedTuple):
    """What a caller knows of a row: the id, and its place among the rows of that id."""

    id: str
    row: int


class Request(NamedTuple):
    """One row whose label is wanted. `number` grows from one to the next."""

    number: int
    named: Named
    what: What
    role: str
    time: float
    chance: float
    reason: str


class Requests:
    """`choose` marks rows, `offer` puts them up, `answered` takes them down, `wanted` reads from any thread."""

    def __init__(self, shares: Shares, threshold: float) -> None:
        self.shares = shares
        self._threshold = threshold
        self._lock = threading.Lock()
        self._open: OrderedDict[bytes, Request] = OrderedDict()
        self._next = 1
        self.counts: Counter[tuple[What, str, str]] = Counter()
        self.states = {"answered": 0, "forgotten": 0}

    def choose(self, what: What, keys: Sequence[bytes], rows: RowArray) -> NDArray[np.intp]:
        """Write their chance into the rows that are asked for; their places."""
        near = np.zeros(len(rows), np.bool_)
        if what.form == "binary":
            near = np.abs(rows["value"].astype(np.float64) - self._threshold) <= self.shares.band
        share = np.where(near, max(self.shares.random, self.shares.uncertain), self.shares.random)
        chances = np.round(share * CHANCES)
        places = np.flatnonzero(_draws(keys) < chances)
        rows["chance"][places] = chances[places]
        return places

    def offer(self, what: What, role: str, chosen: Sequence[tuple[bytes, Named]], rows: RowArray) -> None:
        """Put up rows that wait now; `rows` are those of `chosen`."""
        chances = (rows["chance"] / CHANCES).tolist()
        with self._lock:
            for (key, named), chance, second in zip(chosen, chances, rows["seconds"].tolist(), strict=True):
                reason = "uncertain" if chance > self.shares.random + 1.0 / CHANCES else "random"
                place = what, role, reason
                if place in self.counts or len(self.counts) < _KINDS:
                    self.counts[place] += 1
                if key in self._open:
                    continue  # of another version: the label is the same
                self._open[key] = Request(self._next, named, what, role, float(second), chance, reason)
                self._next += 1
                if len(self._open) > MOST:
                    self._open.popitem(last=False)
                    self.states["forgotten"] += 1

    def answered(self, key: bytes) -> None:
        """Its label came."""
        if self._open:
            with self._lock:
                self.states["answered"] += self._open.pop(key, None) is not None

    def wanted(self, after: int, most: int) -> list[Request]:
        """Those that are open, oldest first, from the one behind `after` on."""
        with self._lock:
            return [one for one in self._open.values() if one.number > after][:most]

    def open(self) -> int:
        """How many wait."""
        return len(self._open)

    def counted(self) -> Iterator[tuple[What, str, str, int]]:
        """(output, role, reason, rows) that were asked for; any thread."""
        for (what, role, reason), count in list(self.counts.items()):
            yield what, role, reason, count


def _draws(keys: Sequence[bytes]) -> NDArray[np.float64]:
    """For each key a number from 0 to below CHANCES, the same on every replica and in every run."""
    drawn = b"".join([hashlib.blake2b(key, digest_size=8, key=_SALT).digest() for key in keys])
    return np.asarray(np.frombuffer(drawn, "<u8") / 2.0**64 * CHANCES, np.float64)
