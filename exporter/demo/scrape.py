"""What one `/metrics` answer says, as plain series that can be summed, selected and subtracted.

It knows the exposition format through prometheus_client's parser and no metric by name. Invariant: a family
that is absent is `None` or empty, never an error and never 0.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

Labels = Mapping[str, str]
Series = tuple[Labels, float]


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """One scrape: `at` in seconds of a monotonic clock, series by sample name (`…_bucket`, `…_total`, …)."""

    at: float
    series: Mapping[str, list[Series]]

    def select(self, name: str, where: Labels | None = None) -> list[Series]:
        """The series of that sample name whose labels hold all of `where`."""
        wanted = (where or {}).items()
        return [item for item in self.series.get(name, []) if wanted <= item[0].items()]

    def total(self, name: str, where: Labels | None = None) -> float | None:
        """Their sum; None if there is none."""
        chosen = self.select(name, where)
        return sum(value for _, value in chosen) if chosen else None


def sums(series: Iterable[Series], label: str) -> dict[str, float]:
    """Their sums by the values of one label."""
    found: dict[str, float] = {}
    for labels, value in series:
        key = labels.get(label, "")
        found[key] = found.get(key, 0.0) + value
    return found


def buckets(series: Iterable[Series]) -> dict[float, float]:
    """Cumulative counts by upper bound, ascending, summed over the series of a histogram's `…_bucket`."""
    return dict(sorted((_bound(text), count) for text, count in sums(series, "le").items()))


def parse(text: str, at: float) -> Snapshot:
    """Read a Prometheus text exposition (format 0.0.4). Raises ValueError on anything else."""
    series: dict[str, list[Series]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            series.setdefault(sample.name, []).append((sample.labels, float(sample.value)))
    return Snapshot(at, series)


def increase(new: Mapping[float, float], old: Mapping[float, float]) -> dict[float, float]:
    """How much each cumulative bucket grew; a bucket that was absent counts from 0."""
    return {bound: max(0.0, count - old.get(bound, 0.0)) for bound, count in new.items()}


def quantile(share: float, cumulative: Mapping[float, float]) -> float | None:
    """The quantile (0..1) of a histogram of values >= 0, linear within a bucket; None if it is empty.

    As PromQL's histogram_quantile: the first bucket begins at 0, and what falls into the last one, which has
    no upper bound, is given as the highest bound.
    """
    bounds = sorted(cumulative)
    if not bounds or cumulative[bounds[-1]] <= 0:
        return None
    rank, lower, below = share * cumulative[bounds[-1]], 0.0, 0.0
    for bound in bounds:
        if cumulative[bound] >= rank and cumulative[bound] > below:
            if math.isinf(bound):
                return lower
            return lower + (bound - lower) * (rank - below) / (cumulative[bound] - below)
        lower, below = bound, cumulative[bound]
    return lower


def _bound(text: str) -> float:
    return math.inf if text in ("+Inf", "") else float(text)
