"""Scenes for promtool: columns that stay, move, jump, are rare, idle or unknown, as series of counters.

`python -m tests.alert_rules.scenes` writes the drift*_test.yaml beside this file; a test compares. What is
expected of a statistic is a literal, or what exporter/stats says of the same counts: another implementation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from exporter.stats import STATISTICS, CategoricalBins, NumericBins
from exporter.stats.bins import Bins
from exporter.stats.drift import Drift, Pair
from exporter.stats.kolmogorov_smirnov import robust_excess
from exporter.stats.psi import PSI

HERE = Path(__file__).resolve().parent
HEAD = "# Written by `python -m tests.alert_rules.scenes`; change it there.\n"
EDGES = ("20.0", "40.0", "60.0", "80.0", "+Inf", "<null>", "<nan>")
PROFILE = (100, 200, 400, 200, 100, 0, 0)
STEADY = (1, 2, 4, 2, 1, 0, 0)
IDENTITY = {"job": "modeltap", "model_version": "1", "reference": "0a1b2c3d", "role": "live"}

Json = dict[str, Any]
Phases = Sequence[tuple[int, Sequence[float]]]  # so many steps, with so many rows per bin in each


@dataclass(frozen=True)
class Column:
    """One column of one model in one replica; `batch`: rows of each request, all in one bin, None for no counters."""

    model: str
    phases: Phases
    kind: str = "output"
    reference: Sequence[int] = PROFILE
    batch: int | None = None
    more: Mapping[str, str] = field(default_factory=dict)
    replica: str = "a"
    bins: Sequence[str] = EDGES

    @property
    def labels(self) -> dict[str, str]:
        """What the recorded series of this column have."""
        return {**IDENTITY, "model_name": self.model, self.kind: "x", **self.more}

    @property
    def layout(self) -> Bins:
        """As exporter/stats has its bins."""
        if "<nan>" in self.bins:
            return NumericBins(tuple(float(edge) for edge in self.bins[:4]))
        return CategoricalBins(tuple(self.bins[:-2]))

    @property
    def steps(self) -> int:
        return sum(steps for steps, _ in self.phases)

    def series(self) -> Iterable[Json]:
        name = {"output": "model_prediction_bin_total", "feature": "model_feature_bin_total"}[self.kind]
        for place, label in enumerate(self.bins):
            if self.phases:
                yield self._one(name, counted([(n, rows[place]) for n, rows in self.phases]), bin=label)
            if self.reference:
                yield self._one(
                    "model_reference_bin_rows", f"{self.reference[place]}x{self.steps or 2000}", bin=label
                )
        if self.batch is not None:
            rows = counted([(n, sum(rows) * self.batch) for n, rows in self.phases])
            yield self._one("model_column_squared_rows_total", rows)
            yield self._one("model_column_squared_bins_total", rows)

    def recorded(self, window: str) -> Iterable[Json]:
        """What an earlier group has recorded of it: the same in each step of a phase."""
        for place, label in enumerate(self.bins):
            rows = constant([(n, rows[place]) for n, rows in self.phases])
            yield self._told(f"column_bin:model_rows:increase{window}", rows, bin=label)
            if self.reference:
                profile = f"{self.reference[place]}x{self.steps}"
                yield self._one("model_reference_bin_rows", profile, bin=label)
        whole = constant([(n, sum(rows)) for n, rows in self.phases])
        squared = constant([(n, sum(rows) * (self.batch or 1)) for n, rows in self.phases])
        yield self._told(f"column:model_rows:increase{window}", whole)
        yield self._told(f"column:model_effective_rows:increase{window}", whole)
        for what in ("rows", "bins") if self.batch else ():
            yield self._told(f"column:model_squared_{what}:increase{window}", squared)

    def ordered(self) -> Iterable[Json]:
        """Its edges, as the group of the hour records them."""
        edges = [label for label in self.bins if label[0] not in "+<"]
        for place, label in enumerate(edges, start=1):
            known = {"bin": label, "edges": str(len(edges))}
            yield self._told("column_bin:model_edge:value", f"{label}x{self.steps}", **known)
            yield self._told("column_bin:model_edge:place", f"1x{self.steps}", place=str(place), **known)
        if edges:
            yield self._told("column_bin:model_edge:place", f"1x{self.steps}", bin="+Inf", place="last")

    def _told(self, name: str, values: str, **more: str) -> Json:
        return {"series": selector(name, {**self.labels, **more}), "values": values}

    def _one(self, name: str, values: str, **more: str) -> Json:
        labels = {"instance": self.replica, **self.labels, **more}
        return {"series": selector(name, labels), "values": values}


def selector(name: str, labels: Mapping[str, str]) -> str:
    chosen = ", ".join(f'{key}="{value}"' for key, value in labels.items())
    return f"{name}{{{chosen}}}"


def counted(phases: Sequence[tuple[int, float]]) -> str:
    """A counter from 0 on in promtool's notation."""
    total, parts = 0.0, ["0"]
    for steps, each in phases:
        parts.append(f"{total + each:g}+{each:g}x{steps - 1}" if each else f"{total:g}x{steps - 1}")
        total += steps * each
    return " ".join(parts)


def constant(phases: Sequence[tuple[int, float]]) -> str:
    """A gauge in promtool's notation."""
    return " ".join(f"{value:g}x{steps - 1}" for steps, value in phases)


def psi(live: Sequence[float], effective: float | None = None, base: Sequence[float] = PROFILE) -> Drift:
    """As exporter/stats has it, of whole counts."""
    bins = NumericBins(tuple(float(edge) for edge in EDGES[:4]))
    found = PSI.measure(Pair(bins, np.array(base, np.int64), np.array(live, np.int64), effective))
    assert found is not None
    return found


def yardsticks(window: str, column: Column, at: str, live: Sequence[float], batch: int = 1) -> Iterable[Json]:
    """Each statistic that bins give, of such a column, with its yardsticks: as exporter/stats has them."""
    counts = np.array(live, np.int64)
    pair = Pair(column.layout, np.array(column.reference, np.int64), counts, counts.sum() / batch)
    return compared(window, column, at, pair, [one.name for one in STATISTICS if one.name != "wasserstein"])


def compared(window: str, column: Column, at: str, pair: Pair, names: Sequence[str]) -> Iterable[Json]:
    """These statistics of a pair; one that does not hold for such bins is not there."""
    for one in STATISTICS:
        if one.name not in names:
            continue
        found = one.measure(pair)
        key = {**column.labels, "statistic": one.name}
        for what, value in parts(found).items() if found else ():
            yield digits(selector(f"column:model_{what}:{window}", key), at, (key, value))
        if found is None:
            yield truth(selector(f"column:model_drift:{window}", key), at, 0)


def parts(found: Drift) -> dict[str, float]:
    """What is recorded of a statistic, by the middle of its name."""
    told = {"drift": found.value, "drift_floor": found.floor, "drift_critical": found.critical}
    told["drift_excess"] = found.excess
    if found.statistic == "kolmogorov_smirnov":
        told["drift_robust_excess"] = robust_excess(found)
    return told


def digits(expr: str, at: str, *found: tuple[Mapping[str, str], float]) -> Json:
    """To ten digits after the point."""
    samples = [{"labels": selector("", labels), "value": round(value * 1e10)} for labels, value in found]
    return {"expr": f"round({expr} * 1e10)", "eval_time": at, "exp_samples": samples}


def truth(expr: str, at: str, count: int) -> Json:
    """So many series; none is none."""
    samples = [{"labels": "{}", "value": count}] if count else []
    return {"expr": f"count({expr})", "eval_time": at, "exp_samples": samples}


def fires(alert: str, at: str, *alerts: Json) -> Json:
    return {"alertname": f"Modeltap{alert}", "eval_time": at, "exp_alerts": list(alerts)}


def alert(name: str, column: Column, summary: str, description: str, severity: str = "warning") -> Json:
    notes = {"summary": summary, "description": description}
    notes["runbook_url"] = f"alert_rules/RUNBOOK.md#modeltap{name.lower()}"
    labels = {"severity": severity, **column.labels, "statistic": "psi"}
    if "column x" in description:
        labels["column"] = "x"
    return {"exp_labels": labels, "exp_annotations": notes}


def block(name: str, interval: str, series: Iterable[Json], *cases: Json) -> Json:
    found: Json = {"name": name, "interval": interval, "input_series": list(series)}
    for kind, key in (("alert_rule_test", "alertname"), ("promql_expr_test", "expr")):
        if chosen := [case for case in cases if key in case]:
            found[kind] = chosen
    return found


def scraped(columns: Iterable[Column]) -> list[Json]:
    return [series for column in columns for series in column.series()]


def recorded(window: str, columns: Iterable[Column]) -> list[Json]:
    return [series for column in columns for series in column.recorded(window)]


def document(interval: str, name: str, *tests: Json) -> str:
    """Of one file of rules: promtool evaluates several groups in any order."""
    whole = {
        "rule_files": [f"../../alert_rules/{name}.yaml"],
        "evaluation_interval": interval,
        "tests": list(tests),
    }
    return HEAD + yaml.safe_dump(whole, sort_keys=False, width=10_000, allow_unicode=True)


def files() -> dict[str, str]:
    """Every file, by name."""
    from tests.alert_rules import (
        scenes_expected,
        scenes_hour,
        scenes_long,
        scenes_pairs,
        scenes_statistics,
        scenes_targets,
    )

    return {
        "drift_test.yaml": scenes_hour.text(),
        "drift_statistics_test.yaml": scenes_statistics.text(),
        "drift_long_test.yaml": scenes_long.text(),
        "drift_pairs_test.yaml": scenes_pairs.text(),
        "targets_test.yaml": scenes_targets.text(),
        "expected_test.yaml": scenes_expected.text(),
    }


def main() -> None:
    for name, text in files().items():
        (HERE / name).write_text(text)


if __name__ == "__main__":
    main()
