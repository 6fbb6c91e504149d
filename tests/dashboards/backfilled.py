"""Two weeks of samples of every series that a query reads, as OpenMetrics for promtool to back-fill.

Three sidecars, two versions of a model, one restart; beside them an idle job, whose counters stand still. It knows the
catalogue and what queries match, and nothing of what either means. Invariant: no clock; the end is an argument's.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import promql_parser

from alert_rules.promql import ALERTS, declared, interpolate, selectors_in
from exporter.records.catalogue import CATALOGUE, prometheus_name
from exporter.records.metric import Metric

END = 1_700_000_000
STEP = 6 * 3600
POINTS = 57
# Of a counter, from one sample to the next.
GROWTH = 100
LIVELY, IDLE = "lively", "idle"
# What Grafana's variables stand for: ranges that hold samples of every six hours.
RANGES = {"__rate_interval": "1d", "__range": "14d", "fleet_window": "7d", "window": "1h", "role": "live"}
BOUNDS = (0.5, 1.0, float("inf"))
# Of a family that has both, series have one, the other, or both.
ALTERNATIVES = ("output", "feature")
OTHER = "x"
# Less is taken back than was added; squares are more than what they are of.
SCALES = {"withdrawn": 0.1, "model_column_squared_rows_total": 50, "model_column_squared_bins_total": 40}
# What no query names, and another query's series have to be joined with.
JOINED = {("model_reference_outlier_ratio", "reason"): f"outlier_{OTHER}"}
# Recorded series that stand for something that changes.
CHANGING = ("job:model_replicas:count",)
TARGET = {"job", "instance", "namespace", "pod"}
REPLICAS = (("a", "1"), ("b", "1"), ("c", "2"))

Labels = dict[str, str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One series name with the values of its labels that some query asks for."""

    name: str
    values: Mapping[str, frozenset[str]]


def wanted(queries: Iterable[str]) -> list[Wanted]:
    """Each series name that queries read, with what they match of its labels by name."""
    found: dict[str, dict[str, set[str]]] = {}
    for query in queries:
        for selector in selectors_in(interpolate(query, RANGES)):
            values = found.setdefault(selector.name or "", {})
            for one in selector.matchers.matchers:
                values.setdefault(one.name, set()).update(_asked(one))
    for (name, label), value in JOINED.items():
        found[name].setdefault(label, set()).add(value)
    return [
        Wanted(name, {key: frozenset(v) for key, v in each.items()}) for name, each in sorted(found.items())
    ]


def _asked(matcher: promql_parser.Matcher) -> Iterator[str]:
    """Values that would match; none where any value does."""
    if matcher.op == promql_parser.MatchOp.Equal and matcher.value:
        yield matcher.value
    elif matcher.op == promql_parser.MatchOp.NotEqual and matcher.value:
        yield OTHER
    elif matcher.op == promql_parser.MatchOp.Re and matcher.value not in (".*", ".+"):
        yield from (one.replace(".*", OTHER) for one in matcher.value.split("|") if one)
        if ".*" in matcher.value:
            yield OTHER


def openmetrics(series: Iterable[Wanted]) -> Iterator[str]:
    """Line by line; of the idle job everything is 0."""
    rows = {prometheus_name(row): row for row in CATALOGUE}
    for one in series:
        row = rows.get(declared().get(one.name, ""))
        for job, (instance, version) in product((LIVELY, IDLE), REPLICAS):
            if row is None and job == IDLE:
                continue  # neither rules nor other exporters say anything of it
            own = {"job": job, "instance": instance, "namespace": "ml", "pod": f"pod-{instance}"}
            for labels in _combinations(one, row, version):
                yield from _samples(one.name, row, {**labels, **own}, idle=job == IDLE)
    yield "# EOF\n"


def _combinations(one: Wanted, row: Metric | None, version: str) -> Iterator[Labels]:
    names = list(row.labels) if row else sorted((one.values.keys() | _others(one.name)) - TARGET)
    fixed = {"model_version": version, "le": "", "maturity": "arrival"}
    choices = [sorted(one.values.get(name, ())) or [fixed.get(name, OTHER)] for name in names]
    both = all(name in names for name in ALTERNATIVES)
    for values in product(*choices):
        labels = dict(zip(names, values, strict=True))
        yield labels
        if both:
            yield from ({**labels, name: ""} for name in ALTERNATIVES)


def _others(name: str) -> set[str]:
    """Labels of series that are not the catalogue's."""
    if name.startswith("DCGM_"):
        return {"UUID"}
    columns = {"model_name", "model_version", "output", "feature"}
    if name.startswith(("model:model_sl", "model:model_error_budget", "slo:")):
        return {"model_name", "slo"}
    return columns | {"alertname", "severity"} if name == ALERTS else columns if ":" in name else set()


def _samples(name: str, row: Metric | None, labels: Labels, idle: bool) -> Iterator[str]:
    bounds = BOUNDS if name.endswith("_bucket") else (None,)
    grows = row is not None and row.kind in ("counter", "histogram")
    scale = SCALES.get(name, SCALES.get(labels.get("state", ""), 1))
    for at, bound in enumerate(bounds, start=1):
        shown = {key: value for key, value in labels.items() if value}
        if bound is not None:
            shown["le"] = "+Inf" if bound == float("inf") else str(bound)
        text = ",".join(f'{key}="{value}"' for key, value in shown.items())
        for point in range(POINTS):
            # One of the replicas is started again in the middle.
            since = point - POINTS // 2 if labels["instance"] == "b" and point > POINTS // 2 else point
            value = 0 if idle else at * since * GROWTH * scale if grows else 1
            value += point % 2 if name in CHANGING else 0
            yield f"{name}{{{text}}} {value} {END - (POINTS - 1 - point) * STEP}\n"
