"""The demo's last words: what was sent and what was counted, errors on both sides, drift, the largest p99.

It only adds up what it is given. Invariant: the sidecar's figures come from its `/metrics`, the client's from
its own Tally, and neither fills in for the other.
"""

from collections import Counter
from dataclasses import dataclass, field

from sklearn.metrics import roc_auc_score

from exporter.demo.frame import Drift, Expected
from exporter.demo.traffic import Tally
from exporter.demo.view import counts, drift_lines, expected_lines


@dataclass(slots=True)
class PhaseReport:
    """One phase: what the client saw, and the drift that the sidecar showed at its end."""

    name: str
    tally: Tally = field(default_factory=Tally)
    drift: list[Drift] = field(default_factory=list)
    expected: Expected | None = None


@dataclass(slots=True)
class Summary:
    """Filled while the demo runs; `counted` and `sidecar_errors` are the sidecar's, None if it never told.

    A phase that begins again replaces its last report; of that only the counts are kept, so that a demo
    without an end stays as large as one cycle.
    """

    phases: dict[str, PhaseReport] = field(default_factory=dict)
    sent_before: int = 0
    errors_before: Counter[str] = field(default_factory=Counter)
    counted: float | None = None
    sidecar_errors: dict[str, float] = field(default_factory=dict)
    largest_p99: float | None = None

    def begin(self, name: str) -> PhaseReport:
        """The report to fill for the phase that begins."""
        if name in self.phases:
            self.sent_before += self.phases[name].tally.sent
            self.errors_before.update(self.phases[name].tally.errors)
        self.phases[name] = PhaseReport(name)
        return self.phases[name]

    @property
    def sent(self) -> int:
        """Requests that the client sent."""
        return self.sent_before + sum(phase.tally.sent for phase in self.phases.values())

    @property
    def client_errors(self) -> dict[str, int]:
        """Failures that the client saw, by type."""
        return dict(sum((Counter(phase.tally.errors) for phase in self.phases.values()), self.errors_before))

    @property
    def agrees(self) -> bool:
        """Whether the sidecar counted as many requests as were sent."""
        return self.counted == self.sent

    def see_p99(self, seconds: float | None) -> None:
        """Remember the largest."""
        if seconds is not None and seconds > (self.largest_p99 or 0.0):
            self.largest_p99 = seconds

    def text(self) -> str:
        """The summary as it is printed."""
        counted = "unknown" if self.counted is None else f"{self.counted:.0f}"
        p99 = "unknown" if self.largest_p99 is None else f"{1000 * self.largest_p99:.0f} ms"
        verdict = "equal" if self.agrees else "NOT equal"
        lines = [
            "",
            f"requests sent {self.sent}, counted by the sidecar {counted}: {verdict}",
            f"errors seen by the client: {counts(self.client_errors)}",
            f"errors seen by the sidecar: {counts({k: v for k, v in self.sidecar_errors.items() if v})}",
            f"largest p99 of five seconds, by the sidecar: {p99}",
        ]
        for phase in self.phases.values():
            lines += ["", f"at the end of the phase {phase.name}: {_quality(phase.tally)}"]
            lines += drift_lines(phase.drift)
            lines += expected_lines(phase.expected)
        return "\n".join(lines)


def area_under_curve(tally: Tally) -> float | None:
    """ROC AUC of the answered rows (0..1); None unless both labels are among them."""
    if len(set(tally.labels)) < 2:
        return None
    return float(roc_auc_score(tally.labels, tally.probabilities))


def _quality(tally: Tally) -> str:
    known = area_under_curve(tally)
    auc = "unknown" if known is None else f"{known:.3f}"
    months = f", rows of {min(tally.months)} to {max(tally.months)}" if tally.months else ""
    return f"{tally.sent} requests, {tally.rows} rows{months}, AUC by the true labels {auc}"
