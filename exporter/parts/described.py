"""What the model is made of and what its owner says of it: files that are hashed, descriptions; events of what changed.

It joins settings with what files say and with the models that are served. Used on the event loop.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from exporter.analysis.history import History, KeptDescription
from exporter.analysis.known import Known
from exporter.analysis.series import Key
from exporter.collect.artifacts import Artifact, Artifacts, Declared, Watched
from exporter.parts.descriptions import Descriptions
from exporter.records import event
from exporter.records.event import Event, Value
from exporter.records.exchange import OTHER, UNKNOWN
from exporter.records.threshold import MAX_THRESHOLDS
from exporter.settings.config import Config
from exporter.settings.description_values import split

log = logging.getLogger(__name__)
# A second each, at the start; a file system that hangs is not waited for beyond that.
_LOOKS = 5
_EVENTS = {
    "wrong": event.ARTIFACT_WRONG,
    "right": event.ARTIFACT_RIGHT,
    "changed": event.ARTIFACT_CHANGED,
}


class Described:
    """`tell` gets each Event. `collectors` are to be asked with the others."""

    def __init__(self, config: Config, tell: Callable[[Event], object]) -> None:
        self._tell = tell
        watched = tuple(Artifact(*split(one)) for one in config.artifacts)
        sums, interval, rate = config.artifact_sums, config.artifact_interval, config.artifact_rate
        self.artifacts = Artifacts(Watched(watched, sums, interval, rate), time.time())
        places = tuple(split(one) for one in config.descriptions)
        owner = config.model_name, config.model_owner, config.model_team
        self.descriptions = Descriptions(places, owner)
        self.collectors = self.artifacts, self.descriptions

    def recall(self, history: History, settled: float) -> None:
        """What was kept over a restart; before anything is read."""
        self.descriptions.recall({one.path: one.sections for one in history.descriptions}, settled)
        self.artifacts.recall(history.files)

    def kept(self) -> tuple[tuple[KeptDescription, ...], dict[str, str]]:
        """What has to outlive a restart: of descriptions, and digests of files."""
        said = self.descriptions.said
        return tuple(KeptDescription(*one) for one in said.items()), dict(self.artifacts.digests)

    async def known(self, known: Known) -> Known:
        """What is known of the model, with the thresholds that its descriptions declare; configured ones win."""
        for _ in range(_LOOKS):
            await asyncio.to_thread(self.descriptions.look, time.time())
            if not self.descriptions.waited_for:
                break
        for path in self.descriptions.waited_for:
            log.warning("%s does not answer; thresholds that it declares are not counted", path)
        found = {(one.name, one.model): one for one in known.thresholds}
        several = len(self.descriptions.found) > 1
        for one in self.descriptions.found:
            for threshold in one.thresholds:
                model = one.name if several and one.name and threshold.model == "*" else threshold.model
                found.setdefault((threshold.name, model), replace(threshold, model=model))
        return replace(known, thresholds=tuple(found.values())[:MAX_THRESHOLDS])

    def start(self) -> None:
        """Begin to hash."""
        self._declare()
        self.artifacts.start()

    def _declare(self) -> None:
        self.artifacts.declare(tuple(Declared(folder, *file) for folder, file in self.descriptions.files))

    def stop(self) -> None:
        """Safe twice and without a start."""
        self.artifacts.stop()

    def second(self, keys: Iterable[Key]) -> None:
        """Once a second, with the keys of what is counted: tell what changed."""
        names = (key.model_name for key in keys)
        self.descriptions.served = frozenset(name for name in names if name not in (UNKNOWN, OTHER))
        self._declare()
        for said in self.descriptions.take():
            one, at = said.description, int(said.at * 1e9)
            about: dict[str, Value] = {"path": said.place, "digest": one.digest, event.MODEL_NAME: one.name}
            if said.sections:
                changed: dict[str, Value] = {"sections": ", ".join(said.sections)}
                self._tell(Event(event.DESCRIPTION_CHANGED, at, about | changed))
            if said.wrong:
                self._tell(Event(event.DESCRIPTION_WRONG, at, about | {"expected": said.expected}))
        for change in self.artifacts.take():
            told: dict[str, Value] = {"path": change.artifact, "digest": change.digest}
            if change.expected:
                told["expected"] = change.expected
            self._tell(Event(_EVENTS[change.kind], int(change.at * 1e9), told))
