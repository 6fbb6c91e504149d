"""events.py: which counts and gauges are told, once each."""

import pytest

from exporter.analysis.events import DESYNCS, DRIFT_EFFECT, MAX_ALARMS, MIN_ROWS, QUIET_SECONDS, Events
from exporter.records import event
from exporter.records.event import Event
from exporter.records.sample import Sample

CELL = ("iris", "2", "", "age", "5m")
Told = list[Event]


@pytest.fixture
def told() -> Told:
    """What was told so far."""
    return []


@pytest.fixture
def events(told: Told) -> Events:
    """A fresh source."""
    return Events(told.append)


def gauges(value: float, critical: float = 0.01, rows: float = 1000, statistic: str = "psi") -> list[Sample]:
    """What a tick finds for one column."""
    column = (*CELL, statistic, "01234567", "live")
    return [
        Sample("model.window.rows", (*CELL, "live"), rows),
        Sample("model.drift", column, value),
        Sample("model.drift.critical_value", column, critical),
        Sample("model.window.mean", (*CELL, "live"), 3),
    ]


def test_only_a_change_of_version_is_told(events: Events, told: Told) -> None:
    """A model's first version is none."""
    events.learned({}, {"iris": "1"}, 1.0)
    events.learned({"iris": "1"}, {"iris": "2", "wine": "1"}, 2.5)
    assert told == [
        Event(
            event.VERSION_CHANGED,
            2_500_000_000,
            {"model.name": "iris", "model.version": "2", "model.version.previous": "1"},
        )
    ]


def test_drift_begins_and_ends_once(events: Events, told: Told) -> None:
    """Two ticks above begin it, one well below ends it; between the two thresholds nothing changes."""
    for value in (0.5, 0.02, 0.5, 0.5, 0.5, 0.08, 0.5, 0.04, 0.08):
        events.compared(gauges(value), 1.0)
    assert [(one.name, one.attributes["value"]) for one in told] == [
        (event.DRIFT_BEGAN, 0.5),
        (event.DRIFT_ENDED, 0.04),
    ]
    assert told[0].attributes == {
        "model.name": "iris",
        "model.version": "2",
        "feature": "age",
        "window": "5m",
        "statistic": "psi",
        "reference": "01234567",
        "role": "live",
        "value": 0.5,
    }


@pytest.mark.parametrize(
    "found",
    [
        gauges(DRIFT_EFFECT),
        gauges(0.5, critical=0.6),
        gauges(0.5, rows=MIN_ROWS - 1),
        gauges(5.0, statistic="wasserstein"),
    ],
    ids=["effect", "chance", "rows", "statistic"],
)
def test_what_is_no_drift(events: Events, told: Told, found: list[Sample]) -> None:
    """A small effect, what chance explains, few rows, and statistics without a threshold."""
    for _ in range(3):
        events.compared(found, 1.0)
    assert told == []


def test_a_column_that_is_gone_is_forgotten(events: Events, told: Told) -> None:
    """Its alarm ends without a word, and may begin anew."""
    for found in (gauges(0.5), gauges(0.5), [], gauges(0.5), gauges(0.5)):
        events.compared(found, 1.0)
    assert [one.name for one in told] == [event.DRIFT_BEGAN, event.DRIFT_BEGAN]


def test_alarms_are_bounded(events: Events, told: Told) -> None:
    """Columns over the bound are not told."""
    found = []
    for number in range(MAX_ALARMS + 2):
        cell = ("iris", "2", "", f"f{number}", "5m")
        found += [
            Sample("model.window.rows", (*cell, "live"), 1000),
            Sample("model.drift", (*cell, "psi", "0", "live"), 0.5),
        ]
    for _ in range(3):
        events.compared(found, 1.0)
    assert len(told) == MAX_ALARMS


def test_a_burst_is_told_at_its_begin_and_its_end(events: Events, told: Told) -> None:
    """However long it lasts; the reason is the most frequent one, the count is of the burst."""
    total = {"bare_lf": 0, "other": 3}
    for second in range(200):
        if 20 <= second < 60:
            total = {"bare_lf": total["bare_lf"] + 2, "other": total["other"] + 1}
        events.counted("desyncs", total, float(second))
    assert [(one.name, one.attributes["reason"]) for one in told] == [
        (event.DESYNC_BURST, "bare_lf"),
        (event.DESYNC_BURST_ENDED, "bare_lf"),
    ]
    assert told[1].attributes["count"] == 120
    assert told[1].time - told[0].time > QUIET_SECONDS * 1e9


def test_a_few_are_no_burst(events: Events, told: Told) -> None:
    """One every three seconds is the peculiarity of a client."""
    for second in range(300):
        events.counted("desyncs", {"other": second // 3}, float(second))
    events.counted("desyncs", {"other": 99 + DESYNCS - 1}, 400.0)
    assert told == []


def test_restarts(events: Events, told: Told) -> None:
    """The analysis tells at its start that it was started again, and later what else was."""
    events.restarted({("analysis", "memory"): 2, ("data_plane", "exit"): 1}, 1.0)
    events.restarted({("analysis", "memory"): 2, ("data_plane", "exit"): 2}, 2.0)
    events.restarted({("analysis", "memory"): 2, ("data_plane", "exit"): 2}, 3.0)
    assert [one.attributes for one in told] == [
        {"component": "analysis", "reason": "memory", "restarts": 2},
        {"component": "data_plane", "reason": "exit", "restarts": 2},
    ]


def test_dialects(events: Events, told: Told) -> None:
    """Off and on are told once."""
    for off in ([], ["openai"], ["openai"], []):
        events.switched_off(off, 1.0)
    assert [(one.name, one.attributes) for one in told] == [
        (event.DIALECT_OFF, {"model.protocol": "openai"}),
        (event.DIALECT_ON, {"model.protocol": "openai"}),
    ]


def test_reloads(events: Events, told: Told) -> None:
    """What is read again while the analysis runs, and what cannot be used."""
    events.reloaded({("profile", "success"): 3, ("profile", "failure"): 1}, 1.0)
    events.reloaded({("profile", "success"): 3, ("profile", "failure"): 2}, 2.0)
    events.reloaded({("profile", "success"): 4, ("profile", "failure"): 2}, 3.0)
    assert [(one.name, one.attributes) for one in told] == [
        (event.RELOAD_FAILED, {"kind": "profile"}),
        (event.RELOADED, {"kind": "profile"}),
    ]
