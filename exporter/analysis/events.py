"""Counts and gauges as they pass -> the Events worth telling. Holds no event; `now` is unix seconds.

Refuses to look at exchanges. Bounded: one flag per column and window that is compared, one text per model name; a burst
is told when it begins and when it is over, however long it lasts.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping

from exporter.records import event
from exporter.records.event import Event
from exporter.records.sample import Histogram, Sample

# A few of them are the peculiarity of one client; this many at once are a fault.
DESYNCS, DROPS, WITHIN_SECONDS = 5, 100, 10.0
QUIET_SECONDS = 60.0
# An alarm is an effect worth the name that chance does not explain, in two comparisons one after another: thresholds of
# the alert rules, for those who have no Prometheus. It ends below half of the effect, so that it does not flap.
DRIFT_EFFECT, DRIFT_TICKS, MIN_ROWS = 0.1, 2, 100
STATISTIC = "psi"
MAX_ALARMS = 4096
_COMPARED = ("model.window.rows", "model.drift", "model.drift.critical_value")

Tell = Callable[[Event], object]
Column = tuple[str, ...]


class Events:
    """`tell` gets each Event as it is noticed; it must not block."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._restarts: dict[tuple[str, str], int] | None = None
        self._reloads: dict[tuple[str, str], int] | None = None
        self._off: frozenset[str] = frozenset()
        self._alarms: dict[Column, int] = {}
        self._bursts = {
            "desyncs": Burst(DESYNCS, (event.DESYNC_BURST, event.DESYNC_BURST_ENDED), tell),
            "drops": Burst(DROPS, (event.DROP_BURST, event.DROP_BURST_ENDED), tell),
        }

    def learned(self, before: Mapping[str, str], after: Mapping[str, str], now: float) -> None:
        """Versions by model, as answers confirmed them; the first one of a model is no change."""
        for name, version in after.items():
            if before.get(name, version) != version:
                told = {
                    event.MODEL_NAME: name,
                    event.MODEL_VERSION: version,
                    event.PREVIOUS_VERSION: before[name],
                }
                self._say(event.VERSION_CHANGED, told, now)

    def restarted(self, counts: Mapping[tuple[str, str], int], now: float) -> None:
        """All restarts since the sidecar started, by component and reason.

        The first call tells those of the analysis, for it is the one that was started again.
        """
        before = self._restarts
        if before is None:
            before = {key: 0 if key[0] == "analysis" else count for key, count in counts.items()}
        self._restarts = dict(counts)
        for (component, reason), count in counts.items():
            if count > before.get((component, reason), 0):
                told: dict[str, event.Value] = {"component": component, "reason": reason, "restarts": count}
                self._say(event.RESTARTED, told, now)

    def switched_off(self, dialects: Iterable[str], now: float) -> None:
        """Those that are off from now on; all others are on."""
        off = frozenset(dialects)
        for name in sorted(off - self._off):
            self._say(event.DIALECT_OFF, {event.PROTOCOL: name}, now)
        for name in sorted(self._off - off):
            self._say(event.DIALECT_ON, {event.PROTOCOL: name}, now)
        self._off = off

    def reloaded(self, counts: Mapping[tuple[str, str], int], now: float) -> None:
        """All reloads since the sidecar started, by kind and outcome; the first call tells none."""
        before, self._reloads = self._reloads, dict(counts)
        for (kind, outcome), count in counts.items():
            if before is not None and count > before.get((kind, outcome), 0):
                name = event.RELOADED if outcome == "success" else event.RELOAD_FAILED
                self._say(name, {"kind": kind}, now)

    def counted(self, what: str, reasons: Mapping[str, int], now: float) -> None:
        """`what` is desyncs or drops, with their totals by reason; once a second."""
        self._bursts[what].see(reasons, now)

    def compared(self, gauges: Iterable[Sample], now: float) -> None:
        """What a tick found: columns that moved away from their reference, and those that came back."""
        found: dict[str, dict[Column, float]] = {name: {} for name in _COMPARED}
        for sample in gauges:
            if sample.name in found:
                assert not isinstance(sample.value, Histogram)
                found[sample.name][sample.labels] = sample.value
        rows, values, critical = found.values()
        values = {column: value for column, value in values.items() if column[5] == STATISTIC}
        self._alarms = {column: count for column, count in self._alarms.items() if column in values}
        for column, value in values.items():
            if rows.get((*column[:5], column[-1]), 0) >= MIN_ROWS or column in self._alarms:
                self._judge(column, value, critical.get(column, 0.0), now)

    def _judge(self, column: Column, value: float, critical: float, now: float) -> None:
        """An alarm is on when it counts DRIFT_TICKS."""
        seen = self._alarms.get(column, 0)
        if seen >= DRIFT_TICKS:
            if value < DRIFT_EFFECT / 2 or value <= critical:
                del self._alarms[column]
                self._say(event.DRIFT_ENDED, _column(column, value), now)
        elif value > max(DRIFT_EFFECT, critical):
            if column in self._alarms or len(self._alarms) < MAX_ALARMS:
                self._alarms[column] = seen + 1
                if seen + 1 == DRIFT_TICKS:
                    self._say(event.DRIFT_BEGAN, _column(column, value), now)
        else:
            self._alarms.pop(column, None)

    def _say(self, name: str, attributes: Mapping[str, event.Value], now: float) -> None:
        self._tell(Event(name, int(now * 1e9), dict(attributes)))


class Burst:
    """Begins with `threshold` more within WITHIN_SECONDS, ends after QUIET_SECONDS with fewer than that."""

    def __init__(self, threshold: int, names: tuple[str, str], tell: Tell) -> None:
        self._threshold = threshold
        self._began, self._ended = names
        self._tell = tell
        self._seen: deque[tuple[float, dict[str, int]]] = deque()
        self._since: dict[str, int] | None = None
        self._last = 0.0

    def see(self, reasons: Mapping[str, int], now: float) -> None:
        """The totals by reason as of now."""
        self._seen.append((now, dict(reasons)))
        # One look older than the span stays, so that all of it is compared.
        while len(self._seen) > 2 and now - self._seen[1][0] >= WITHIN_SECONDS:
            self._seen.popleft()
        start = self._seen[0][1]
        more = sum(reasons.values()) - sum(start.values())
        if more >= self._threshold:
            self._last = now
            if self._since is None:
                self._since = start
                self._say(self._began, start, reasons, now)
        elif self._since is not None and now - self._last >= QUIET_SECONDS:
            self._say(self._ended, self._since, reasons, now)
            self._since = None

    def _say(self, name: str, start: Mapping[str, int], reasons: Mapping[str, int], now: float) -> None:
        new = {reason: count - start.get(reason, 0) for reason, count in reasons.items()}
        told: dict[str, event.Value] = {
            "count": sum(new.values()),
            "reason": max(new, key=lambda one: new[one]),
        }
        self._tell(Event(name, int(now * 1e9), told))


def _column(labels: Column, value: float) -> dict[str, event.Value]:
    """The labels of the gauge that are not empty, and its value."""
    keys = (
        event.MODEL_NAME,
        event.MODEL_VERSION,
        "output",
        "feature",
        "window",
        "statistic",
        "reference",
        "role",
    )
    return {key: label for key, label in zip(keys, labels, strict=True) if label} | {"value": round(value, 6)}
