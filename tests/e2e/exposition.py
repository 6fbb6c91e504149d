"""Reads Prometheus' text format as a stranger would: counters by series, and whether any went back.

Written apart from the exporter's own renderer, so that both would have to be wrong in the same way.
"""

import re
import urllib.request
from dataclasses import dataclass, field

TRAFFIC_COUNTER = re.compile(
    r"model_(requests?|response|client_wait|connections?)_(\w+_)?(total|count|sum|bucket)$"
)
TEXT = "text/plain; version=0.0.4"


def scrape(url: str, accept: str = TEXT) -> str:
    """One GET of the metrics; OSError if the connection fails."""
    request = urllib.request.Request(url, headers={"accept": accept})
    with urllib.request.urlopen(request, timeout=60) as response:
        return str(response.read().decode())


def samples(text: str) -> dict[str, float]:
    """Value by series (name and labels as they are written), comments left out."""
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return {series: float(value) for series, _, value in (line.rpartition(" ") for line in lines)}


def total(values: dict[str, float], name: str, **labels: str) -> float:
    """Sum over the series of that name with those labels."""
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    return sum(
        value
        for series, value in values.items()
        if series.partition("{")[0] == name and all(each in series for each in wanted)
    )


@dataclass(slots=True)
class Watch:
    """The highest value of every traffic counter so far; `setbacks` are those that went back or vanished."""

    highest: dict[str, float] = field(default_factory=dict)
    setbacks: list[str] = field(default_factory=list)
    scrapes: int = 0

    def see(self, text: str) -> None:
        """Compare one scrape with all scrapes before it."""
        self.scrapes += 1
        now = {s: v for s, v in samples(text).items() if TRAFFIC_COUNTER.match(s.partition("{")[0])}
        for series, before in self.highest.items():
            value = now.get(series)
            if value is None or value < before:
                self.setbacks.append(f"scrape {self.scrapes}: {series} from {before} to {value}")
        self.highest.update(now)
