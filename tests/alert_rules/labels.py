"""Which labels the series of an expression can have, as far as its text tells: for checks that need no Prometheus.

It knows the catalogue, the recording rules and PromQL's matching. Invariant: a label that it leaves out cannot be
there; `None` stands for what cannot be told (a scalar).
"""

from collections.abc import Mapping

import promql_parser as promql

from alert_rules.promql import declared
from alert_rules.rules import FOREIGN, Record
from exporter.records.catalogue import CATALOGUE, prometheus_name
from exporter.records.gpu_metrics import RATIOS

Labels = frozenset[str] | None
# What scraping and the orchestrator add.
TARGET = frozenset({"namespace", "job", "instance", "pod"})
ROWS = {prometheus_name(row): frozenset(row.labels) for row in CATALOGUE}
# As they are called where they were pushed.
ROWS |= {f"{prometheus_name(row)}_ratio": frozenset(row.labels) for row in CATALOGUE if row.name in RATIOS}
FOREIGN_LABELS = frozenset({"namespace", "horizontalpodautoscaler", "job"})
ALERTS_LABELS = frozenset({"alertname", "alertstate", "severity", *TARGET, "model_name", "slo"})
SETS = ("and", "or", "unless")


class Reader:
    """Reads expressions; recorded series have the labels of what they are recorded from."""

    def __init__(self, records: Mapping[str, list[Record]]) -> None:
        self._records = records
        self._known: dict[str, frozenset[str]] = {}
        # Vector-to-vector operations without `on` or `ignoring`, by the labels of both sides.
        self.bare: list[tuple[frozenset[str], frozenset[str]]] = []

    def of(self, expr: str) -> Labels:
        return self._of(promql.parse(expr))

    def _of(self, node: promql.Expr) -> Labels:
        match node:
            case promql.VectorSelector():
                return self._series(node.name or "")
            case promql.MatrixSelector():
                return self._of(node.vector_selector)
            case promql.ParenExpr() | promql.SubqueryExpr() | promql.UnaryExpr():
                return self._of(node.expr)
            case promql.AggregateExpr():
                return self._aggregated(node)
            case promql.BinaryExpr():
                return self._binary(node)
            case promql.Call():
                return self._called(node)
        return None

    def _series(self, name: str) -> frozenset[str]:
        if name in self._known:
            return self._known[name]
        if name in self._records:
            found = [(self.of(rule.expr) or frozenset()) | rule.labels.keys() for rule in self._records[name]]
            self._known[name] = frozenset().union(*found)
            return self._known[name]
        if name == "ALERTS":
            return ALERTS_LABELS
        if name in FOREIGN:
            return FOREIGN_LABELS
        family = declared().get(name, "")
        bucket = {"le"} if name.endswith("_bucket") else set()
        return TARGET | ROWS.get(family, frozenset()) | bucket

    def _aggregated(self, node: promql.AggregateExpr) -> Labels:
        inner = self._of(node.expr) or frozenset()
        if node.modifier is None:
            return frozenset()
        labels = frozenset(node.modifier.labels)
        return inner & labels if "By" in str(node.modifier.type) else inner - labels

    def _called(self, node: promql.Call) -> Labels:
        vectors = [found for found in map(self._of, node.args) if found is not None]
        labels = vectors[0] if vectors else (frozenset() if node.func.name == "vector" else None)
        if labels is not None and node.func.name in ("label_replace", "label_join"):
            return labels | {node.args[1].val}
        if labels is not None and node.func.name == "histogram_quantile":
            return labels - {"le"}
        return labels

    def _binary(self, node: promql.BinaryExpr) -> Labels:
        left, right, how = self._of(node.lhs), self._of(node.rhs), node.modifier
        if left is None or right is None:
            return left if right is None else right
        matching = how.matching if how else None
        operator = str(node.op)
        if matching is None and operator != "or":
            self.bare.append((left, right))
        if operator in SETS:
            return left | right if operator == "or" else left
        if how and "OneToOne" not in str(how.card):
            return left | frozenset(how.group_labels or ())
        if matching is None:
            return left
        on = frozenset(matching.labels)
        return left & on if "Include" in str(matching.type) else left - on
