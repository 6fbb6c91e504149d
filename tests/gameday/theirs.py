"""A drill against a user's own set-up: what it has loaded, alerts put into its Alertmanager, a model that is stopped.

It changes nothing but what the user's own commands do: the alerts of the drill have the job `modeltap-gameday`, and end
by themselves. Whether a person's telephone rang nobody but the person can say; Alertmanager says what it delivered.
"""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from alert_rules.generate import FILES
from alert_rules.rules import PREFIX, Alert
from tests.e2e.monitoring import Prometheus
from tests.e2e.processes import wait_until
from tests.gameday.manager import Held, Manager

JOB = "modeltap-gameday"
DRILL_SECONDS = 300.0
ALERTS: dict[str, Alert] = {PREFIX + rule.name: rule for _, build in FILES for rule in build().alerts}
DOWN, CONSEQUENCE, TICKET = "ModeltapModelDown", "ModeltapErrorRatioHigh", "ModeltapDataMissing"


@dataclass(frozen=True, slots=True)
class Theirs:
    """Addresses, how long an alert may take, and commands that break things; "" asks a person to do it."""

    prometheus: Prometheus
    manager: Manager
    sidecar: str
    seconds: float
    commands: dict[str, str]
    say: Callable[[str], None]
    ask: Callable[[str], object]


def loaded(they: Theirs) -> None:
    """Prometheus scrapes the sidecar, has every alert and knows this Alertmanager."""
    names = {name for name, kind in they.prometheus.rules() if kind == "alerting"}
    absent = sorted(ALERTS.keys() - names)
    assert not absent, (
        f"Prometheus has no rules {', '.join(absent[:5])}; {len(absent)} of {len(ALERTS)} are absent"
    )
    managers = they.prometheus.alertmanagers()
    assert managers, "Prometheus knows no Alertmanager; expected one under alerting in its configuration"
    found = they.prometheus.by("max by (instance, job) (modeltap_build_info)", "instance", "job")
    wanted = they.sidecar.rpartition("//")[2].partition("/")[0]
    seen = sorted(instance for instance, _ in found)
    assert not wanted or wanted in seen, f"Prometheus has no series of the sidecar {wanted}; it has {seen}"
    assert found, "Prometheus has no series modeltap_build_info; is a sidecar scraped?"
    they.say(f"  {len(ALERTS)} alerts, {len(found)} sidecars, Alertmanager {', '.join(managers)}")


def routes(they: Theirs) -> None:
    """A page, its consequence and a ticket are put into Alertmanager: who gets them; the consequence is held back."""
    before = they.manager.sent()
    alerts = [_drilled(name) for name in (DOWN, CONSEQUENCE, TICKET)]
    began = time.monotonic()
    they.manager.put(alerts, DRILL_SECONDS)
    try:
        held = wait_until(lambda: _routed(they.manager), "Alertmanager has routed the drill", they.seconds)
        for each in held:
            state = "inhibited" if each.inhibited else f"to {', '.join(each.receivers)}"
            they.say(f"  {each.name} ({each.labels['severity']}): {state}")
        silent = {each.name for each in held if each.inhibited}
        assert silent == {CONSEQUENCE}, f"inhibited: {sorted(silent)}; expected {CONSEQUENCE} alone"
        ways = {each.name: each.receivers for each in held}
        assert ways[DOWN] != ways[TICKET], f"a page and a ticket go the same way: {', '.join(ways[DOWN])}"
        delivered = wait_until(
            lambda: _more(before, they.manager.sent()), "Alertmanager has delivered something", they.seconds
        )
        they.say(f"  delivered after {time.monotonic() - began:.0f} s: {delivered}")
    finally:
        they.manager.put(alerts, 0.0)


def outage(they: Theirs) -> None:
    """The model is stopped: ModeltapModelDown must reach Alertmanager, and leave it when the model is back."""
    began = _done(they, "down", "stop the model")
    held = wait_until(
        lambda: _active(they.manager, DOWN), f"{DOWN} is active", they.seconds, progress=they.manager.held
    )
    they.say(f"  {DOWN} after {time.monotonic() - began:.0f} s, to {', '.join(held[0].receivers)}")
    began = _done(they, "up", "start the model again")
    wait_until(
        lambda: not _active(they.manager, DOWN), f"{DOWN} is over", they.seconds, progress=they.manager.held
    )
    they.say(f"  over after {time.monotonic() - began:.0f} s")


SCENES: tuple[Callable[[Theirs], None], ...] = (loaded, routes, outage)


def _drilled(name: str) -> dict[str, dict[str, str]]:
    rule = ALERTS[name]
    labels = {
        "alertname": name,
        "severity": rule.severity,
        "job": JOB,
        "model_name": "drill",
        "model_version": "1",
    }
    told = f"A drill, begun at {datetime.now(UTC):%H:%M} UTC: nothing is wrong."
    return {"labels": labels, "annotations": {"summary": rule.summary, "description": told}}


def _routed(manager: Manager) -> list[Held]:
    """The three, as soon as each has a state."""
    held = sorted(manager.held(JOB), key=lambda each: each.name)
    return held if len(held) == 3 and all(each.state != "unprocessed" for each in held) else []


def _active(manager: Manager, name: str) -> list[Held]:
    return [each for each in manager.held() if each.name == name and each.labels.get("job") != JOB]


def _more(before: dict[str, float], now: dict[str, float]) -> str:
    """What was delivered since, "" if nothing."""
    grown = {name: value - before.get(name, 0.0) for name, value in now.items()}
    return ", ".join(f"{value:.0f} by {name}" for name, value in sorted(grown.items()) if value > 0)


def _done(they: Theirs, name: str, what: str) -> float:
    """A command of the user's, or the user; gives the time at which it was done."""
    command = they.commands.get(name, "")
    if command:
        they.say(f"  {command}")
        subprocess.run(command, shell=True, check=True)
    else:
        they.ask(f"  {what}, then press Enter ")
    return time.monotonic()
