"""The figures to reach, as the design names them: data, compared with a run, never asserted."""

from dataclasses import dataclass

from bench.figures import TOTAL


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure of the sidecar: a ratio to another peer, or a number in `unit` where `against` is "".

    `bar` is owed, `goal` is aimed at; None where the design names none, and the figure is only told.
    """

    what: str
    scenario: str
    metric: str
    role: str
    against: str
    bar: float | None
    goal: float | None
    better: str = "lower"
    unit: str = "x"
    digits: int = 2

    def verdict(self, value: float | None) -> str:
        """ "goal", "bar", "missed", "not measured", or "" where nothing is owed."""
        if value is None:
            return "not measured"
        for threshold, word in ((self.goal, "goal"), (self.bar, "bar")):
            if threshold is not None and (
                value <= threshold if self.better == "lower" else value >= threshold
            ):
                return word
        return "" if self.bar is None else "missed"


DATA_PLANE = "data plane"

BARS: tuple[Bar, ...] = (
    Bar("data plane, CPU per request", "keepalive", "cpu_us", DATA_PLANE, "haproxy", 2.0, 1.4),
    Bar("data plane + analysis", "keepalive", "cpu_us", TOTAL, "haproxy", 2.5, 2.0),
    Bar("data plane + analysis", "keepalive", "cpu_us", TOTAL, "aiohttp", 0.25, 0.2),
    Bar("data plane, 256 connections", "keepalive-256", "cpu_us", DATA_PLANE, "haproxy", 2.0, 1.4),
    Bar("data plane, at a fixed rate", "paced", "cpu_us", DATA_PLANE, "haproxy", 2.0, 1.4),
    Bar("data plane + analysis, at a fixed rate", "paced", "cpu_us", TOTAL, "haproxy", 2.5, 2.0),
    Bar("data plane + analysis, at a fixed rate", "paced", "cpu_us", TOTAL, "aiohttp", 0.25, 0.2),
    Bar("a new connection per request, data plane", "reconnect", "cpu_us", DATA_PLANE, "haproxy", 4.0, 2.5),
    Bar("latency added at p50", "latency", "p50_added", TOTAL, "haproxy", 2.0, 1.2),
    Bar("p90 of traffic, analysis saturated vs idle", "saturated", "p90_ratio", TOTAL, "", 1.3, 1.0),
    Bar("p99 of traffic, analysis saturated vs idle", "saturated", "p99_ratio", TOTAL, "", 1.3, 1.0),
    Bar("16 MiB answers, throughput", "download", "throughput", TOTAL, "haproxy", 0.7, 1.0, "higher"),
    Bar("16 MiB requests, throughput", "upload", "throughput", TOTAL, "haproxy", 0.7, 1.0, "higher"),
    # "At most one write": the relay does nothing for a token but one write, so twice its delay is one more.
    Bar("a streamed token, delay added at p50", "stream", "p50_added", TOTAL, "relay", 2.0, None),
    Bar("a streamed token, delay added at p50", "stream", "p50_added", TOTAL, "haproxy", None, None),
    Bar("TLS, keep-alive, data plane", "tls", "cpu_us", DATA_PLANE, "haproxy", None, None),
    Bar("TLS, a full handshake per request", "tls-handshake", "cpu_us", DATA_PLANE, "haproxy", None, None),
    Bar("TLS, a resumed handshake per request", "tls-resumed", "cpu_us", DATA_PLANE, "haproxy", None, None),
    Bar(
        "memory of an idle keep-alive connection",
        *("idle", "memory", DATA_PLANE, "", None, None),
        unit=" KiB",
        digits=1,
    ),
    Bar(
        "memory of both processes, 50 features",
        *("features", "rss", TOTAL, "", 150.0, 110.0),
        unit=" MB",
        digits=0,
    ),
    Bar(
        "ready to accept after start",
        *("footprint", "ready", TOTAL, "", 1000.0, 200.0),
        unit=" ms",
        digits=0,
    ),
)
