"""Event: something that happens rarely and that a person wants to know: a new version, drift, a burst of losses.

Each kind has one name, one severity and one text. Attributes hold labels and counts, never payload.
"""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["INFO", "WARN", "ERROR"]
Value = str | int | float

# Keys of attributes, as spans have them.
MODEL_NAME, MODEL_VERSION, PROTOCOL = "model.name", "model.version", "model.protocol"
PREVIOUS_VERSION = "model.version.previous"

VERSION_CHANGED = "model.version.changed"
ROLLED_BACK = "model.version.rolled_back"
DEPLOYED = "model.deployment.stable"
NEVER_READY = "model.deployment.never_ready"
DOWN = "model.health.down"
UP = "model.health.up"
MODEL_RESTARTED = "model.process.restarted"
MODEL_STARTED = "model.process.ready"
ARTIFACT_WRONG = "model.artifact.mismatch"
ARTIFACT_RIGHT = "model.artifact.match"
ARTIFACT_CHANGED = "model.artifact.changed"
DESCRIPTION_CHANGED = "model.description.changed"
DESCRIPTION_WRONG = "model.description.mismatch"
DRIFT_BEGAN = "model.drift.began"
DRIFT_ENDED = "model.drift.ended"
DESYNC_BURST = "modeltap.desyncs.burst"
DESYNC_BURST_ENDED = "modeltap.desyncs.burst_ended"
DROP_BURST = "modeltap.drops.burst"
DROP_BURST_ENDED = "modeltap.drops.burst_ended"
RESTARTED = "modeltap.process.restarted"
DIALECT_OFF = "modeltap.dialect.switched_off"
DIALECT_ON = "modeltap.dialect.switched_on"
RELOADED = "modeltap.reloaded"
RELOAD_FAILED = "modeltap.reload_failed"

KINDS: dict[str, tuple[Severity, str]] = {
    VERSION_CHANGED: ("INFO", "The model answers with another version."),
    ROLLED_BACK: ("WARN", "The model answers with a version that it had before."),
    DEPLOYED: ("INFO", "A version has been in use and up for long enough to be called stable."),
    NEVER_READY: ("ERROR", "The model server was started and is not ready in time."),
    DOWN: ("ERROR", "The model does not answer its probes."),
    UP: ("INFO", "The model answers its probes again."),
    MODEL_RESTARTED: ("WARN", "The model server was started again."),
    MODEL_STARTED: ("INFO", "The model server is ready for the first time since it was started."),
    ARTIFACT_WRONG: ("ERROR", "A file of the model is not the one that is expected."),
    ARTIFACT_RIGHT: ("INFO", "A file of the model is the one that is expected again."),
    ARTIFACT_CHANGED: ("INFO", "A file of the model is another one than before."),
    DESCRIPTION_CHANGED: ("INFO", "The description of a model says something else than before."),
    DESCRIPTION_WRONG: ("WARN", "The description of a model is not the one that is expected."),
    DRIFT_BEGAN: ("WARN", "A column has moved away from the reference."),
    DRIFT_ENDED: ("INFO", "A column is back where the reference has it."),
    DESYNC_BURST: ("WARN", "Connections go on as opaque relays, their framing being uncertain."),
    DESYNC_BURST_ENDED: ("INFO", "No more connections than usual go on as opaque relays."),
    DROP_BURST: ("WARN", "Exchanges are counted but not analysed."),
    DROP_BURST_ENDED: ("INFO", "Exchanges are analysed again."),
    RESTARTED: ("ERROR", "A process of the sidecar was started again."),
    DIALECT_OFF: ("ERROR", "A dialect is switched off: its decoder killed the analysis."),
    DIALECT_ON: ("INFO", "A dialect is switched on again."),
    RELOADED: ("INFO", "A file that changed was read again."),
    RELOAD_FAILED: ("WARN", "A file that changed cannot be used; what it said before holds."),
}


@dataclass(frozen=True, slots=True)
class Event:
    """`name` is one of KINDS, `time` is unix nanoseconds."""

    name: str
    time: int
    attributes: dict[str, Value]

    @property
    def severity(self) -> Severity:
        """By its kind."""
        return KINDS[self.name][0]

    @property
    def text(self) -> str:
        """One sentence."""
        return KINDS[self.name][1]
