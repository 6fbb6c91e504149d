"""What a row of the catalogue is; the rows that one part of the sidecar owns may stand in a file of their own."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram", "info"]
Stability = Literal["stable", "development"]

# Bounds that serve a 1 ms tabular model and a 60 s generation alike; an SLO threshold is usually one of them.
LATENCY_BUCKETS = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0),
)


@dataclass(frozen=True, slots=True)
class Metric:
    """One family. `labels` fixes the order in which label values are given; an empty value means "no such label"."""

    name: str
    kind: Kind
    unit: str
    labels: tuple[str, ...]
    help: str
    stability: Stability = "development"
    buckets: tuple[float, ...] = ()
