"""One made-up, complete and deterministic set of samples: every catalogue row, with awkward values among them."""

from itertools import cycle

from exporter.records.catalogue import CATALOGUE, SIZE_BUCKETS, Metric
from exporter.records.observation_metrics import BATCH_BUCKETS
from exporter.records.sample import Exemplar, Exponential, Histogram, Sample

CREATED = 1_700_000_000.25
NOW = 1_700_000_600.5
SIGNED_BOUNDS = (-1048576.0, -1.0, -1e-05, 0.0, 1e-05, 1.0, 1048576.0)
LABEL_VALUES = {
    "model_name": ("iris", 'od"d\\name\nwith % and é'),
    "model_version": ("", "2"),
    "code": ("200", "none"),
    "bin": ("<null>", "(-inf, 0.5]"),
    "class": ("setosa", "<other>"),
    "error_type": ("5xx", "abort"),
}
NUMBERS = (0, 1.5, 12345678.9, 3, 1e-07)


def everything() -> list[Sample]:
    """Two series for each row with labels, one for the others; histograms hold exemplars on some buckets."""
    numbers = cycle(NUMBERS)
    return [
        Sample(
            row.name, labels, _value(row, next(numbers)), 0.0 if row.kind in ("gauge", "info") else CREATED
        )
        for row in CATALOGUE
        for labels in _label_sets(row)
    ]


def _label_sets(row: Metric) -> list[tuple[str, ...]]:
    if not row.labels:
        return [()]
    return [
        tuple(LABEL_VALUES.get(key, (f"{key}_a", f"{key}_b"))[place] for key in row.labels)
        for place in (0, 1)
    ]


def _value(row: Metric, number: float) -> float | Histogram:
    if row.kind == "info":
        return 1
    if row.kind != "histogram":
        return number
    bounds = row.buckets or SIGNED_BOUNDS
    counts = tuple(place % 3 for place in range(len(bounds) + 1))
    exemplars = tuple(
        Exemplar(f"{place + 1:032x}", f"{place + 1:016x}", bound, NOW) if place % 2 else None
        for place, bound in enumerate((*bounds, bounds[-1] + 1.0))
    )
    signed = bounds[0] < 0
    exponential = (
        None if signed or bounds in (SIZE_BUCKETS, BATCH_BUCKETS) else Exponential(3, 1, 0.0, -8, (1, 0, 2))
    )
    return Histogram(bounds, counts, None if signed else 12.25, exponential, exemplars)
