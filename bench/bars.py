"""The ratios to reach, as the design names them: data, compared with a run, never asserted."""

from dataclasses import dataclass

from bench.figures import TOTAL


@dataclass(frozen=True, slots=True)
class Bar:
    """A ratio of the sidecar to another peer. `bar` is owed, `goal` is aimed at."""

    what: str
    scenario: str
    metric: str
    role: str
    against: str
    bar: float
    goal: float
    better: str = "lower"

    def verdict(self, ratio: float | None) -> str:
        """ "goal", "bar", "missed", or "not measured"."""
        if ratio is None:
            return "not measured"
        for threshold, word in ((self.goal, "goal"), (self.bar, "bar")):
            if ratio <= threshold if self.better == "lower" else ratio >= threshold:
                return word
        return "missed"


DATA_PLANE = "data plane"

BARS: tuple[Bar, ...] = (
    Bar("data plane, CPU per request", "keepalive", "cpu_us", DATA_PLANE, "haproxy", 2.0, 1.4),
    Bar("data plane + analysis", "keepalive", "cpu_us", TOTAL, "haproxy", 2.5, 2.0),
    Bar("data plane + analysis", "keepalive", "cpu_us", TOTAL, "aiohttp", 0.25, 0.2),
    Bar("data plane, at a fixed rate", "paced", "cpu_us", DATA_PLANE, "haproxy", 2.0, 1.4),
    Bar("data plane + analysis, at a fixed rate", "paced", "cpu_us", TOTAL, "haproxy", 2.5, 2.0),
    Bar("data plane + analysis, at a fixed rate", "paced", "cpu_us", TOTAL, "aiohttp", 0.25, 0.2),
    Bar("a new connection per request, data plane", "reconnect", "cpu_us", DATA_PLANE, "haproxy", 4.0, 2.5),
    Bar("latency added at p50", "latency", "p50_added", TOTAL, "haproxy", 2.0, 1.2),
    Bar("16 MiB answers, throughput", "download", "throughput", TOTAL, "haproxy", 0.7, 1.0, "higher"),
    Bar("16 MiB requests, throughput", "upload", "throughput", TOTAL, "haproxy", 0.7, 1.0, "higher"),
)
