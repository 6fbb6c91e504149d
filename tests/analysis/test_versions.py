"""Versions over time: changes, rollbacks, deployments and their one outcome."""

from typing import Any

from exporter.analysis.in_use import spoken, versions
from exporter.analysis.series import Key
from exporter.analysis.versions import MAX_MODELS, MAX_PAIRS, MAX_SEEN, Versions
from exporter.decode.pushed import NAME as PUSHED

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
