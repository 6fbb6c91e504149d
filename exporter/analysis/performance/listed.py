"""Rows that say more than one thing, and their labels: several labels of a row, chances of several classes, rankings.

One array of sums for each form, by the layout that its `What` implies. Refuses to know cells, time and Samples.
Invariant: sums of parts are those of the whole; a row that cannot be used is in the layout's refused slot.
"""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.performance import packing
from exporter.analysis.performance.judged import What
from exporter.analysis.performance.label import named_classes
from exporter.pending.row import RowArray
from exporter.records.exchange import OTHER
from exporter.stats.bins import FloatArray, IntArray
from exporter.stats.performance.figures import Figure
from exporter.stats.performance.labels import LabelLayout, Labelled, label_figures
from exporter.stats.performance.probabilities import (
    Likely,
    Near,
    ProbabilityLayout,
    TopLayout,
    probability_figures,
    top_figures,
)
from exporter.stats.performance.ranking import Ranked, RankingLayout, ranking_figures
from exporter.stats.performance.sums import WEIGHT

RANKING: Final = RankingLayout((1, 3, 5))
OUTCOMES: Final = ("true_negative", "false_positive", "false_negative", "true_positive")
Layout = LabelLayout | ProbabilityLayout | TopLayout | RankingLayout


def layout_of(what: What) -> Layout | None:
    """The layout of its form; None where a row says one thing."""
    if what.form == "labels":
        return LabelLayout((*what.classes, OTHER))
    if what.form == "chances":
        depths = tuple(depth for depth in (1, 3, 5) if depth < len(what.classes))
        return ProbabilityLayout(depths) if len(what.classes) <= packing.MOST_CHANCES else TopLayout(depths)
    return RANKING if what.form == "ranking" else None


def planes_of(what: What) -> tuple[tuple[int, int], ...]:
    """Where rows, weights and squared weights lie: (first, width of a plane)."""
    if what.form == "labels":
        cells = 4 * (len(what.classes) + 1)
        return (0, cells), (3 * cells, 1)
    return ((0, 1),)


def sums_of(what: What, rows: RowArray, labels: NDArray[Any]) -> FloatArray:
    """The sums of several labels a row, or of rankings."""
    weights = labels["weight"].astype(np.float64)
    named, grades = named_classes(labels)
    layout = layout_of(what)
    if isinstance(layout, LabelLayout):
        marks = what.class_marks
        truth = (named[:, None, :] == marks[None, :, None]).any(axis=2)
        foreign = ((named != 0) & ~np.isin(named, marks)).any(axis=1)
        predicted = packing.marks(rows, len(what.classes))
        none = np.zeros(len(rows), np.bool_)
        true, called = (
            np.column_stack(side).astype(np.float64) for side in ((truth, foreign), (predicted, none))
        )
        return layout.sums(Labelled(true, called, weights))
    items = packing.ranking(rows)
    found = (items[:, :, None] == named[:, None, :]) & (items != 0)[:, :, None]
    relevance = (found * grades[:, None, :]).max(axis=2, initial=0.0)
    relevance[items == 0] = np.nan
    return RANKING.sums(Ranked(relevance, np.where(named != 0, grades, np.nan), weights))


def chance_sums(what: What, rows: RowArray, places: IntArray, weights: FloatArray) -> FloatArray:
    """The sums of chances; `places`: of the true class, -1 of one that has no chance."""
    layout, count = layout_of(what), len(what.classes)
    if isinstance(layout, ProbabilityLayout):
        return layout.sums(Likely(places, packing.all_chances(rows, count), weights))
    assert isinstance(layout, TopLayout)
    best, shares = packing.likeliest(rows, count)
    true = best == places[:, None]
    own = (true * shares).sum(axis=1)
    rank = np.where(true.any(axis=1), (shares >= own[:, None]).sum(axis=1), 0)
    return layout.sums(Near(rank, weights))


def figures_of(what: What, sums: FloatArray) -> list[Figure]:
    """Every figure that these sums have."""
    layout = layout_of(what)
    if isinstance(layout, LabelLayout):
        return label_figures(layout, sums)
    if isinstance(layout, ProbabilityLayout):
        return probability_figures(layout, sums)
    if isinstance(layout, TopLayout):
        return top_figures(layout, sums)
    return ranking_figures(RANKING, sums)


def statistics(what: What, sums: FloatArray) -> Iterator[tuple[str, float]]:
    """Weighted sums by name, those of which rates are made: each over `weight` is a figure."""
    layout = layout_of(what)
    if isinstance(layout, LabelLayout):
        _, weight, _, right, wrong, _, _ = sums[-7:].tolist()
        yield from (("weight", weight), ("all_right", right), ("wrong_labels", wrong))
        return
    yield "weight", float(sums[1])
    if isinstance(layout, ProbabilityLayout):
        yield from (("log_loss", float(sums[3])), ("brier", float(sums[5])))
        yield "log_loss_clipped", float(sums[-2])
        yield from _by_depth("top", layout.depths, sums[7:-2].tolist())
    elif isinstance(layout, TopLayout):
        yield from _by_depth("top", layout.depths, sums[3:-1].tolist())
    else:
        yield "reciprocal_rank", float(sums[3])
        yield from _by_depth("hit", RANKING.depths, sums[7::3].tolist())
        yield from _by_depth("ndcg", RANKING.depths, sums[8::3].tolist())


def totals(what: What, sums: FloatArray) -> tuple[float, float, float]:
    """Weights, their squares, and the weight of what is wholly right; of a ranking whose first item is relevant."""
    if what.form == "labels":
        _, weight, squares, right, *_ = sums[-7:].tolist()
        return weight, squares, right
    right = sums[7] if what.form == "ranking" else 0.0
    return float(sums[1]), float(sums[2]), float(right)


def _by_depth(name: str, depths: tuple[int, ...], sums: list[float]) -> Iterator[tuple[str, float]]:
    yield from ((f"{name}_{depth}", value) for depth, value in zip(depths, sums, strict=True))


def label_cells(what: What, sums: FloatArray) -> Iterator[tuple[str, str, float]]:
    """(label, outcome, weight) of several labels a row."""
    layout = layout_of(what)
    assert isinstance(layout, LabelLayout)
    for place, name in enumerate(layout.labels):
        cells = layout.table(sums, place).cells[WEIGHT].ravel().tolist()
        yield from ((name, outcome, value) for outcome, value in zip(OUTCOMES, cells, strict=True))
