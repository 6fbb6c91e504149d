"""What goes wrong on a game day here, and who must hear of it: one function per scene, in the order of SCENES.

A scene tells what it does, waits for what must arrive and checks that nothing else came to the pager. It leaves the
model healthy. AssertionError (NotReady among them) says what did not happen.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tests.e2e.processes import wait_until
from tests.gameday.stage import PATIENCE_SECONDS, Stage
from tests.gameday.traffic import HEALTHY, Mood

DOWN, FAST, SLOW, DRIFT = (
    f"Modeltap{name}" for name in ("ModelDown", "SloBurnFast", "SloBurnSlow", "FeatureDrift")
)
CONSEQUENCES = (FAST, SLOW, "ModeltapErrorRatioHigh", "ModeltapErrorCauseHigh", "ModeltapLatencyHigh")
T = TypeVar("T")
# Few requests with many rows: drift counts rows, and what fails later is a share of all requests.
# Afterwards more rows still, so that a day of drift and health mixed is soon healthy.
HEALED = Mood(pace_seconds=0.1, rows=160)
DRIFTED = Mood(pace_seconds=0.1, rows=40, people=0.65)
HALF = Mood(fails=2)
# 4.5 %: beyond three times the budget of 1 %, short of six times.
FEW = Mood(pace_seconds=0.02, fails=22)


def drift(stage: Stage) -> None:
    """A third of the people of each block group is missing: one ticket, and no page."""
    with only(stage, "ticket", DRIFT):
        stage.traffic.mood = DRIFTED
        ticket(stage, DRIFT)
    stage.traffic.mood = HEALED
    over(stage, "ticket", DRIFT)


def slow_burn(stage: Stage) -> None:
    """A request in 22 fails, and goes on failing: a ticket, and no page."""
    with only(stage, "ticket", SLOW):
        stage.traffic.mood = FEW
        ticket(stage, SLOW)
    stage.traffic.mood = HEALTHY


def fast_burn(stage: Stage) -> None:
    """Every other request fails: one page."""
    with only(stage, "page", FAST):
        stage.traffic.mood = HALF
        page(stage, FAST)
        stage.traffic.mood = HEALTHY
        over(stage, "page", FAST)


def outage(stage: Stage) -> None:
    """The model is killed: one page; what follows from it is inhibited, also once the model is back."""
    with only(stage, "page", DOWN):
        # A few failures among no others would be a burnt budget before three minutes without a probe are an outage.
        stage.traffic.pause()
        stage.server.kill()
        page(stage, DOWN)
        stage.traffic.mood = HEALTHY
        wait_until(lambda: inhibited(stage), "a consequence is inhibited", seconds=PATIENCE_SECONDS)
        stage.say(f"  inhibited: {', '.join(inhibited(stage))}")
        stage.server.start()
        over(stage, "page", DOWN)
        wait_until(
            lambda: FAST not in [each.name for each in stage.manager.held()],
            "the outage is forgotten",
            seconds=PATIENCE_SECONDS,
            progress=stage.manager.held,
        )


@contextmanager
def only(stage: Stage, way: str, alert: str) -> Iterator[None]:
    """Of all pages within the block none is of another alert; and of that alert exactly one comes this way."""
    before = {name: len(stage.inbox.found(name, status="firing")) for name in ("page", way)}
    yield
    pages = [each.alert for each in stage.inbox.found("page", status="firing")][before["page"] :]
    assert pages == ([alert] if way == "page" else []), f"pages: {pages}"
    came = [each.alert for each in stage.inbox.found(way, status="firing")][before[way] :]
    assert came.count(alert) == 1, f"{way}: {came}"


def page(stage: Stage, alert: str) -> None:
    told(stage, "page", "slack", alert)


def ticket(stage: Stage, alert: str) -> None:
    told(stage, "ticket", "mail", alert)


def told(stage: Stage, way: str, beside: str, alert: str) -> None:
    """It arrives both ways; the text for a person is shown."""
    began, known = time.time(), len(stage.inbox.found(way, alert, "firing"))
    arrived = stage.arrives(way, alert, "firing", known)
    stage.say(f"  {way} after {arrived.at - began:.1f} s: {alert}, {arrived.alerts} in the group")
    read = stage.arrives(beside, alert, "firing", known)
    stage.say("\n".join(f"  | {line}" for line in read.text.splitlines() if line.strip()))


def over(stage: Stage, way: str, alert: str) -> None:
    began, known = time.time(), len(stage.inbox.found(way, alert, "resolved"))
    arrived = stage.arrives(way, alert, "resolved", known)
    stage.say(f"  {way} resolved after {arrived.at - began:.1f} s: {alert}")


def inhibited(stage: Stage) -> list[str]:
    """Consequences that fire and are kept from everybody; a page among them, or there is nothing to show yet."""
    names = sorted(
        {each.name for each in stage.manager.held() if each.inhibited and each.name in CONSEQUENCES}
    )
    return names if FAST in names else []


SCENES: tuple[Callable[[Stage], None], ...] = (drift, slow_burn, fast_burn, outage)
# Those that need no long memory; drift and slow burns have a test of their own.
SHORT = (fast_burn, outage)


def play(stage: T, scene: Callable[[T], None], say: Callable[[str], None]) -> None:
    """One scene, with its title and how long it took."""
    say(f"{scene.__name__.replace('_', ' ')}: {scene.__doc__}")
    began = time.monotonic()
    scene(stage)
    say(f"  passed in {time.monotonic() - began:.0f} s")
