"""One moment of the terminal view, as numbers: what the difference of two scrapes says.

Everything here comes from the sidecar's own `/metrics`; nothing from the client. Invariant: what the scrapes
do not tell is None or empty.
"""

import math
import re
from dataclasses import dataclass

from exporter.demo.scrape import Labels, Series, Snapshot, buckets, increase, quantile, sums

# Endpoints that are no predictions; every other operation is traffic.
_NO_TRAFFIC = ("health", "metadata")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_EFFECT = 0.1


@dataclass(frozen=True, slots=True)
class Drift:
    """PSI of one column in one window; `limit` is what chance exceeds once in 1,000 times, where known."""

    column: str
    is_output: bool
    window: str
    psi: float
    floor: float | None
    limit: float | None

    @property
    def drifting(self) -> bool:
        """PSI above 0.1 and above chance: the sidecar's critical value, or else three times the floor."""
        chance = self.limit if self.limit is not None else 3 * (self.floor or 0.0)
        return self.psi > max(_EFFECT, chance)


@dataclass(frozen=True, slots=True)
class Expected:
    """The ROC AUC that scores let expect, no label known, with its 95 % limits."""

    window: str
    area: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Frame:
    """`rate` in requests per second, `p50` and `p99` in seconds, `errors` since the start by type."""

    rate: float | None
    p50: float | None
    p99: float | None
    requests: float | None
    errors: dict[str, float]
    in_flight: float | None
    queue: float | None
    histogram: list[tuple[float, float, float]]
    drift: list[Drift]


def frame(new: Snapshot, old: Snapshot, output: str) -> Frame:
    """What happened between two scrapes; `output` is the numeric output whose histogram is shown."""
    seconds = new.at - old.at
    requests, before = predictions(new), predictions(old)
    durations = increase(_durations(new), _durations(old))
    values, chosen = "model_prediction_value_bucket", {"output": output}
    grown = increase(buckets(new.select(values, chosen)), buckets(old.select(values, chosen)))
    return Frame(
        rate=(requests - (before or 0.0)) / seconds if requests is not None and seconds > 0 else None,
        p50=quantile(0.5, durations),
        p99=quantile(0.99, durations),
        requests=requests,
        errors={name: count for name, count in errors(new).items() if count},
        in_flight=new.total("model_requests_in_flight"),
        queue=new.total("model_queue_length"),
        histogram=bars(grown),
        drift=drift(new),
    )


def predictions(snapshot: Snapshot) -> float | None:
    """Requests finished so far, health and metadata left out."""
    counted = _traffic(snapshot, "model_request_duration_seconds_count")
    return sum(value for _, value in counted) if counted else None


def errors(snapshot: Snapshot) -> dict[str, float]:
    """Failed requests so far by `error_type`, health and metadata left out."""
    return sums(_traffic(snapshot, "model_request_errors_total"), "error_type")


def bars(cumulative: dict[float, float], most: int = 12) -> list[tuple[float, float, float]]:
    """(lower, upper, count) per bin from the first to the last that is not empty; merged to `most`."""
    bins: list[tuple[float, float, float]] = []
    lower, below = -math.inf, 0.0
    for bound, count in sorted(cumulative.items()):
        bins.append((lower, bound, count - below))
        lower, below = bound, count
    filled = [index for index, (_, _, count) in enumerate(bins) if count > 0]
    if not filled:
        return []
    bins = bins[filled[0] : filled[-1] + 1]
    size = math.ceil(len(bins) / most)
    groups = [bins[start : start + size] for start in range(0, len(bins), size)]
    return [(group[0][0], group[-1][1], sum(count for _, _, count in group)) for group in groups]


def drift(snapshot: Snapshot) -> list[Drift]:
    """PSI per column in the shortest window that has any, outputs first, then the largest first."""
    found = _of_a_version(snapshot.select("model_drift", {"statistic": "psi"}))
    window = min((labels.get("window", "") for labels, _ in found), key=_seconds, default="")
    rows = []
    for labels, psi in found:
        if labels.get("window", "") == window and not math.isnan(psi):
            output, feature = labels.get("output", ""), labels.get("feature", "")
            floor = _beside(snapshot, "model_drift_noise_floor", labels)
            limit = _beside(snapshot, "model_drift_critical_value", labels)
            rows.append(Drift(output or feature, bool(output), window, psi, floor, limit))
    return sorted(rows, key=lambda row: (not row.is_output, -row.psi, row.column))


def expected(snapshot: Snapshot) -> Expected | None:
    """The AUC that the scores of the shortest window let expect; None if it is not told."""
    found = _of_a_version(snapshot.select("model_expected_performance", {"statistic": "auc_roc"}))
    window = min((labels.get("window", "") for labels, _ in found), key=_seconds, default="")
    told = {labels.get("state"): value for labels, value in found if labels.get("window") == window}
    if not {"value", "low", "high"} <= told.keys():
        return None
    return Expected(window, told["value"], told["low"], told["high"])


def _of_a_version(found: list[Series]) -> list[Series]:
    """Without what was counted before an answer told the model's version: a few rows that say nothing beside others."""
    told = [item for item in found if item[0].get("model_version", "") not in ("", "unknown")]
    return told or found


def _durations(snapshot: Snapshot) -> dict[float, float]:
    return buckets(_traffic(snapshot, "model_request_duration_seconds_bucket"))


def _traffic(snapshot: Snapshot, name: str) -> list[Series]:
    return [item for item in snapshot.select(name) if item[0].get("operation") not in _NO_TRAFFIC]


def _beside(snapshot: Snapshot, name: str, labels: Labels) -> float | None:
    """The value of another family for the same column and window; None if there is none."""
    same = {key: value for key, value in labels.items() if key in ("model_name", "model_version", "window")}
    same |= {key: labels[key] for key in ("output", "feature") if labels.get(key)}
    chosen = [
        value for other, value in snapshot.select(name, same) if other.get("statistic", "psi") in ("", "psi")
    ]
    return chosen[0] if chosen else None


def _seconds(window: str) -> float:
    match = re.fullmatch(r"(\d+)([smhd])", window)
    return int(match[1]) * _UNITS[match[2]] if match else math.inf
