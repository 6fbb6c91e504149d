"""The kinds of events, and the page that tells them."""

from pathlib import Path

from exporter.analysis import events
from exporter.records.event import KINDS, Event

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text()


def test_the_page_has_every_kind() -> None:
    """Each with its severity, in the order of the table, and no other."""
    rows = [line.split(" | ")[:2] for line in PAGE.splitlines() if line.startswith("| `")]
    assert [(name.strip("| `"), severity) for name, severity in rows] == [
        (name, severity) for name, (severity, _) in KINDS.items()
    ]


def test_the_page_has_the_thresholds() -> None:
    """As the analysis has them."""
    for text in (
        f"PSI above {events.DRIFT_EFFECT} ",
        f"with {events.MIN_ROWS} rows",
        f"PSI below {events.DRIFT_EFFECT / 2},",
        f"| {events.DESYNCS} connections in {events.WITHIN_SECONDS:.0f} s",
        f"| {events.DROPS} exchanges in {events.WITHIN_SECONDS:.0f} s",
        f"for {events.QUIET_SECONDS:.0f} s",
    ):
        assert text in PAGE


def test_each_kind_has_a_sentence() -> None:
    """A capital letter, a full stop."""
    for name, (severity, text) in KINDS.items():
        one = Event(name, 1, {})
        assert (one.severity, one.text) == (severity, text)
        assert text[0].isupper() and text.endswith(".")
