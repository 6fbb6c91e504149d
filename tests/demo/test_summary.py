"""The summary's arithmetic."""

import pytest

from exporter.demo.frame import Drift, Expected
from exporter.demo.summary import PhaseReport, Summary, area_under_curve
from exporter.demo.traffic import Tally


def filled(report: PhaseReport, sent: int, **outcomes: int) -> None:
    """Put counts into a phase's report."""
    report.tally.sent = sent
    report.tally.outcomes.update(outcomes)


def test_phases_are_added_up() -> None:
    """Requests and errors of all phases are summed, errors by type, successes left out."""
    summary = Summary()
    filled(summary.begin("healthy"), 10, ok=10)
    filled(summary.begin("failing"), 9, ok=5, reset=3, **{"5xx": 1})
    assert (summary.sent, summary.client_errors) == (19, {"reset": 3, "5xx": 1})


def test_a_phase_that_begins_again_keeps_its_counts() -> None:
    """A second cycle replaces a phase's report and loses none of its counts."""
    summary = Summary()
    filled(summary.begin("failing"), 5, ok=3, reset=2)
    filled(summary.begin("failing"), 4, ok=3, reset=1)
    assert len(summary.phases) == 1
    assert (summary.sent, summary.client_errors) == (9, {"reset": 3})


@pytest.mark.parametrize(
    ("counted", "verdict"), [(3.0, "3: equal"), (2.0, "2: NOT equal"), (None, "unknown: NOT")]
)
def test_the_sidecars_count_is_held_against_what_was_sent(counted: float | None, verdict: str) -> None:
    """The text says whether the sidecar counted as many requests as were sent, or that it never told."""
    summary = Summary(counted=counted)
    filled(summary.begin("healthy"), 3, ok=3)
    assert f"requests sent 3, counted by the sidecar {verdict}" in summary.text()


def test_the_text_tells_errors_of_both_sides_drift_and_the_largest_p99() -> None:
    """Each side's errors, the drift at the end of each phase and the largest p99 are in the text."""
    summary = Summary(sidecar_errors={"reset": 2.0, "timeout": 0.0})
    report = summary.begin("drifting")
    filled(report, 2, reset=2)
    report.drift = [Drift("MedInc", False, "5m", 0.31, 0.01, 0.04)]
    report.expected = Expected("5m", 0.9114, 0.88, 0.94)
    for seconds in (0.004, None, 0.25, 0.1):
        summary.see_p99(seconds)
    text = summary.text()
    assert "seen by the client: reset 2" in text
    assert "seen by the sidecar: reset 2\n" in text
    assert "p99 of five seconds, by the sidecar: 250 ms" in text
    assert "MedInc" in text.split("at the end of the phase drifting")[1]
    assert text.endswith("AUC to expect of window 5m: 0.911 (0.880 to 0.940)")


def test_area_under_curve_needs_both_labels() -> None:
    """The AUC of perfectly ranked rows is 1; with one label only it is not known."""
    assert area_under_curve(Tally(probabilities=[0.1, 0.4, 0.9], labels=[0, 0, 1])) == 1.0
    assert area_under_curve(Tally(probabilities=[0.1, 0.4], labels=[0, 0])) is None
