"""What the model is made of and what its owner says of it: files that are hashed; events of what changed.

It joins settings with what `collect` finds. Used on the event loop.
"""

import time
from collections.abc import Callable

from exporter.collect.artifacts import Artifact, Artifacts, Watched
from exporter.config import Config
from exporter.description_values import split
from exporter.records import event
from exporter.records.event import Event, Value

_EVENTS = {
    "wrong": event.ARTIFACT_WRONG,
    "right": event.ARTIFACT_RIGHT,
    "changed": event.ARTIFACT_CHANGED,
}


class Described:
    """`tell` gets each Event. `artifacts` is a collector."""

    def __init__(self, config: Config, tell: Callable[[Event], object]) -> None:
        self._tell = tell
        watched = tuple(Artifact(*split(one)) for one in config.artifacts)
        sums, interval, rate = config.artifact_sums, config.artifact_interval, config.artifact_rate
        self.artifacts = Artifacts(Watched(watched, sums, interval, rate), time.time())

    def start(self) -> None:
        """Begin to hash."""
        self.artifacts.start()

    def stop(self) -> None:
        """Safe twice and without a start."""
        self.artifacts.stop()

    def second(self) -> None:
        """Once a second: tell what changed."""
        for change in self.artifacts.take():
            told: dict[str, Value] = {"path": change.artifact, "digest": change.digest}
            if change.expected:
                told["expected"] = change.expected
            self._tell(Event(_EVENTS[change.kind], int(change.at * 1e9), told))
