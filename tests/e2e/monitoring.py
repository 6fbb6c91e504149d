"""A real Prometheus, configured as a user would, at a second's pace.

Only addresses and intervals differ from production. Reads Prometheus through its HTTP API.
"""

import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.processes import LOOPBACK, Program

JOB = "modeltap"


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an instant query."""

    labels: dict[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Line:
    """One series of a range query."""

    labels: dict[str, str]
    times: list[float]
    values: list[float]


class QueryFailed(AssertionError):
    """Prometheus refused a query; the text has the query and the reason."""


@dataclass(frozen=True, slots=True)
class Prometheus:
    """The HTTP API at `url`."""

    url: str

    def query(self, expression: str) -> list[Series]:
        """Instant query; QueryFailed if Prometheus refuses it."""
        return self._instant(query=expression)

    def at(self, expression: str, time: float) -> list[Series]:
        """Instant query of a unix time."""
        return self._instant(query=expression, time=f"{time}")

    def _instant(self, **parameters: str) -> list[Series]:
        result = self._get("query", **parameters)["result"]
        return [Series(each["metric"], float(each["value"][1])) for each in result]

    def range(self, expression: str, start: float, end: float, step: float) -> list[Line]:
        """Range query between two unix times; QueryFailed if Prometheus refuses it."""
        found = self._get("query_range", query=expression, start=f"{start}", end=f"{end}", step=f"{step}")
        return [
            Line(
                each["metric"],
                *map(list, zip(*((at, float(value)) for at, value in each["values"]), strict=True)),
            )
            for each in found["result"]
        ]

    def by(self, expression: str, *labels: str) -> dict[tuple[str, ...], float]:
        """Instant query whose series are told apart by these labels ("" where one is absent)."""
        return {tuple(s.labels.get(name, "") for name in labels): s.value for s in self.query(expression)}

    def scalar(self, expression: str) -> float | None:
        """Instant query of at most one series; None where there is none."""
        found = self.query(expression)
        assert len(found) <= 1, f"{expression} gives {len(found)} series, one was expected"
        return found[0].value if found else None

    def exemplars(self, expression: str, start: float, end: float) -> list[dict[str, Any]]:
        """Exemplars (labels, value, timestamp) of the selected series, between two unix times."""
        found = self._get("query_exemplars", query=expression, start=f"{start:.3f}", end=f"{end:.3f}")
        return [exemplar for series in found for exemplar in series["exemplars"]]

    def alerts(self) -> dict[str, str]:
        """State (pending, firing) by alert name."""
        return {alert["labels"]["alertname"]: alert["state"] for alert in self._get("alerts")["alerts"]}

    def rules(self) -> list[tuple[str, str]]:
        """(name, kind) of every rule that is loaded; kind is alerting or recording."""
        groups = self._get("rules")["groups"]
        return [(rule["name"], rule["type"]) for group in groups for rule in group["rules"]]

    def alertmanagers(self) -> list[str]:
        """Addresses of those that alerts are sent to."""
        return [each["url"] for each in self._get("alertmanagers")["activeAlertmanagers"]]

    def target_health(self) -> list[str]:
        """Health of each target (up, down, unknown), with the last error."""
        targets = self._get("targets")["activeTargets"]
        return [target["health"] if target["health"] == "up" else target["lastError"] for target in targets]

    def _get(self, call: str, **parameters: str) -> Any:
        address = f"{self.url}/api/v1/{call}"
        body = urllib.parse.urlencode(parameters).encode() if parameters else None
        try:
            with urllib.request.urlopen(urllib.request.Request(address, body), timeout=30) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            raise QueryFailed(f"{call} {parameters}: {error.read().decode()}") from error


@dataclass(frozen=True, slots=True)
class Addresses:
    """Prometheus's own port, host:port of what it scrapes (several by commas), and of Alertmanager if there is one."""

    port: int
    target: str
    alertmanager: str = ""


def prometheus(binary: Path, folder: Path, at: Addresses, rules: Path) -> Program:
    """Scrapes and evaluates every second."""
    configuration = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": [{"job_name": JOB, "static_configs": [{"targets": at.target.split(",")}]}],
        "alerting": {
            "alertmanagers": [{"static_configs": [{"targets": [at.alertmanager]}]}] if at.alertmanager else []
        },
    }
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(configuration))
    command: list[str | Path] = [
        binary,
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address={LOOPBACK}:{at.port}",
        "--enable-feature=exemplar-storage",
        "--rules.alert.resend-delay=1s",
        "--log.level=warn",
    ]
    return Program("prometheus", command, folder, {})
