"""Alertmanager through its HTTP API: which alerts it has, what becomes of each, and alerts that are put into it.

Knows nothing of scenes. Addresses may have a path before /api (a user's proxy).
"""

import json
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class Held:
    """One alert that Alertmanager has: `state` is active, suppressed or unprocessed."""

    name: str
    state: str
    receivers: tuple[str, ...]
    inhibited: bool
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Manager:
    """The API at `url`."""

    url: str

    def held(self, job: str = "") -> list[Held]:
        """Alerts that have not ended; of one job, if it is given."""
        found = [_held(each) for each in self._ask("/api/v2/alerts")]
        return [each for each in found if job in ("", each.labels.get("job", ""))]

    def receivers(self) -> list[str]:
        return [each["name"] for each in self._ask("/api/v2/receivers")]

    def sent(self) -> dict[str, float]:
        """Notifications by integration that were delivered: attempts less failures."""
        found: dict[str, float] = {}
        for line in self._text("/metrics").splitlines():
            name, _, value = line.rpartition(" ")
            for prefix, sign in (
                ("alertmanager_notifications_total{", 1.0),
                ("alertmanager_notifications_failed_total{", -1.0),
            ):
                if name.startswith(prefix):
                    integration = name.partition('integration="')[2].partition('"')[0]
                    found[integration] = found.get(integration, 0.0) + sign * float(value)
        return found

    def put(self, alerts: Sequence[Mapping[str, Mapping[str, str]]], seconds: float) -> None:
        """Alerts (labels, annotations) that end by themselves after so many seconds; 0 ends them now."""
        ends = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
        body = json.dumps([{**each, "endsAt": ends} for each in alerts]).encode()
        request = urllib.request.Request(
            self._address("/api/v2/alerts"), body, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30):
            pass

    def _ask(self, path: str) -> Any:
        return json.loads(self._text(path))

    def _text(self, path: str) -> str:
        with urllib.request.urlopen(self._address(path), timeout=30) as answer:
            return str(answer.read().decode())

    def _address(self, path: str) -> str:
        return self.url.rstrip("/") + path


def _held(told: Mapping[str, Any]) -> Held:
    labels, status = told["labels"], told["status"]
    receivers = tuple(each["name"] for each in told["receivers"])
    return Held(labels.get("alertname", ""), status["state"], receivers, bool(status["inhibitedBy"]), labels)
