"""Versions over time: changes, rollbacks, deployments and their one outcome."""

from typing import Any

from exporter.analysis.history import KeptModel
from exporter.analysis.in_use import spoken, versions
from exporter.analysis.series import Key
from exporter.analysis.versions import MAX_MODELS, MAX_PAIRS, MAX_SEEN, Versions
from exporter.decode.pushed import NAME as PUSHED
from exporter.records import event

STABLE, READY = 100.0, 300.0


class History:
    """Versions told one after another, and every event."""

    def __init__(self) -> None:
        self.versions = Versions(STABLE, READY, 1.0)
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.versions.begins(0.0)

    def second(self, now: float, version: str = "", up: bool = True, reason: str = "refused") -> None:
        """One look: what answers, and whether it is up."""
        self.versions.health(up, reason, now)
        told = {"iris": version} if version else {}
        for one in (*self.versions.learned(told, now), *self.versions.tick(now)):
            assert one.time == int(now * 1e9)
            self.events.append((one.name, one.attributes))

    def counts(self, family: str) -> dict[tuple[str, ...], float]:
        """Those that are not 0."""
        found = {one.labels: one.value for one in self.versions.samples() if one.name == family}
        return {labels: value for labels, value in found.items() if value}  # type: ignore[misc]

    @property
    def outcomes(self) -> dict[tuple[str, ...], float]:
        return self.counts("model.deployments")


def test_a_version_becomes_stable_once() -> None:
    """In use and up for long enough; every outcome existed at 0 before."""
    history = History()
    history.second(10, "1")
    labels = {one.labels for one in history.versions.samples() if one.name == "model.deployments"}
    assert labels >= {("iris", "1", word) for word in ("stable", "rolled_back", "superseded")}
    assert ("iris", "unknown", "never_ready") in labels
    history.second(109, "1")
    assert history.outcomes == {}
    for now in (110, 300, 900):
        history.second(now, "1")
    assert history.outcomes == {("iris", "1", "stable"): 1}
    assert history.events == [("model.deployment.stable", {"model.name": "iris", "model.version": "1"})]
    assert history.counts("model.version.start_time") == {("iris", "1"): 10}


def test_an_outage_or_a_restart_puts_stability_off() -> None:
    """The time counts from the last trouble."""
    history = History()
    history.second(0, "1")
    history.second(60, "1", up=False, reason="timeout")
    history.second(100, "1")
    assert history.outcomes == {}
    history.versions.restarted(150)
    history.second(200, "1")
    assert history.outcomes == {}
    history.second(250, "1")
    assert history.outcomes == {("iris", "1", "stable"): 1}


def test_rollback() -> None:
    """A version that was seen before returns: the one between was rolled back, and the return is no deployment."""
    history = History()
    history.second(0, "1")
    history.second(100, "1")
    history.second(110, "2")
    history.second(120, "1")
    history.second(500, "1")
    assert history.outcomes == {("iris", "1", "stable"): 1, ("iris", "2", "rolled_back"): 1}
    assert history.counts("model.version.changes") == {("iris", "new"): 1, ("iris", "rollback"): 1}
    transitions = {("iris", "1", "2"): 1, ("iris", "2", "1"): 1}
    assert history.counts("model.version.transitions") == transitions
    assert history.events[-1] == (
        "model.version.rolled_back",
        {"model.name": "iris", "model.version": "1", "model.version.previous": "2"},
    )


def test_a_rollback_of_what_was_stable_is_a_change_and_no_second_outcome() -> None:
    """The deployment was stable; that it went later is told by the change."""
    history = History()
    for now, version in ((0, "1"), (100, "1"), (110, "2"), (210, "2"), (220, "1")):
        history.second(now, version)
    assert history.outcomes == {("iris", "1", "stable"): 1, ("iris", "2", "stable"): 1}
    assert history.counts("model.version.changes")["iris", "rollback"] == 1


def test_superseded() -> None:
    """A new version before the last one was stable."""
    history = History()
    for now, version in ((0, "1"), (50, "2"), (150, "2")):
        history.second(now, version)
    assert history.outcomes == {("iris", "1", "superseded"): 1, ("iris", "2", "stable"): 1}


def test_never_ready() -> None:
    """A start that is not ready in time, from the first of several attempts; once for each."""
    history = History()
    history.second(0, "1")
    history.second(10, "1", up=False)
    history.versions.restarted(200)
    history.second(309, "1", up=False)
    assert history.outcomes == {}
    history.second(310, "1", up=False)
    history.second(900, "1", up=False)
    assert history.outcomes == {("iris", "unknown", "never_ready"): 1}
    assert history.events == [("model.deployment.never_ready", {"model.name": "iris", "seconds": READY})]


def test_never_ready_from_the_beginning() -> None:
    """Nobody knows a name then."""
    history = History()
    for now in (0, 299, 300, 900):
        history.second(now, up=False)
    assert history.outcomes == {("unknown", "unknown", "never_ready"): 1}


def test_a_server_that_hangs_is_not_starting() -> None:
    """It is down, and no deployment."""
    history = History()
    history.second(0, "1")
    for now in (10, 310, 900):
        history.second(now, "1", up=False, reason="timeout")
    assert history.outcomes == {}


def test_bounds() -> None:
    """Models, remembered versions and pairs have a bound; what is over counts as others, and nothing is lost."""
    history = Versions(1e9, 1e9, 1.0)
    assert not list(history.learned({f"m{n}": "1" for n in range(MAX_MODELS + 5)}, 0.0))
    for number in range(3 * MAX_PAIRS):
        list(history.learned({"m0": str(number + 2)}, float(number)))
    found = list(history.samples())
    transitions = {one.labels: one.value for one in found if one.name == "model.version.transitions"}
    assert len(transitions) <= MAX_PAIRS + 1
    assert sum(transitions.values()) == 3 * MAX_PAIRS  # type: ignore[arg-type]
    assert transitions["m0", "<other>", "<other>"] == 2 * MAX_PAIRS
    outcomes = {one.labels: one.value for one in found if one.name == "model.deployments"}
    assert len(outcomes) <= MAX_PAIRS + 1
    assert sum(outcomes.values()) == 3 * MAX_PAIRS  # type: ignore[arg-type]
    assert len({one.labels for one in found if one.name == "model.version.start_time"}) == MAX_MODELS
    # What was forgotten is new when it returns.
    assert [one.name for one in history.learned({"m0": "2"}, 1e4)] == []
    last = str(3 * MAX_PAIRS + 2 - MAX_SEEN // 2)
    assert [one.name for one in history.learned({"m0": last}, 1e4)] == ["model.version.rolled_back"]


def key(name: str, version: str, protocol: str = "open_inference_v2", role: str = "live") -> Key:
    return Key(name, version, protocol, "none", role)


def test_what_is_in_use() -> None:
    """What answers told; else the only version there is; nothing of mirrors, pushed rows or what is unknown."""
    keys = [key("a", "1"), key("a", "2"), key("b", "3"), key("b", "4", role="shadow"), key("c", "unknown")]
    keys += [key("d", "5", PUSHED), key("<other>", "<other>"), key("e", "6", "")]
    assert versions(keys, {"a": "2"}) == {"a": "2", "b": "3"}
    assert versions(keys, {}) == {"b": "3"}
    assert spoken(keys) >= {("open_inference_v2", "a"), ("open_inference_v2", "b"), ("open_inference_v2", "")}
    assert not any(name == "<other>" for _, name in spoken(keys))


def again(before: History, hold: float = 15.0, alone: bool = True) -> History:
    """What goes on after a restart: of the analysis alone, or of the whole sidecar."""
    after = History()
    after.versions.recall(before.versions.kept(), hold)
    if alone:
        after.versions.resume(before.versions.server())
    return after


def test_the_version_in_use_is_not_changed_by_a_restart() -> None:
    """Nothing is shown before it answers; then it has been in use since it came, and has its one outcome still."""
    before = History()
    before.second(10, "1")
    after = again(before)
    after.second(50)
    assert not {one.name for one in after.versions.samples()} & {
        "model.version.start_time",
        "model.version.changes",
    }
    after.second(60, "1")
    assert after.counts("model.version.start_time") == {("iris", "1"): 10}
    assert after.counts("model.version.changes") == {}
    # Nobody watched in between: the time of being stable counts from the first answer.
    after.second(159, "1")
    assert after.outcomes == {}
    after.second(160, "1")
    assert after.outcomes == {("iris", "1", "stable"): 1}
    twice = again(after)
    for now in (200, 400, 600):
        twice.second(now, "1")
    assert twice.outcomes == {}


def test_a_version_that_returns_after_a_restart_is_a_rollback() -> None:
    """1, 2, restart, 1: the deployment that was open is rolled back, once; all of it at 0 before."""
    before = History()
    before.second(0, "1")
    before.second(200, "1")
    before.second(210, "2")
    after = again(before)
    after.second(230, "1")
    zero = {one.labels: one.value for one in after.versions.samples() if one.name == "model.deployments"}
    assert zero["iris", "2", "rolled_back"] == 0
    # Answers tell another version than the one that was kept: neither is shown as the one in use.
    assert after.counts("model.version.start_time") == {}
    after.second(244, "1")
    assert after.counts("model.version.changes") == {}
    after.second(245, "1")
    assert after.counts("model.version.changes") == {("iris", "rollback"): 1}
    assert after.counts("model.version.transitions") == {("iris", "2", "1"): 1}
    assert after.outcomes == {("iris", "2", "rolled_back"): 1}
    assert [name for name, _ in after.events] == [event.ROLLED_BACK]


def test_a_new_version_over_a_restart_is_new() -> None:
    """It was replaced while the sidecar was away."""
    before = History()
    before.second(0, "1")
    after = again(before, hold=0, alone=False)
    for now in (100, 101):
        after.second(now, "2")
    assert after.counts("model.version.changes") == {("iris", "new"): 1}
    assert after.outcomes == {("iris", "1", "superseded"): 1}


def test_a_start_that_was_told_to_be_never_ready_is_not_told_again() -> None:
    """If the analysis alone was restarted; a start that waits goes on waiting since it began."""
    before = History()
    for now in (0, 299, 300):
        before.second(now, up=False)
    never = {("unknown", "unknown", "never_ready"): 1}
    assert before.outcomes == never
    after = again(before)
    after.second(700, up=False)
    assert after.outcomes == {}
    waiting = History()
    waiting.second(100, up=False)
    after = again(waiting)
    after.second(299, up=False)
    assert after.outcomes == {}
    after.second(300, up=False)
    assert after.outcomes == never
    # Another life of the whole sidecar measures from its own start.
    assert again(before, alone=False).versions.server().starting_since == 0.0


def test_what_is_remembered_is_bounded() -> None:
    """Models and versions; those that answered since come first, others are kept as long as there is room."""
    many = tuple(KeptModel(f"m{n}", "1", 0.0, tuple(map(str, range(100))), False) for n in range(100))
    found = Versions(STABLE, READY, 1.0)
    found.recall(many, 0.0)
    assert found.kept() == many[:MAX_MODELS]
    list(found.learned({"m3": "1", "new": "1"}, 5.0))
    kept = found.kept()
    assert [one.name for one in kept[:3]] == ["m3", "new", "m0"]
    assert len(kept) == MAX_MODELS
    assert len(kept[0].seen) == MAX_SEEN
    assert kept[0].seen[-1] == "99"
