"""Shared totals: exact counts in one memfd per data-plane worker, 64-bit slots, one writer, any number of readers.

They outlive a dead worker and a dead analysis: nothing is reset, so no exported counter goes back. Sums are integer
nanoseconds and bytes. Histograms keep two bucket arrays from the start: the configured bounds and base-2
exponential ones. An aligned 8-byte store is one machine store on the platforms that we support, so a reader sees
either the old or the new value of a slot, never a torn one.

Layout: header | scalar slots | connection slots | directory of label sets | one block of slots per label set.
"""

import mmap
import os
from bisect import bisect_left
from dataclasses import dataclass
from math import frexp
from typing import TYPE_CHECKING, Final

import msgspec

from exporter.records.catalogue import OVERHEAD_BUCKETS, SIZE_BUCKETS
from exporter.records.exchange import ERROR_TYPES, OTHER

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_LABEL_SETS: Final = 512
SCALE: Final = 3  # 8 buckets per doubling: relative error 4.3 %
_EXPONENT_LOW: Final = -20
_EXPONENT_HIGH: Final = 12  # 2^-20 s is about 1 us, 2^12 s is over an hour
EXPONENTIAL_SLOTS: Final = (_EXPONENT_HIGH - _EXPONENT_LOW) << SCALE
EXPONENTIAL_OFFSET = _EXPONENT_LOW << SCALE
_DIRECTORY_BYTES = 1 << 18
_OVERFLOW_BYTES = 128  # of those, kept for the two sets that are all `<other>`

# What one number tells. Appending is fine; the layout is private to one running process tree.
SCALARS = (
    *("started", "offered", "acknowledged", "unacknowledged", "queue_bytes", "sampling_millionths"),
    *("connections_open", "queue_length", "admission_limit", "loop_lag", "overhead_sum", "directory_used"),
)
DROP_REASONS = (
    *(
        "sampled",
        "queue_full",
        "cpu_budget",
        "analysis_lost",
        "analysis_down",
        "encode_failed",
        "worker_lost",
    ),
)
CAPTURE_REASONS = ("too_large", "capture_full", "stream_middle")
TRACE_OUTCOMES = ("root", "child", "unsampled", "malformed", "repeated", "limited")
CONNECTION_PROTOCOLS = ("http1", "h2c", "tls", "opaque", "upgraded", "none")
DESYNC_REASONS = (
    *(
        "malformed_head",
        "head_too_large",
        "bare_lf",
        "length_and_coding",
        "length_repeated",
        "length_invalid",
    ),
    *("coding_in_http10", "coding_unknown", "coding_without_body", "body_on_connect"),
    *("chunk_malformed", "line_too_long"),
    *("trailer_malformed", "trailer_framing", "after_close", "unsolicited_response", "pipeline_too_deep"),
    *("too_many_fields", "other_protocol", "follower_failed", "other"),
)
SHED_REASONS = ("queue_full", "queue_timeout")
TIMEOUT_REASONS = ("header", "idle", "half_closed", "write", "tunnel")
PAUSE_REASONS = ("max_connections", "descriptors")
TLS_REASONS = ("certificate", "timeout", "eof", "protocol")
# What became of asking for the usage of streams in a client's place.
USAGE_OUTCOMES = ("asked", "hidden", "not_whole", "untouchable", "rejected", "given_up")
CERTIFICATE_OUTCOMES = ("success", "failure")  # of reading them again
LATENCY_FAMILIES = ("duration", "time_to_first_byte", "client_wait", "queue_wait")
SIZE_FAMILIES = ("request_size", "response_size")


# The labels of a block: those of a finished exchange, and those that the head alone gives.
FINISHED_LABELS = ("model_name", "model_version", "operation", "protocol", "code")
IN_FLIGHT_LABELS = ("model_name", "operation", "protocol")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things lie, in slots. Made from the configured bounds; writer and reader must use equal ones."""

    latency_bounds: tuple[float, ...]

    @property
    def latency_slots(self) -> int:
        """One latency family of one block: explicit buckets, exponential buckets, sum."""
        return len(self.latency_bounds) + 1 + EXPONENTIAL_SLOTS + 1

    @property
    def size_slots(self) -> int:
        """One size family of one block: buckets, sum."""
        return len(SIZE_BUCKETS) + 2

    @property
    def block_slots(self) -> int:
        """One label set: latency families, size families, a slot per error type, one for in flight."""
        families = len(LATENCY_FAMILIES) * self.latency_slots + len(SIZE_FAMILIES) * self.size_slots
        return families + len(ERROR_TYPES) + 1

    @property
    def reasons_at(self) -> int:
        """First slot of the enumerated reasons."""
        return len(SCALARS)

    @property
    def connections_at(self) -> int:
        """First slot of the connection protocols: per protocol count, bytes in, bytes out, duration buckets, sum."""
        return self.reasons_at + sum(len(names) for names in REASONS.values())

    @property
    def connection_slots(self) -> int:
        """Slots per connection protocol."""
        return 3 + len(self.latency_bounds) + 2

    @property
    def overhead_at(self) -> int:
        """First slot of the overhead histogram."""
        return self.connections_at + len(CONNECTION_PROTOCOLS) * self.connection_slots

    @property
    def directory_at(self) -> int:
        """First slot of the directory of label sets."""
        return self.overhead_at + len(OVERHEAD_BUCKETS) + 1

    @property
    def blocks_at(self) -> int:
        """First slot of the first block."""
        return self.directory_at + _DIRECTORY_BYTES // 8

    @property
    def size(self) -> int:
        """Bytes of the whole memfd; pages that no label set uses are never allocated."""
        return (self.blocks_at + (MAX_LABEL_SETS + 1) * self.block_slots) * 8


# Enumerated counters: name of the group -> its reasons; slots follow each other in this order.
REASONS: dict[str, tuple[str, ...]] = {
    "dropped": DROP_REASONS,
    "captures": CAPTURE_REASONS,
    "capture_bytes": CAPTURE_REASONS,
    "trace": TRACE_OUTCOMES,
    "desync_request": DESYNC_REASONS,
    "desync_response": DESYNC_REASONS,
    "shed": SHED_REASONS,
    "timeouts": TIMEOUT_REASONS,
    "accept_pauses": PAUSE_REASONS,
    "usage": USAGE_OUTCOMES,
    "tls_listener": TLS_REASONS,
    "tls_upstream": TLS_REASONS,
    "certificates": CERTIFICATE_OUTCOMES,
}


def create(layout: Layout) -> int:
    """A new memfd of that layout; the caller owns the descriptor."""
    fd = os.memfd_create("modeltap-totals", os.MFD_CLOEXEC)
    os.ftruncate(fd, layout.size)
    return fd


def exponential_index(nanoseconds: int) -> int:
    """The slot of a duration among the exponential buckets; what is out of range falls into the first or last.

    Bucket i covers (2^(i/8), 2^((i+1)/8)] seconds with i counted from EXPONENTIAL_OFFSET.
    """
    if nanoseconds <= 0:
        return 0
    mantissa, exponent = frexp(nanoseconds / 1e9)
    index = ((exponent - 1 - _EXPONENT_LOW) << SCALE) + bisect_left(_MANTISSAS, mantissa) - 1
    return min(max(index, 0), EXPONENTIAL_SLOTS - 1)


# Upper bounds of the buckets within one doubling, for a mantissa in [0.5, 1).
_MANTISSAS: Final = tuple(2.0 ** (step / (1 << SCALE) - 1) for step in range(1 << SCALE))


class Writer:
    """The one writer of a memfd: a data-plane worker. Attaching again continues where the dead one stopped."""

    def __init__(self, fd: int, layout: Layout) -> None:
        self.layout = layout
        self._map = mmap.mmap(fd, layout.size)
        self.slots = memoryview(self._map).cast("Q")
        self._scalar = {name: index for index, name in enumerate(SCALARS)}
        self._reason = _reason_slots(layout)
        self._blocks: dict[tuple[str, ...], int] = {}
        self._sets: list[tuple[str, ...]] = []
        for labels in Reader(fd, layout).label_sets():
            self._remember(labels)
        self._clear_in_flight()

    def _remember(self, labels: tuple[str, ...]) -> int:
        at = self.layout.blocks_at + len(self._sets) * self.layout.block_slots
        self._sets.append(labels)
        self._blocks[labels] = at
        return at

    def _clear_in_flight(self) -> None:
        """A worker that died left requests in flight that nobody will finish, and exchanges that nobody will send."""
        for at in self._blocks.values():
            self.slots[at + self.layout.block_slots - 1] = 0
        # By difference, not from `unacknowledged`: it may have died between two stores of one step.
        settled = self.slots[self._scalar["acknowledged"]]
        settled += sum(self.slots[self._reason["dropped", reason]] for reason in DROP_REASONS)
        self.count("dropped", "worker_lost", max(0, self.slots[self._scalar["offered"]] - settled))
        for name in ("connections_open", "queue_length", "unacknowledged", "queue_bytes"):
            self.set(name, 0)

    def scalar(self, name: str) -> int:
        """The slot of a scalar, for code that bumps it often."""
        return self._scalar[name]

    def reason(self, group: str, reason: str) -> int:
        """The slot of an enumerated reason."""
        return self._reason[group, reason]

    def set(self, name: str, value: int) -> None:
        """Set a scalar."""
        self.slots[self._scalar[name]] = value

    def add(self, name: str, value: int) -> None:
        """Add to a scalar; the result stays at or above 0."""
        slot = self._scalar[name]
        self.slots[slot] = max(0, self.slots[slot] + value)

    def count(self, group: str, reason: str, value: int = 1) -> None:
        """Bump an enumerated counter; an unknown reason is counted under the group's last one."""
        slot = self._reason.get((group, reason))
        self.slots[slot if slot is not None else self._reason[group, REASONS[group][-1]]] += value

    def block(self, labels: tuple[str, ...]) -> int:
        """The first slot of the block of a label set; over the bound the block of `<other>`.

        Labels are values of FINISHED_LABELS, or of IN_FLIGHT_LABELS for those in flight.
        """
        at = self._blocks.get(labels)
        return at if at is not None else self._new_block(labels)

    def _new_block(self, labels: tuple[str, ...]) -> int:
        overflow = (OTHER,) * len(labels)
        entry = msgspec.msgpack.encode(labels)
        used = self.slots[self._scalar["directory_used"]]
        # Two places are kept for the overflow sets, one per kind. Labels that are `<other>` only in part count.
        full = len(self._sets) >= MAX_LABEL_SETS - 1
        if labels != overflow and (full or used + 4 + len(entry) > _DIRECTORY_BYTES - _OVERFLOW_BYTES):
            return self._overflow(labels, self.block(overflow))
        start = self.layout.directory_at * 8 + used
        self._map[start : start + 4 + len(entry)] = len(entry).to_bytes(4, "little") + entry
        # Published last: a reader never sees a half-written entry, whenever this process dies.
        self.set("directory_used", used + 4 + len(entry))
        return self._remember(labels)

    def _overflow(self, labels: tuple[str, ...], at: int) -> int:
        """Remember, up to a bound, where labels without a block of their own are counted."""
        if len(self._blocks) > 8 * MAX_LABEL_SETS:
            self._blocks = {known: self._blocks[known] for known in self._sets}
        self._blocks[labels] = at
        return at


def _reason_slots(layout: Layout) -> dict[tuple[str, str], int]:
    slots: dict[tuple[str, str], int] = {}
    at = layout.reasons_at
    for group, reasons in REASONS.items():
        for reason in reasons:
            slots[group, reason] = at
            at += 1
    return slots


class Reader:
    """Reads one worker's totals; never writes."""

    def __init__(self, fd: int, layout: Layout) -> None:
        self.layout = layout
        self._map = mmap.mmap(fd, layout.size, prot=mmap.PROT_READ)
        self._slots = memoryview(self._map).cast("Q")
        self._reason = _reason_slots(layout)
        self._sets: list[tuple[str, ...]] = []
        self._parsed = 0

    def scalar(self, name: str) -> int:
        """One scalar."""
        return self._slots[SCALARS.index(name)]

    def reasons(self, group: str) -> dict[str, int]:
        """All counters of an enumerated group."""
        return {reason: self._slots[self._reason[group, reason]] for reason in REASONS[group]}

    def label_sets(self) -> list[tuple[str, ...]]:
        """All label sets, in the order of their blocks; the list only grows."""
        start = self.layout.directory_at * 8
        used = self.scalar("directory_used")
        while self._parsed < used:
            at = start + self._parsed
            size = int.from_bytes(self._map[at : at + 4], "little")
            labels: list[str] = msgspec.msgpack.decode(self._map[at + 4 : at + 4 + size])
            self._sets.append(tuple(labels))
            self._parsed += 4 + size
        return self._sets

    def block(self, number: int) -> "NDArray[np.uint64]":
        """All slots of block `number`: a live view of shape (block_slots,)."""
        at = self._block(number)
        return self._array()[at : at + self.layout.block_slots]

    def in_flight(self, number: int) -> int:
        """Requests in flight of block `number`."""
        return self._slots[self._block(number) + self.layout.block_slots - 1]

    def connections(self, protocol: str) -> "NDArray[np.uint64]":
        """Ended connections: count, bytes received, bytes sent, duration buckets, duration sum in nanoseconds."""
        at = self.layout.connections_at + CONNECTION_PROTOCOLS.index(protocol) * self.layout.connection_slots
        return self._array()[at : at + self.layout.connection_slots]

    def overhead(self) -> "NDArray[np.uint64]":
        """Buckets of the overhead histogram."""
        return self._array()[self.layout.overhead_at : self.layout.overhead_at + len(OVERHEAD_BUCKETS) + 1]

    def _array(self) -> "NDArray[np.uint64]":
        import numpy as np  # only readers have it; the data plane only writes

        return np.frombuffer(self._map, np.uint64)

    def _block(self, number: int) -> int:
        return self.layout.blocks_at + number * self.layout.block_slots
