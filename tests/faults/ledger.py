"""The ledger: what a scenario did, held exactly against what the sidecar says and what both ends have.

I1 bytes, I2 no duplication, I3 truth, I4 accounting, I5 telemetry, I6 liveness, I7 resources, I8 parity. Whatever was
not entered must not have been counted: every label set of every book is compared, not only those entered.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from tests.e2e.exposition import samples
from tests.faults.ends import End
from tests.faults.framings import Framing, Labels

Key = tuple[str, ...]
Entry = tuple[Labels, str, str]  # labels, code, error type
_TRAFFIC = ("model_name", "operation", "protocol")
# What is counted, by the metric and those of its labels that are compared; the rest is summed over.
BOOKS: dict[str, tuple[str, Key]] = {
    "exchanges": ("model_request_duration_seconds_count", (*_TRAFFIC, "code")),
    "sized": ("model_response_size_bytes_count", _TRAFFIC),
    "errors": ("model_request_errors_total", (*_TRAFFIC, "error_type")),
    "connections": ("model_connections_total", ("protocol",)),
    "timeouts": ("model_connection_timeouts_total", ("reason",)),
    "pauses": ("model_connection_accept_pauses_total", ("reason",)),
    "handshakes": ("model_connection_tls_failures_total", ("source", "reason")),
    "shed": ("model_requests_shed_total", ("reason",)),
    "desyncs": ("modeltap_desyncs_total", ("direction", "reason")),
    "captures": ("modeltap_captures_dropped_total", ("reason",)),
    "restarts": ("modeltap_restarts_total", ("component", "reason")),
    "relayed": ("model_connection_io_bytes_total", ("direction",)),
    "offered": ("modeltap_records_offered_total", ()),
    "acknowledged": ("modeltap_records_acknowledged_total", ()),
    "dropped": ("modeltap_records_dropped_total", ("reason",)),
}
GAUGES = {
    "in_flight": "model_requests_in_flight",
    "open": "model_connections_open",
    "unacknowledged": "modeltap_records_unacknowledged",
    "queued": "model_queue_length",
}
# Books of which the scenario need not say anything: I5 holds them against each other, I1 holds bytes against the ends.
_OPEN_BOOKS = frozenset(("acknowledged", "dropped", "relayed"))
_NOT_OFFERED = frozenset(("health", "metadata", "metrics", "management", "other"))
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_ADDED = re.compile(
    rb"( HTTP/1\.[01]\r\n)(?:traceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-01\r\n)?(?:x-request-id: [0-9a-f]{32}\r\n)?"
)
_WRONG = re.compile(r"Traceback|never retrieved|Exception ignored|was never awaited|ERROR asyncio|tap failed")


class Problem(AssertionError):
    """The ledger does not add up; each line is one difference."""


@dataclass(frozen=True)
class Snapshot:
    """Every book and gauge in one scrape."""

    books: Mapping[str, Counter[Key]]
    gauges: Mapping[str, float]

    @classmethod
    def of(cls, text: str) -> "Snapshot":
        """Read from the text format."""
        by_name: dict[str, list[tuple[dict[str, str], float]]] = defaultdict(list)
        for series, value in samples(text).items():
            name, _, labels = series.partition("{")
            by_name[name].append((dict(_LABEL.findall(labels)), value))
        books = {}
        for book, (name, kept) in BOOKS.items():
            counts: Counter[Key] = Counter()
            for labels, value in by_name[name]:
                counts[tuple(labels[label] for label in kept)] += int(value)
            books[book] = counts
        return cls(books, {gauge: sum(value for _, value in by_name[name]) for gauge, name in GAUGES.items()})

    def since(self, before: "Snapshot", book: str) -> Counter[Key]:
        """What was counted in between; only what is not 0."""
        return +Counter(
            {key: count - before.books[book][key] for key, count in self.books[book].items() if count}
        )

    @property
    def quiet(self) -> bool:
        """Nothing is under way."""
        return not any(self.gauges[gauge] for gauge in ("in_flight", "open", "unacknowledged", "queued"))


class Outcome(NamedTuple):
    """What a client has in the end."""

    received: bytes
    over: str


class Ledger:
    """Enter what was done, then ask. Safe to enter from any number of scenarios of one loop."""

    def __init__(self) -> None:
        self._books: dict[str, Counter[Key]] = defaultdict(Counter)
        self._either: list[tuple[Entry | None, ...]] = []
        self._at_least: dict[str, Counter[Key]] = defaultdict(Counter)
        self._any_of: dict[str, int] = {}
        self._free: set[str] = set()

    # ---------------------------------------------------------------- entries

    def exchange(self, labels: Labels, code: str = "200", error: str = "", times: int = 1) -> None:
        """One request whose head was complete; an error code is an error of its own class."""
        error = error or {"4": "4xx", "5": "5xx"}.get(code[0], "")
        self._books["exchanges"][*labels.key, code] += times
        self._books["sized"][labels.key] += times
        if error:
            self._books["errors"][*labels.key, error] += times
        if labels.operation not in _NOT_OFFERED:
            self._books["offered"][()] += times

    def either(self, *entries: Entry | None) -> None:
        """One request that ended in one of these ways, which a race decides; None: it was never seen."""
        self._either.append(entries)

    def connection(self, protocol: str = "http1", times: int = 1) -> None:
        """One client connection."""
        self._books["connections"][(protocol,)] += times

    def entry(self, book: str, *key: str, times: int = 1) -> None:
        """Anything else that must be counted exactly."""
        self._books[book][key] += times

    def at_least(self, book: str, *key: str, times: int = 1) -> None:
        """Something that must be counted so often or more."""
        self._at_least[book][key] += times

    def free(self, *books: str) -> None:
        """Say nothing of these books: what is counted there is not for the row to know."""
        self._free.update(books)

    def some_of(self, book: str, total: int) -> None:
        """So many in all, spread over keys as it comes."""
        self._any_of[book] = total

    # ---------------------------------------------------------------- I1, I2, I3, I8

    @staticmethod
    def carried(client: End, model: End, edited: bool = True, whole: bool = False) -> None:
        """I1: each end has what the other sent, or the beginning of it; all of it if `whole`."""
        arrived = undone(bytes(model.received)) if edited else bytes(model.received)
        for way, sent, got in (
            ("to the model", bytes(client.outgoing), arrived),
            ("to the client", bytes(model.outgoing), bytes(client.received)),
        ):
            expected = sent if whole else sent[: len(got)]
            if sha256(expected).digest() != sha256(got).digest():
                raise Problem(f"I1: bytes {way} differ{_difference(expected, got)}")

    @staticmethod
    def once(seen: Counter[str], sent: Iterable[str]) -> None:
        """I2: no request reached the model twice, and none that nobody sent."""
        twice = {request: count for request, count in seen.items() if count > 1}
        if twice:
            raise Problem(f"I2: requests that reached the model more than once: {twice}")
        if strange := set(seen) - set(sent):
            raise Problem(f"I2: requests that nobody sent: {strange}")

    @staticmethod
    def truth(framing: Framing, got: Outcome, said: Outcome) -> None:
        """I3: an answer looks complete if and only if what the model said and how it ended was complete."""
        if framing.complete(*got) != framing.complete(*said):
            raise Problem(
                f"I3: {framing.name}: the client takes for whole what was cut, or the reverse: {got} from {said}"
            )

    @staticmethod
    def same(through: Outcome, direct: Outcome) -> None:
        """I8: a client has the same with the sidecar as without."""
        if through != direct:
            differ = _difference(direct.received, through.received)
            raise Problem(
                f"I8: through the sidecar {through.over!r}, without it {direct.over!r}; bytes{differ}"
            )

    # ---------------------------------------------------------------- I4, I5

    def problems(self, before: Snapshot, after: Snapshot) -> list[str]:
        """I4 and I5: every difference between what was entered and what was counted."""
        found = []
        for book in BOOKS:
            counted = after.since(before, book)
            if book in self._free or (book in _OPEN_BOOKS and not self._books[book]):
                continue
            if book in self._any_of:
                if counted.total() != self._any_of[book]:
                    found.append(f"{book}: {dict(counted)}, expected {self._any_of[book]} in all")
                continue
            found += self._compare(book, counted)
        found += self._choices(before, after)
        found += _telemetry(before, after)
        return found

    def _compare(self, book: str, counted: Counter[Key]) -> list[str]:
        expected, least = self._books[book], self._at_least[book]
        found = []
        for key in sorted(counted.keys() | expected.keys() | least.keys()):
            count, free = counted[key] - expected[key], book in ("exchanges", "sized", "errors", "offered")
            if least[key]:
                if count < least[key]:
                    found.append(f"{book} {key}: counted {counted[key]}, expected {least[key]} or more")
            elif count < 0 or (count and not (free and self._either)):
                found.append(f"{book} {key}: counted {counted[key]}, expected {expected[key]}")
        return found

    def _choices(self, before: Snapshot, after: Snapshot) -> list[str]:
        """What is left over belongs to the choices: none outside of them, and as many as there are."""
        if not self._either:
            return []
        left = {
            book: after.since(before, book) - self._books[book] for book in ("exchanges", "sized", "errors")
        }
        # Each choice may make one of its own true, so many choices so many.
        chosen = [[entry for entry in choice if entry is not None] for choice in self._either]
        codes = Counter(key for one in chosen for key in {(*labels.key, code) for labels, code, _ in one})
        errors = Counter(
            key for one in chosen for key in {(*labels.key, kind) for labels, _, kind in one if kind}
        )
        must = sum(None not in choice for choice in self._either)
        total = left["exchanges"].total()
        found = []
        if not must <= total <= len(self._either):
            found.append(f"exchanges: {total} by choice, expected {must} to {len(self._either)}")
        if left["sized"].total() != total:
            found.append(f"sized: {left['sized'].total()} by choice, expected {total}")
        found += [
            f"exchanges beyond any choice: {dict(extra)}" for extra in [left["exchanges"] - codes] if extra
        ]
        found += [f"errors beyond any choice: {dict(extra)}" for extra in [left["errors"] - errors] if extra]
        return found


def _telemetry(before: Snapshot, after: Snapshot) -> list[str]:
    """I5: offered = acknowledged + dropped + unacknowledged, now and since."""
    offered, acknowledged, dropped = (
        after.books[book].total() for book in ("offered", "acknowledged", "dropped")
    )
    unacknowledged = int(after.gauges["unacknowledged"])
    if offered == acknowledged + dropped + unacknowledged:
        return []
    return [
        f"I5: offered {offered} is not {acknowledged} acknowledged + {dropped} dropped + {unacknowledged} under way"
    ]


def undone(received: bytes) -> bytes:
    """What the model received, without the lines that the sidecar adds."""
    return _ADDED.sub(rb"\1", received)


def wrong_words(log: str) -> list[str]:
    """I7: lines of a log that no fault may bring about."""
    return [line for line in log.splitlines() if _WRONG.search(line)]


def _difference(expected: bytes, got: bytes) -> str:
    at = next((i for i, (a, b) in enumerate(zip(expected, got, strict=False)) if a != b), None)
    at = min(len(expected), len(got)) if at is None else at
    return (
        f" from byte {at} (of {len(expected)}, got {len(got)}): "
        f"expected {expected[at : at + 60]!r}, got {got[at : at + 60]!r}"
    )
