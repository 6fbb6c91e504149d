"""`modeltap metrics`: the catalogue, as a table. As a page, each family has a query to begin with."""

import argparse
from typing import Final

from exporter.records.catalogue import CATALOGUE, Metric, prometheus_name

_HEAD: Final = """# Metrics

Every family that modeltap exports, from the catalogue (`exporter/records/catalogue.py`); written by
`modeltap metrics --markdown > docs/metrics.md`. Names are Prometheus'; over OTLP a family has its OpenTelemetry name,
its unit, and the same labels as attributes. A label without a value is absent. *stable* families keep name, labels
and meaning; the others may still change, with a line in the changelog.

Each comes with a query to begin with. Counters and histograms of all replicas add up: sum before you divide.
"""
# The first that fits; "" fits all.
_SUBJECTS: Final = (
    (("model.request", "model.queue", "model.client", "model.response", "model.connection"), "Traffic"),
    (("gen_ai.", "model.generation"), "Generative models"),
    (("model.server",), "The model server about itself"),
    (("model.",), "The model, its predictions and features"),
    (("modeltap.",), "The sidecar about itself"),
    (("",), "Resources"),
)
# Where the kind alone makes no good query.
_QUERIES: Final = {
    "model.request.errors": 'sum by (model_name, error_type) (rate({name}{{error_type!~"4xx|abort"}}[5m]))',
    "model.up": "min({name})",
    "model.predictions": "{name} / on (model_name, model_version, output) group_left () "
    "sum by (model_name, model_version, output) ({name})",
    "model.drift": "{name} > on (model_name, model_version, output, feature, window, statistic, reference) "
    "model_drift_critical_value",
    "process.cpu.time": "sum by (component) (rate({name}[5m]))",
    "modeltap.collector.success": "{name} == 0",
    "modeltap.records.dropped": "sum by (reason) (rate({name}[5m])) > 0",
    "modeltap.restarts": "sum by (component, reason) (increase({name}[1h])) > 0",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The form."""
    parser.add_argument("--markdown", action="store_true", help="as the page docs/metrics.md")


def run(args: argparse.Namespace) -> int:
    """One entry each: Prometheus name, kind, labels, help."""
    print(markdown() if args.markdown else text(), end="")
    return 0


def text() -> str:
    """Two lines each."""
    lines = []
    for row in CATALOGUE:
        labels = "{" + ", ".join(row.labels) + "}" if row.labels else ""
        lines.append(f"{prometheus_name(row)}{labels}\n    {row.kind}, {row.stability}. {row.help}\n")
    return "".join(lines)


def markdown() -> str:
    """The page, by subject, each in the order of the catalogue."""
    parts = [_HEAD]
    subjects = [_subject(row) for row in CATALOGUE]
    for subject in dict.fromkeys(subjects):
        parts.append(f"\n## {subject}\n")
        parts += [_entry(row) for row, its in zip(CATALOGUE, subjects, strict=True) if its == subject]
    return "".join(parts)


def _subject(row: Metric) -> str:
    return next(subject for prefixes, subject in _SUBJECTS if row.name.startswith(prefixes))


def _entry(row: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in row.labels) or "none"
    unit = "" if row.unit == "1" else f", unit {row.unit}"
    return (
        f"\n### {prometheus_name(row)}\n\n{row.help}\n\n"
        f"`{row.name}`, {row.kind}{unit}, {row.stability}; labels: {labels}.\n\n"
        f"```promql\n{query(row)}\n```\n"
    )


def query(row: Metric) -> str:
    """A query to begin with."""
    name = prometheus_name(row)
    chosen = _QUERIES.get(row.name)
    if chosen is not None:
        return chosen.format(name=name)
    if row.kind == "histogram":
        by = ", ".join(("le", *[label for label in row.labels if label == "model_name"]))
        return f"histogram_quantile(0.99, sum by ({by}) (rate({name}_bucket[5m])))"
    if row.kind == "counter":
        by = ", ".join(row.labels)
        return f"sum by ({by}) (rate({name}[5m]))" if by else f"sum(rate({name}[5m]))"
    return name
