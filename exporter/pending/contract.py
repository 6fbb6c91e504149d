"""What a store of pending predictions is; knows no store.

A key holds rows, each of one version in one role, and at most one label:

    rows, no label     pending: predicted, not yet labelled
    rows and a label   joined: remembered until its age, so that a second label is known as one
    a label, no rows   parked: the label came first

A row that comes under a labelled key, and a label that comes to pending rows, join at that moment and never again. Both
verbs do that in one step, so that no row and label can pass each other between two replicas: `put` hands out labels
that were parked, `take` hands out rows. Whoever is handed something counts it; it is handed out once, whichever replica
asks. A caller that ends before it has counted loses it: at most once, never twice.

Ledger of rows, at every moment: predictions = joined + pending + expired + evicted. Beside it: sampled out (see
`sampling.py`; never offered), repeated (refused: the version has answered that key already) and lost (the store failed:
whether the row arrived is not known).

`now` is unix seconds, always an argument. Ages are held to a 64th: a key is kept `age_seconds` from the prediction
time of its first row, and forgotten at most a 64th of that later. Methods are synchronous, may be called from any
thread, one after the other, and raise nothing for whatever happens to disk and network: it is counted in `Counts.lost`
and told in the answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Protocol

from exporter.pending.row import RowArray

# Longest label value, in bytes: its owner decides what is in it (a float64, groups, a set of classes, several). Any
# length but 28: by lengths slots tell labels that wait from rows.
LABEL_BYTES: Final = 31
# Versions and shadows that may have answered one key; more are evicted.
MAX_ROWS_PER_KEY: Final = 8
# Longest name of a cell, and longest text of a version.
NAME_BYTES: Final = 256
TEXT_BYTES: Final = 4096
MAX_VERSIONS: Final = 4096
DAY_SECONDS: Final = 86_400.0

# What became of a label:
#   joined     rows were pending under its key: they are handed out
#   parked     nothing is known under its key: it waits
#   duplicate  the same label was there
#   stale      a label that was observed later is there
#   corrected  another label was there: rows are handed out again, with what was there before
#   full       it could not be parked, because too many are
#   lost       the store failed
#   unknown    a receipt has no such row
Outcome = Literal["joined", "parked", "duplicate", "stale", "corrected", "full", "lost", "unknown"]
OUTCOMES: Final[tuple[Outcome, ...]] = (
    "joined",
    "parked",
    "duplicate",
    "stale",
    "corrected",
    "full",
    "lost",
    "unknown",
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one store. `bytes` is what rows take in it, keys included, as far as the store can tell.

    Full is when either of `rows` (joined ones included, as long as they are remembered) and `bytes` is reached: the
    oldest keys go where the store knows their order, else the new row does; both are evicted. `parked`: labels that
    wait, for `park_seconds`. `cells`: in all cohorts.
    """

    rows: int = 1_000_000
    bytes: int = 256 << 20
    age_seconds: float = 30 * DAY_SECONDS
    parked: int = 100_000
    park_seconds: float = DAY_SECONDS
    cells: int = 100_000

    def validate(self) -> list[str]:
        """Every problem."""
        problems = [
            f"{name}: {getattr(self, name)} (expected at least {least})"
            for name, least in (("rows", 1), ("bytes", 4096), ("parked", 0), ("cells", 0))
            if getattr(self, name) < least
        ]
        return problems + [
            f"{name}: {getattr(self, name)} (expected seconds from 1 to {366 * DAY_SECONDS:.0f})"
            for name in ("age_seconds", "park_seconds")
            if not 1 <= getattr(self, name) <= 366 * DAY_SECONDS
        ]


class Rows(NamedTuple):
    """Predictions: the key of each (`row.keys`), and their fields as one structured array of `row.ROW`."""

    keys: Sequence[bytes]
    values: RowArray


class Label(NamedTuple):
    """What turned out. `time`: when it was observed, unix seconds; a label replaces one of the same time or before."""

    key: bytes
    value: bytes
    time: float


class Released(NamedTuple):
    """A row that joined as it came, since its label was there. `row` is packed."""

    key: bytes
    row: bytes
    value: bytes
    time: float


class Taken(NamedTuple):
    """What became of one label; `rows`: all that answered the key, packed one behind the other.

    If corrected: `before` is the label that counted until now, of the same rows. What it gave is to be withdrawn.
    """

    outcome: Outcome
    rows: bytes = b""
    before: bytes = b""


class Cohort(NamedTuple):
    """What is kept of one hour of predictions. `until`: the end of a lease, 0 without; `settled`: released for good."""

    hour: int
    cells: Mapping[str, float]
    until: float = 0.0
    settled: bool = False


@dataclass(slots=True)
class Counts:
    """The ledger; all but `pending`, `parked_now` and `cells` only grow. In a shared store: of all its replicas.

    `lost` is of this process alone: rows, labels and cells whose fate is not known because the store failed, by
    reason. `parked` labels were put by, `released` of them met their row later: what is neither released nor
    waiting is an orphan. `evicted` rows were pending; joined ones that go are not counted.
    """

    predictions: int = 0
    joined: int = 0
    pending: int = 0
    expired: int = 0
    evicted: int = 0
    repeated: int = 0
    parked: int = 0
    released: int = 0
    refused_labels: int = 0
    refused_cells: int = 0
    held_bytes: int = 0

    @property
    def balanced(self) -> bool:
        """Whether every prediction is accounted for."""
        return self.predictions == self.joined + self.pending + self.expired + self.evicted


class Store(Protocol):
    """One store; `Guarded` puts a queue and a thread before it, so that nobody waits for it."""

    @property
    def name(self) -> str:
        """memory, sqlite or redis: a label value."""

    @property
    def lost(self) -> Mapping[str, int]:
        """Reason -> rows, labels and cells that this process lost since the store failed. Reasons are few and fixed."""

    def put(self, rows: Rows, now: float) -> list[Released]:
        """Keep them. A row older than `age_seconds` has expired; one from the future counts as of `now`.

        Raises ValueError, before anything is kept, for keys and rows that do not fit each other.
        """

    def take(self, labels: Sequence[Label], now: float) -> list[Taken]:
        """What became of each label, in order. Rows that are handed out are joined from here on.

        Raises ValueError, before anything is taken, for a key, value or time that no label can have.
        """

    def expire(self, now: float) -> None:
        """Forget what is older than its age; call it about once a minute. Others do it too where it is cheap."""

    def counts(self) -> Counts | None:
        """The ledger as it is; None if the store cannot be asked."""

    def learn(self, versions: Mapping[int, str]) -> None:
        """Keep what versions are called, for replicas that are handed rows of a version they never served."""

    def versions(self) -> Mapping[int, str]:
        """What was learned, by anybody; empty if the store cannot be asked."""

    def add_cells(self, hour: int, cells: Mapping[str, float], now: float) -> bool:
        """Add to the cells of a cohort: predictions of one hour (unix seconds / 3600, UTC). Negative ones withdraw.

        False, and nothing is added, if the cohort is settled or too old, or the store failed. A new cell for which
        there is no room, and one whose name is too long or whose value is no number, is refused and counted; the rest
        is added.
        """

    def cohorts(self) -> list[Cohort]:
        """All hours, oldest first, settled ones included, as long as they are kept: twice `age_seconds`."""

    def claim(self, hour: int, owner: str, until: float, now: float) -> Cohort | None:
        """The cohort, leased to `owner`; None if another has the lease, it is settled, or there is none.

        `until` is when the lease ends by itself, for an owner that has died.
        """

    def settle(self, hour: int, owner: str, now: float) -> bool:
        """Close the cohort for good; True for the one caller who may now count it, and has a lease that has not ended.

        Settle first, count afterwards: the other order could count it twice.
        """

    def close(self) -> None:
        """Let go of files and connections; safe twice."""
