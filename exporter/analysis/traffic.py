"""Shared totals of all workers -> Samples of traffic and of the sidecar itself. Reads; keeps no count of its own.

Invariant: what is exported is sums of slots that never go down, so no counter and no bucket goes back.
"""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from exporter.records.catalogue import OVERHEAD_BUCKETS, SIZE_BUCKETS
from exporter.records.exchange import ERROR_TYPES
from exporter.records.sample import Exemplar, Exponential, Histogram, Sample
from exporter.records.totals import (
    CAPTURE_REASONS,
    CERTIFICATE_OUTCOMES,
    CONNECTION_PROTOCOLS,
    DROP_REASONS,
    EXPONENTIAL_OFFSET,
    EXPONENTIAL_SLOTS,
    FINISHED_LABELS,
    LATENCY_FAMILIES,
    PAUSE_REASONS,
    SCALE,
    SHED_REASONS,
    SIZE_FAMILIES,
    TIMEOUT_REASONS,
    TLS_REASONS,
    TRACE_OUTCOMES,
    USAGE_OUTCOMES,
    Layout,
    Reader,
)

Counts = NDArray[np.uint64]
Exemplars = Mapping[tuple[str, ...], Mapping[int, Exemplar]]
_LATENCY_NAMES = {
    "duration": "model.request.duration",
    "time_to_first_byte": "model.request.time_to_first_byte",
    "client_wait": "model.client.wait",
    "queue_wait": "model.queue.wait",
}
_SIZE_NAMES = {"request_size": "model.request.size", "response_size": "model.response.size"}


class Traffic:
    """`fds` are the memfds of the workers, all of one layout.

    `samples` is not for two threads at once.
    """

    def __init__(self, fds: Iterable[int], layout: Layout) -> None:
        self._layout = layout
        self._readers = [Reader(fd, layout) for fd in fds]

    @property
    def shape(self) -> tuple[int, ...]:
        """Changes when there is a label set more; any thread."""
        return tuple(reader.scalar("directory_used") for reader in self._readers)

    def created(self) -> float:
        """Unix seconds at which the first worker began to count; 0 if none has."""
        started = [reader.scalar("started") for reader in self._readers]
        return min([value for value in started if value], default=0) / 1e9

    def body_bytes(self) -> tuple[int, int]:
        """Of all exchanges, and of the bodies that were too large to be kept."""
        start, width = len(LATENCY_FAMILIES) * self._layout.latency_slots, self._layout.size_slots
        ends = [start + (index + 1) * width - 1 for index in range(len(SIZE_FAMILIES))]
        finished, _ = self._blocks()
        passed = sum(int(block[end]) for block in finished.values() for end in ends)
        return passed, self._reasons("capture_bytes", ("too_large",))["too_large"]

    def troubles(self) -> dict[str, dict[str, int]]:
        """Desyncs and dropped exchanges so far, by reason; cheap."""
        found = {"drops": self._reasons("dropped", DROP_REASONS), "desyncs": {}}
        for group in ("desync_request", "desync_response"):
            for reason, count in self._reasons(group, self._readers[0].reasons(group)).items():
                found["desyncs"][reason] = found["desyncs"].get(reason, 0) + count
        return found

    def reloads(self) -> dict[tuple[str, str], int]:
        """How often workers read certificates again, by kind and outcome."""
        found = self._reasons("certificates", CERTIFICATE_OUTCOMES)
        return {("certificate", outcome): count for outcome, count in found.items()}

    def samples(self, exemplars: Exemplars) -> Iterator[Sample]:
        """All of them, families together."""
        finished, in_flight = self._blocks()
        created = self.created()
        yield from self._latencies(finished, created, exemplars)
        yield from self._sizes(finished, created)
        yield from self._errors(finished, created)
        for key, count in sorted(in_flight.items()):
            yield Sample("model.requests.in_flight", key, count)
        if self._limited():
            yield Sample("model.queue.length", ("admission",), self._scalar("queue_length"))
            for reason, count in self._reasons("shed", SHED_REASONS).items():
                yield Sample("model.requests.shed", (reason,), count, created)
        yield from self._connections(created)
        yield from self._own(created)

    def _blocks(self) -> tuple[dict[tuple[str, ...], Counts], dict[tuple[str, ...], int]]:
        """Summed over workers: slots of finished label sets, and in-flight counts."""
        finished: dict[tuple[str, ...], Counts] = {}
        in_flight: dict[tuple[str, ...], int] = {}
        for reader in self._readers:
            for number, labels in enumerate(reader.label_sets()):
                if len(labels) == len(FINISHED_LABELS):
                    block = reader.block(number)
                    finished[labels] = finished[labels] + block if labels in finished else block.copy()
                else:
                    in_flight[labels] = in_flight.get(labels, 0) + reader.in_flight(number)
        return finished, in_flight

    def _limited(self) -> bool:
        """Whether there is an admission limit now."""
        return self._scalar("admission_limit") > 0

    def _scalar(self, name: str) -> int:
        return sum(reader.scalar(name) for reader in self._readers)

    def _reasons(self, group: str, reasons: Iterable[str]) -> dict[str, int]:
        found = [reader.reasons(group) for reader in self._readers]
        return {reason: sum(one[reason] for one in found) for reason in reasons}

    def _latencies(
        self, finished: dict[tuple[str, ...], Counts], created: float, exemplars: Exemplars
    ) -> Iterator[Sample]:
        width = self._layout.latency_slots
        for index, family in enumerate(LATENCY_FAMILIES):
            if family == "queue_wait" and not self._limited():
                continue
            cells = slice(index * width, (index + 1) * width)
            series: dict[tuple[str, ...], Counts] = {}
            for labels, block in finished.items():
                key = labels if family == "duration" else labels[:4]
                series[key] = series[key] + block[cells] if key in series else block[cells]
            for key, counts in series.items():
                found = exemplars.get(key, {}) if family == "duration" else {}
                value = self._latency(counts, found)
                yield Sample(_LATENCY_NAMES[family], key, value, created)

    def _latency(self, counts: Counts, exemplars: Mapping[int, Exemplar]) -> Histogram:
        bounds = self._layout.latency_bounds
        explicit = counts[: len(bounds) + 1].tolist()
        exponential = counts[len(bounds) + 1 : len(bounds) + 1 + EXPONENTIAL_SLOTS]
        used = np.flatnonzero(exponential)
        first, last = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 0)
        found = Exponential(
            SCALE, 0, 0.0, EXPONENTIAL_OFFSET + first, tuple(exponential[first:last].tolist())
        )
        # An exchange whose labels overflowed is counted elsewhere: its exemplar would stand in an empty bucket.
        places = (
            tuple([exemplars.get(i) if count else None for i, count in enumerate(explicit)])
            if exemplars
            else ()
        )
        return Histogram(bounds, tuple(explicit), int(counts[-1]) / 1e9, found, places)

    def _sizes(self, finished: dict[tuple[str, ...], Counts], created: float) -> Iterator[Sample]:
        start = len(LATENCY_FAMILIES) * self._layout.latency_slots
        width = self._layout.size_slots
        for index, family in enumerate(SIZE_FAMILIES):
            cells = slice(start + index * width, start + (index + 1) * width)
            for key, counts in _by_traffic(finished, cells).items():
                value = Histogram(SIZE_BUCKETS, tuple(counts[:-1].tolist()), int(counts[-1]))
                yield Sample(_SIZE_NAMES[family], key, value, created)

    def _errors(self, finished: dict[tuple[str, ...], Counts], created: float) -> Iterator[Sample]:
        end = self._layout.block_slots - 1
        for key, counts in _by_traffic(finished, slice(end - len(ERROR_TYPES), end)).items():
            for kind, count in zip(ERROR_TYPES, counts.tolist(), strict=True):
                yield Sample("model.request.errors", (*key, kind), count, created)

    def _connections(self, created: float) -> Iterator[Sample]:
        yield Sample("model.connections.open", (), self._scalar("connections_open"))
        found = {
            protocol: np.sum([reader.connections(protocol) for reader in self._readers], axis=0)
            for protocol in CONNECTION_PROTOCOLS
        }
        for protocol, cells in found.items():
            yield Sample("model.connections", (protocol,), int(cells[0]), created)
        for protocol, cells in found.items():
            value = Histogram(self._layout.latency_bounds, tuple(cells[3:-1].tolist()), int(cells[-1]) / 1e9)
            yield Sample("model.connection.duration", (protocol,), value, created)
        for protocol, cells in found.items():
            yield Sample("model.connection.io", (protocol, "receive"), int(cells[1]), created)
            yield Sample("model.connection.io", (protocol, "transmit"), int(cells[2]), created)
        for reason, count in self._reasons("timeouts", TIMEOUT_REASONS).items():
            yield Sample("model.connection.timeouts", (reason,), count, created)
        for reason, count in self._reasons("accept_pauses", PAUSE_REASONS).items():
            yield Sample("model.connection.accept_pauses", (reason,), count, created)
        for source in ("listener", "upstream"):
            for reason, count in self._reasons(f"tls_{source}", TLS_REASONS).items():
                yield Sample("model.connection.tls_failures", (source, reason), count, created)

    def _own(self, created: float) -> Iterator[Sample]:
        overhead = np.sum([reader.overhead() for reader in self._readers], axis=0)
        value = Histogram(OVERHEAD_BUCKETS, tuple(overhead.tolist()), self._scalar("overhead_sum") / 1e9)
        yield Sample("modeltap.overhead", (), value, created)
        lag = max((reader.scalar("loop_lag") for reader in self._readers), default=0)
        yield Sample("modeltap.event_loop.lag", ("data_plane",), lag / 1e9)
        yield Sample("modeltap.records.offered", (), self._scalar("offered"), created)
        yield Sample("modeltap.records.acknowledged", (), self._scalar("acknowledged"), created)
        for reason, count in self._reasons("dropped", DROP_REASONS).items():
            yield Sample("modeltap.records.dropped", (reason,), count, created)
        yield Sample("modeltap.records.unacknowledged", (), self._scalar("unacknowledged"))
        yield Sample("modeltap.queue.usage", (), self._scalar("queue_bytes"))
        for reason, count in self._reasons("captures", CAPTURE_REASONS).items():
            yield Sample("modeltap.captures.dropped", (reason,), count, created)
        for reason, count in self._reasons("capture_bytes", CAPTURE_REASONS).items():
            yield Sample("modeltap.captures.dropped.size", (reason,), count, created)
        rates = [reader.scalar("sampling_millionths") for reader in self._readers]
        yield Sample("modeltap.sampling.ratio", (), min(rates, default=0) / 1e6)
        for direction in ("request", "response"):
            group = f"desync_{direction}"
            for reason, count in self._reasons(group, self._readers[0].reasons(group)).items():
                yield Sample("modeltap.desyncs", (direction, reason), count, created)
        for outcome, count in self._reasons("usage", USAGE_OUTCOMES).items():
            yield Sample("modeltap.usage.requests", (outcome,), count, created)
        for outcome, count in self._reasons("trace", TRACE_OUTCOMES).items():
            yield Sample("modeltap.trace.contexts", (outcome,), count, created)


def _by_traffic(finished: dict[tuple[str, ...], Counts], cells: slice) -> dict[tuple[str, ...], Counts]:
    """Those cells summed over codes."""
    series: dict[tuple[str, ...], Counts] = {}
    for labels, block in finished.items():
        key = labels[:4]
        series[key] = series[key] + block[cells] if key in series else block[cells]
    return series
