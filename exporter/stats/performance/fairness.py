"""Fairness: how far groups are apart in what is decided about them, from the confusion cells of each.

Refuses to know what groups are. Invariant: figures are fairlearn's; a group with fewer rows than can be judged takes no
part, and one figure needs two groups that do. Source: fairlearn, `fairlearn.metrics`; Hardt, Price and Srebro,
"Equality of opportunity in supervised learning" (2016).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.stats.performance.classes import Table
from exporter.stats.performance.figures import LEAST_POSITIVES, Basis, Figure, share_of
from exporter.stats.performance.scores import POSITIVE
from exporter.stats.performance.sums import ROWS, SQUARES, WEIGHT


@dataclass(frozen=True, slots=True)
class Fairness:
    """Selection rates: difference and ratio (demographic parity). Rates of true and false positives: the larger of both
    differences, the smaller of both ratios (equalised odds), None where a rate is not known of two groups."""

    parity_difference: float
    parity_ratio: float
    odds_difference: float | None
    odds_ratio: float | None
    groups: int


def group_rates(table: Table, positive: str = POSITIVE) -> dict[str, Figure]:
    """Selection, true positive and false positive rate of one group, those that are defined."""
    place = table.classes.index(positive)
    right, truth, predicted = (side[:, place] for side in (table.right, table.truth, table.predicted))
    basis = Basis(int(table.whole[ROWS]), 0.0)
    found = {}
    for name, hits, whole in (
        ("selection_rate", predicted, table.whole),
        ("true_positive_rate", right, truth),
        ("false_positive_rate", predicted - right, table.whole - truth),
    ):
        own = basis._replace(rarest=int(whole[ROWS]))
        figure = share_of(name, float(hits[WEIGHT]), (float(whole[WEIGHT]), float(whole[SQUARES])), own)
        if figure is not None:
            found[name] = figure
    return found


def fairness(
    groups: Mapping[str, Table], positive: str = POSITIVE, least: int = LEAST_POSITIVES
) -> Fairness | None:
    """What separates these groups; `least`: rows that a rate needs. None unless two groups have a selection rate."""
    rates: dict[str, list[float]] = {}
    for table in groups.values():
        for name, figure in group_rates(table, positive).items():
            if (figure.basis.rarest or 0) >= least:
                rates.setdefault(name, []).append(figure.value)
    selection = rates.get("selection_rate", [])
    if len(selection) < 2:
        return None
    odds = [rates.get(name, []) for name in ("true_positive_rate", "false_positive_rate")]
    known = all(len(own) > 1 for own in odds)
    return Fairness(
        max(selection) - min(selection),
        _ratio(selection),
        max(max(own) - min(own) for own in odds) if known else None,
        min(map(_ratio, odds)) if known else None,
        len(selection),
    )


def _ratio(rates: list[float]) -> float:
    """Smallest over largest; 1 where all are 0, which are equal."""
    return min(rates) / max(rates) if max(rates) > 0.0 else 1.0
