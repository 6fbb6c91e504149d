"""The drill against a set-up of one's own: what it says of good ones and of bad ones, with a real Alertmanager.

What Prometheus says is a table here; the scenes of test_paging.py ask a real one.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.processes import NotReady
from tests.gameday import theirs
from tests.gameday.inbox import Inbox, open_inbox
from tests.gameday.manager import Manager
from tests.gameday.stage import managing
from tests.gameday.theirs import ALERTS, DOWN, Theirs


class Told:
    """A Prometheus that says what it was told to say."""

    def __init__(self, names: set[str], managers: list[str], instances: list[str]) -> None:
        self._names, self._managers, self._instances = names, managers, instances

    def rules(self) -> list[tuple[str, str]]:
        return [(name, "alerting") for name in self._names]

    def alertmanagers(self) -> list[str]:
        return self._managers

    def by(self, expression: str, *labels: str) -> dict[tuple[str, ...], float]:
        return {(instance, "modeltap"): 1.0 for instance in self._instances}


@pytest.fixture(scope="module")
def inbox() -> Iterator[Inbox]:
    with open_inbox() as opened:
        yield opened


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory, inbox: Inbox) -> Iterator[Manager]:
    with managing(tmp_path_factory.mktemp("theirs"), inbox) as url:
        yield Manager(url)


def they(manager: Manager, said: list[str], prometheus: Any = None, **changes: Any) -> Theirs:
    """A user's set-up with all in order, but for the changes."""
    whole = prometheus or Told(set(ALERTS), ["http://am"], ["wine:9464"])
    settings = {"sidecar": "wine:9464", "seconds": 60.0, "commands": {}, "ask": said.append, **changes}
    return Theirs(whole, manager, say=said.append, **settings)


def test_the_drill_goes_the_shipped_ways(manager: Manager, inbox: Inbox) -> None:
    """A page and a ticket arrive at their receivers, the consequence at none; all of them say that it is a drill."""
    said: list[str] = []
    theirs.routes(they(manager, said))
    assert [line for line in said if "ModelDown" in line] == ["  ModeltapModelDown (critical): to page"]
    assert any("ErrorRatioHigh (warning): inhibited" in line for line in said)
    assert any("DataMissing (warning): to ticket" in line for line in said)
    assert [each.labels["job"] for each in inbox.found("page", DOWN, "firing")] == [theirs.JOB]
    assert inbox.found("ticket", theirs.CONSEQUENCE) == []


@pytest.mark.parametrize(
    ("prometheus", "expected"),
    [
        (Told(set(ALERTS) - {DOWN}, ["am"], ["wine:9464"]), f"no rules {DOWN}; 1 of"),
        (Told(set(ALERTS), [], ["wine:9464"]), "knows no Alertmanager"),
        (Told(set(ALERTS), ["am"], ["other:9464"]), "no series of the sidecar wine:9464; it has"),
    ],
)
def test_what_is_missing_is_named(manager: Manager, prometheus: Told, expected: str) -> None:
    """Rules, an Alertmanager or a sidecar that Prometheus lacks: which, and what was expected."""
    with pytest.raises(AssertionError, match=expected):
        theirs.loaded(they(manager, [], prometheus))


def test_an_outage_is_asked_for_and_waited_for(manager: Manager) -> None:
    """Without commands the user is asked; the alert arrives while the model is down, and is over after."""
    said: list[str] = []
    alert = {"labels": {"alertname": DOWN, "severity": "critical", "job": "wine"}, "annotations": {}}

    def answer(question: str) -> None:
        said.append(question)
        manager.put([alert], 600.0 if "stop" in question else 0.0)

    theirs.outage(they(manager, said, ask=answer))
    assert [line for line in said if "Enter" in line] == [
        "  stop the model, then press Enter ",
        "  start the model again, then press Enter ",
    ]
    assert any(line.endswith("to page") for line in said)


def test_an_alert_that_does_not_come_fails_the_drill(manager: Manager) -> None:
    """The user's command is run; what did not happen is told."""
    touched: list[str] = []
    with pytest.raises(NotReady, match=f"{DOWN} is active"):
        theirs.outage(they(manager, touched, seconds=0.2, commands={"down": "true"}))
    assert touched == ["  true"]
