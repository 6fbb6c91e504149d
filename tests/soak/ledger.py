"""What the clients know of every exchange that they began, and whether the sidecar's counts say the same.

Of an exchange that ended without one byte of an answer a client cannot know whether its request was ever read: it is
`unknown`, and may or may not have been counted. Everything else must be counted exactly, by protocol and code, and by
protocol and error.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.e2e.exposition import total

NO_CODE = "none"
REQUESTS = "model_request_duration_seconds_count"
ERRORS = "model_request_errors_total"
SENT, RECEIVED = "model_request_size_bytes_sum", "model_response_size_bytes_sum"
# The protocols of the route table, by what the traffic does.
CLEAN, STREAMS, FAULTY, OTHER = "open_inference_v2", "openai", "kserve_v1", "unknown"
PROTOCOLS = (CLEAN, STREAMS, FAULTY, OTHER)


@dataclass(slots=True)
class Ledger:
    """Counts by protocol; bytes as the clients sent and received them."""

    finished: Counter[tuple[str, str]] = field(default_factory=Counter)
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    local: Counter[str] = field(default_factory=Counter)  # answered by the sidecar itself
    sent: Counter[str] = field(default_factory=Counter)
    received: Counter[str] = field(default_factory=Counter)

    def done(self, protocol: str, code: int | str, error: str = "") -> None:
        """One exchange ended; without an error type, the code's own."""
        code = str(code)
        self.finished[protocol, code] += 1
        error = error or {"4": "4xx", "5": "5xx"}.get(code[0], "")
        if error:
            self.errors[protocol, error] += 1

    def moved(self, protocol: str, sent: int, received: int) -> None:
        """Bytes of whole exchanges, heads included."""
        self.sent[protocol] += sent
        self.received[protocol] += received

    @property
    def exchanges(self) -> int:
        """All that were begun and ended."""
        return self.finished.total() + self.unknown.total()

    def compare(self, values: Mapping[str, float], seen: int) -> list[str]:
        """Every difference from a scrape; `seen` is how many requests the faulty model read."""
        values = dict(values)
        problems = []
        for protocol in PROTOCOLS:
            problems += self._codes(values, protocol)
            problems += self._errors(values, protocol)
        counted = int(total(values, REQUESTS, protocol=FAULTY))
        known = seen + self.local[FAULTY]
        if counted < known:
            problems.append(
                f"{FAULTY}: {counted} counted, but the model read {seen} and {known - seen} were refused"
            )
        if not self.unknown[CLEAN] and not self.local[CLEAN]:
            for name, counter in ((SENT, self.sent), (RECEIVED, self.received)):
                found = int(total(values, name, protocol=CLEAN))
                if found != counter[CLEAN]:
                    problems.append(f"{CLEAN}: {name} is {found}, the clients have {counter[CLEAN]}")
        return problems

    def _codes(self, values: dict[str, float], protocol: str) -> list[str]:
        found = _labelled(values, REQUESTS, "code", protocol)
        ours = {code: count for (lane, code), count in self.finished.items() if lane == protocol}
        problems = []
        for code in sorted(found.keys() | ours.keys()):
            # What nobody can know ended without an answer: it has no code, if it was counted at all.
            slack = self.unknown[protocol] if code == NO_CODE else 0
            counted, known = found.get(code, 0), ours.get(code, 0)
            if not known <= counted <= known + slack:
                problems.append(
                    f"{protocol}, code {code}: {counted} counted, the clients have {known} and {slack} unknown"
                )
        return problems

    def _errors(self, values: dict[str, float], protocol: str) -> list[str]:
        found = _labelled(values, ERRORS, "error_type", protocol)
        ours = {error: count for (lane, error), count in self.errors.items() if lane == protocol}
        slack = self.unknown[protocol]
        problems = []
        for error in sorted(found.keys() | ours.keys()):
            counted, known = found.get(error, 0), ours.get(error, 0)
            if not known <= counted <= known + slack:
                problems.append(
                    f"{protocol}, error {error}: {counted} counted, the clients have {known} and {slack} unknown"
                )
        return problems


def books(values: Mapping[str, float]) -> list[str]:
    """What must add up in a scrape taken at rest: the queue's own ledger, nothing in flight, nobody connected."""
    values = dict(values)
    problems = []
    offered, acknowledged, dropped, open_ones = (
        int(total(values, name))
        for name in (
            "modeltap_records_offered_total",
            "modeltap_records_acknowledged_total",
            "modeltap_records_dropped_total",
            "modeltap_records_unacknowledged",
        )
    )
    if offered != acknowledged + dropped + open_ones:
        problems.append(
            f"{offered} offered, but {acknowledged} acknowledged + {dropped} dropped + {open_ones} on the way"
        )
    for name in ("modeltap_records_unacknowledged", "model_requests_in_flight", "model_connections_open"):
        if left := int(total(values, name)):
            problems.append(f"{name} is {left} at rest")
    return problems


def _labelled(values: Mapping[str, float], name: str, label: str, protocol: str) -> dict[str, int]:
    """Sums of one family by one label, for a protocol; zeros left out."""
    found: Counter[str] = Counter()
    for series, value in values.items():
        if series.partition("{")[0] == name and f'protocol="{protocol}"' in series:
            found[series.partition(f'{label}="')[2].partition('"')[0]] += int(value)
    return {key: count for key, count in found.items() if count}
