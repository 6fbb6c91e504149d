"""Versions of models in use, as answers tell them: changes, rollbacks, and what became of each deployment.

A version that was seen before and comes back is a rollback. A deployment is a new version in use; it has exactly one
outcome: `stable` once it was in use and up for long enough, `rolled_back` or `superseded` if another took its place
before. A start of the server that is never ready has no version, and counts as `never_ready` of an unknown one. Pure:
`now` is unix seconds. Bounded: so many models, versions of each, and pairs; what is over is counted under `<other>`.
What was kept over a restart of the analysis is believed of a model when that model answers, and shown of none before.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from exporter.analysis.history import KeptModel, KeptServer
from exporter.records import event
from exporter.records.event import Event
from exporter.records.exchange import OTHER, UNKNOWN
from exporter.records.sample import Sample

MAX_MODELS: Final = 32
MAX_SEEN: Final = 64  # versions of one model that are remembered
MAX_PAIRS: Final = 256
OUTCOMES: Final = ("stable", "rolled_back", "superseded")
NEVER_READY: Final = "never_ready"
KINDS: Final = ("new", "rollback")
Pair = tuple[str, str, str]


@dataclass(slots=True)
class _Model:
    """`seen` is in the order in which versions came; `open` while the deployment in use has no outcome.

    `told` is what answers say; until `settled` another version than the kept one is no change yet.
    """

    version: str
    since: float
    seen: dict[str, None] = field(default_factory=dict)
    open: bool = True
    quiet_since: float = 0.0  # since when nothing spoke against it
    told: str = ""
    settled: float = 0.0


class Versions:
    """`learned`, `health` and `restarted` as they are noticed, `tick` once a second; Events are those worth telling."""

    def __init__(self, stable_after: float, ready_within: float, created: float) -> None:
        self._stable_after = stable_after
        self._ready_within = ready_within
        self._created = created
        self._models: dict[str, _Model] = {}
        self._changes: dict[tuple[str, str], int] = {}
        self._transitions: dict[Pair, int] = {}
        self._deployments: dict[Pair, int] = {(UNKNOWN, UNKNOWN, NEVER_READY): 0}
        self._is_up = False
        self._starting_since: float | None = None  # since when a start waits to be ready
        self._remembered: dict[str, KeptModel] = {}  # models that have not answered since the restart
        self._hold = 0.0

    def kept(self) -> tuple[KeptModel, ...]:
        """What has to outlive a restart of the analysis; models that answered come first."""
        mine = [
            KeptModel(name, one.version, one.since, tuple(one.seen), one.open)
            for name, one in self._models.items()
        ]
        return (*mine, *self._remembered.values())[:MAX_MODELS]

    def server(self) -> KeptServer:
        """The same of the server, whatever models it has."""
        return KeptServer(self._is_up, self._starting_since)

    def recall(self, models: Iterable[KeptModel], hold: float) -> None:
        """What `kept` said before a restart. A change meanwhile is counted `hold` seconds after the first answer, so
        that its counter is seen at 0 before."""
        self._remembered = {one.name: one for one in tuple(models)[:MAX_MODELS]}
        self._hold = hold

    def resume(self, server: KeptServer) -> None:
        """The analysis alone was away: the server's start goes on, or was told of already."""
        self._is_up, self._starting_since = server.up, server.starting_since

    def learned(self, versions: Mapping[str, str], now: float) -> Iterator[Event]:
        """The version of each model that answered last."""
        for name, version in versions.items():
            model = self._models.get(name)
            if model is None:
                if len(self._models) < MAX_MODELS:
                    self._models[name] = model = self._first(name, version, now)
                    self._changes.update({(name, kind): 0 for kind in KINDS})
                    self._expect(name, model.version)
            elif model.version != version and now >= model.settled:
                yield from self._change(name, model, version, now)
            if model is not None:
                model.told = version

    def _first(self, name: str, version: str, now: float) -> _Model:
        """A model that answers for the first time, or for the first time since the restart.

        Nobody watched in between, so the time in which nothing spoke against it begins anew.
        """
        kept = self._remembered.pop(name, None)
        if kept is None:
            return _Model(version, now, {version: None}, quiet_since=now)
        seen = dict.fromkeys((*kept.seen, kept.version))
        for old in tuple(seen)[:-MAX_SEEN]:
            del seen[old]
        return _Model(kept.version, kept.since, seen, kept.open, now, settled=now + self._hold)

    def _change(self, name: str, model: _Model, version: str, now: float) -> Iterator[Event]:
        before = model.version
        kind: Literal["new", "rollback"] = "rollback" if version in model.seen else "new"
        self._changes[name, kind] += 1
        _count(self._transitions, (name, before, version), (name, OTHER, OTHER))
        if model.open:
            self._close(name, before, "rolled_back" if kind == "rollback" else "superseded")
        model.seen.pop(version, None)
        if len(model.seen) >= MAX_SEEN:
            del model.seen[next(iter(model.seen))]
        model.seen[version] = None
        model.version, model.since, model.quiet_since = version, now, now
        # What returns was a deployment once: only a version that comes for the first time is one.
        model.open = kind == "new"
        if model.open:
            self._expect(name, version)
        else:
            told: dict[str, event.Value] = {
                event.MODEL_NAME: name,
                event.MODEL_VERSION: version,
                event.PREVIOUS_VERSION: before,
            }
            yield _event(event.ROLLED_BACK, told, now)

    def restarted(self, now: float) -> None:
        """The server was started again."""
        self._disturbed(now)
        self._starts(now)

    def health(self, up: bool, reason: str, now: float) -> None:
        """What the last probe found, and why it failed. A server that hangs has to answer; it does not start."""
        if up:
            self._starting_since = None
        else:
            self._disturbed(now)
            if self._is_up and reason != "timeout":
                self._starting_since = now
        self._is_up = up

    def begins(self, now: float) -> None:
        """Probing begins: what is there from the start has to be ready in time, too."""
        self._starts(now)

    def tick(self, now: float) -> Iterator[Event]:
        """Close the deployments whose time has come."""
        for name, model in self._models.items():
            steady = self._is_up and model.told == model.version
            if model.open and steady and now - model.quiet_since >= self._stable_after:
                model.open = False
                self._close(name, model.version, "stable")
                told: dict[str, event.Value] = {event.MODEL_NAME: name, event.MODEL_VERSION: model.version}
                yield _event(event.DEPLOYED, told, now)
        if self._starting_since is not None and now - self._starting_since >= self._ready_within:
            self._starting_since = None
            name = next(iter(self._models)) if len(self._models) == 1 else UNKNOWN
            self._close(name, UNKNOWN, NEVER_READY)
            yield _event(event.NEVER_READY, {event.MODEL_NAME: name, "seconds": self._ready_within}, now)

    def samples(self) -> Iterator[Sample]:
        """Everything, families together; on the thread of the others, or of a copy."""
        for name, model in list(self._models.items()):
            if model.told == model.version:
                yield Sample("model.version.start_time", (name, model.version), model.since)
        for change, count in list(self._changes.items()):
            yield Sample("model.version.changes", change, count, self._created)
        for pair, count in list(self._transitions.items()):
            yield Sample("model.version.transitions", pair, count, self._created)
        for labels, count in list(self._deployments.items()):
            yield Sample("model.deployments", labels, count, self._created)

    def _starts(self, now: float) -> None:
        # The time runs from the first of several attempts.
        if not self._is_up and self._starting_since is None:
            self._starting_since = now

    def _disturbed(self, now: float) -> None:
        for model in self._models.values():
            model.quiet_since = now

    def _expect(self, name: str, version: str) -> None:
        """All outcomes of a deployment exist at 0 from its beginning on."""
        if len(self._deployments) + len(OUTCOMES) < MAX_PAIRS:
            for outcome in OUTCOMES:
                self._deployments.setdefault((name, version, outcome), 0)
            self._deployments.setdefault((name, UNKNOWN, NEVER_READY), 0)

    def _close(self, name: str, version: str, outcome: str) -> None:
        _count(self._deployments, (name, version, outcome), (OTHER, OTHER, outcome))


def _count(counts: dict[Pair, int], key: Pair, over: Pair) -> None:
    key = key if key in counts or len(counts) < MAX_PAIRS else over
    counts[key] = counts.get(key, 0) + 1


def _event(name: str, told: dict[str, event.Value], now: float) -> Event:
    return Event(name, int(now * 1e9), told)
