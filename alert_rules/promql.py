"""PromQL as text: names from the catalogue, and which families a query reads.

It knows no dashboard and no alert. Invariant: a metric name enters a query through `family`, which raises on
a name that the catalogue does not declare, and `families_in` finds it again in the finished text.
"""

import re
from collections.abc import Mapping
from functools import cache

import promql_parser

from exporter.records.catalogue import CATALOGUE, metric, prometheus_name
from exporter.records.gpu_metrics import RATIOS

HISTOGRAM_PARTS = ("_bucket", "_count", "_sum")
# Series that Prometheus itself makes.
ALERTS = "ALERTS"
SYNTHETIC = frozenset({"up", ALERTS})
# dcgm-exporter's series that panels take where a sidecar sees no GPU; no alert does.
FOREIGN = frozenset(
    f"DCGM_FI_DEV_{name}"
    for name in (
        *("GPU_UTIL", "MEM_COPY_UTIL", "FB_USED", "FB_FREE"),
        *("GPU_TEMP", "POWER_USAGE", "XID_ERRORS"),
    )
)
# What stands for a time; the first three as Grafana fills them for a data source scraped each 15 s.
DURATIONS = {
    **{"__rate_interval": "1m", "__range": "1h", "__interval": "15s"},
    **{"window": "1h", "fleet_window": "1h"},
    **{"latency_target": "1", "first_token_target": "0.5"},
}
# `${1}` of label_replace is no variable, in Grafana neither.
_VARIABLE = re.compile(r"\$(?:\{([a-zA-Z_]\w*)(?::\w+)?\}|([a-zA-Z_]\w*))")


def family(name: str, part: str = "") -> str:
    """The Prometheus name of a catalogue row, with `_bucket`, `_count` or `_sum`; KeyError if unknown."""
    return prometheus_name(metric(name)) + part


def either(name: str, selector: str) -> str:
    """A gauge of a convention's own unit of 1: as it is scraped, or as receivers of OTLP call it."""
    return f"{family(name)}{{{selector}}} or {family(name)}_ratio{{{selector}}}"


@cache
def declared() -> dict[str, str]:
    """Every series name that the catalogue gives rise to, with the family that it belongs to."""
    names = {}
    for row in CATALOGUE:
        base = prometheus_name(row)
        parts = HISTOGRAM_PARTS if row.kind == "histogram" else ("",)
        names.update({base + part: base for part in (*parts, *(("_ratio",) if row.name in RATIOS else ()))})
    return names


def selectors_in(query: str) -> list[promql_parser.VectorSelector]:
    """Every vector selector of a query, those inside ranges included; ValueError if it is no PromQL."""
    found: list[promql_parser.VectorSelector] = []

    def visit(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        return True

    promql_parser.walk(promql_parser.parse(query), visit)
    return found


def series_in(query: str) -> set[str]:
    """The series names that a query reads."""
    return {selector.name for selector in selectors_in(query) if selector.name}


def families_in(query: str) -> list[str]:
    """The catalogue families that a query reads, sorted; what Prometheus makes itself, or rules, is left out."""
    known = declared()
    return sorted({known[name] for name in series_in(query) if name in known})


def recorded_in(query: str) -> list[str]:
    """What it reads of recording rules, sorted: their names have colons, and no other does."""
    return sorted(name for name in series_in(query) if ":" in name)


def undeclared_in(query: str, recorded: frozenset[str] = frozenset()) -> list[str]:
    """Names in a query that neither the catalogue nor Prometheus nor a recording rule of ours makes."""
    return sorted(series_in(query) - declared().keys() - SYNTHETIC - recorded)


def interpolate(query: str, values: Mapping[str, str] | None = None) -> str:
    """The query as Prometheus would get it: variables replaced by `values`, else a duration or `.*`."""
    known = {**DURATIONS, **(values or {})}
    return _VARIABLE.sub(lambda found: known.get(found[1] or found[2], ".*"), query)
