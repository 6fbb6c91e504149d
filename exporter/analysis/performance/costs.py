"""Costs of what a model answers: realised ones from labels, expected ones from scores that need no label.

Refuses to know labels' ways. Invariants: gains and losses are apart, so that neither sum falls; a pair of classes that
the owner did not name costs nothing; expected is only what has a score of one of two classes.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from exporter.analysis.performance.judged import What
from exporter.analysis.performance.scored import Tally, predicted_classes, shortest
from exporter.pending.row import RowArray, version_id
from exporter.records.cost import Cost
from exporter.stats.bins import FloatArray
from exporter.stats.performance.classes import Table
from exporter.stats.performance.sums import WEIGHT

# Cells of what is expected: the sum, and the rows that are in it.
SUM, ROWS = "g", "h"
_MOST = 256  # outputs and roles


class Costs:
    """`costs` of the configuration; false without any."""

    def __init__(self, costs: Sequence[Cost] = ()) -> None:
        self._named = {(one.truth, one.predicted): one.cost for one in costs}
        self._pairs = {tuple(map(version_id, pair)): cost for pair, cost in self._named.items()}
        self._classes = {number for pair in self._pairs for number in pair}
        # Rows, gain, loss.
        self._expected: dict[tuple[What, int], FloatArray] = {}

    def __bool__(self) -> bool:
        return bool(self._named)

    def realised(self, tally: Tally) -> tuple[float, float]:
        """(gain, loss), neither negative."""
        gain = loss = 0.0
        for pair, planes in tally.pairs.items():
            cost = self._pairs.get(pair, 0.0) * max(float(planes[WEIGHT]), 0.0)
            gain, loss = gain + max(-cost, 0.0), loss + max(cost, 0.0)
        return gain, loss

    def predicted(self, what: What, role: int, rows: RowArray) -> Mapping[str, float]:
        """Count what rows let expect; the cells that it adds."""
        values = self.expected(what, rows)
        if values is None or not len(values):
            return {}
        if (what, role) not in self._expected and len(self._expected) >= _MOST:
            return {}
        sums = self._expected.setdefault((what, role), np.zeros(3))
        sums += (len(values), np.maximum(-values, 0.0).sum(), np.maximum(values, 0.0).sum())
        return {SUM: float(values.sum()), ROWS: float(len(values))}

    def expected(self, what: What, rows: RowArray) -> FloatArray | None:
        """Of each row that has a score: p times what its answer costs if the positive class is true, and so on."""
        positive = version_id(what.positive)
        others = self._classes - {positive}
        if what.form != "binary" or positive not in self._classes or len(others) != 1:
            return None
        (negative,) = others
        scores, chosen = shortest(rows["value"]), predicted_classes(rows, what)
        yes, no = (
            np.where(
                chosen == np.uint64(positive),
                self._pairs.get((truth, positive), 0.0),
                self._pairs.get((truth, negative), 0.0),
            )
            for truth in (positive, negative)
        )
        fit = (scores >= 0.0) & (scores <= 1.0)
        return np.asarray((scores * yes + (1.0 - scores) * no)[fit], np.float64)

    def totals(self) -> Iterator[tuple[What, int, tuple[float, float, float]]]:
        """(output, role, (rows, gain, loss)) of what was expected; any thread."""
        for (what, role), sums in list(self._expected.items()):
            rows, gain, loss = sums.tolist()
            yield what, role, (rows, gain, loss)

    def matrix(self, classes: Sequence[str]) -> FloatArray:
        """As `cost_per_row` takes it, for these classes in this order."""
        return np.array([[self._named.get((truth, one), 0.0) for one in classes] for truth in classes])

    def binary(self, what: What) -> FloatArray | None:
        """The matrix of the other class and the positive one; None where it is not known which the other is."""
        others = {name for pair in self._named for name in pair} - {what.positive}
        if what.form != "binary" or len(others) != 1:
            return None
        return self.matrix((*others, what.positive))

    def of(self, table: Table) -> FloatArray:
        """The matrix of a table."""
        return self.matrix(table.classes)


NO_COSTS = Costs()
