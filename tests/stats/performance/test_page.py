"""The page on performance says what the code does."""

import re
from pathlib import Path

import numpy as np

from exporter.stats.performance.class_figures import class_figures, each_class
from exporter.stats.performance.classes import Table
from exporter.stats.performance.contest import TUNED_ROWS
from exporter.stats.performance.errors import (
    ErrorLayout,
    Measured,
    QuantileLayout,
    RangeLayout,
    error_figures,
    quantile_figures,
    range_figures,
)
from exporter.stats.performance.figures import LEAST_POSITIVES, LEAST_ROWS, LOWER_IS_BETTER
from exporter.stats.performance.labels import LabelLayout, label_figures
from exporter.stats.performance.probabilities import ProbabilityLayout, probability_figures
from exporter.stats.performance.ranking import RankingLayout, ranking_figures
from exporter.stats.performance.score_figures import score_figures
from exporter.stats.performance.scores import ScoreLayout
from exporter.stats.performance.split import TUNED_PAIRS
from tests.stats.performance.simulation import CANARIES, ROWS, SETTINGS

PAGE = (Path(__file__).parents[3] / "docs" / "performance.md").read_text()
TABLES = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in PAGE.splitlines()
    if line.startswith("|")
]


def _names() -> set[str]:
    """Of every figure that there is."""
    table = Table(("a", "b"), np.ones((3, 2, 2)), np.zeros(3))
    figures = [*class_figures(table), *each_class(table)]
    scores, errors, labels = ScoreLayout((0.5,)), ErrorLayout(), LabelLayout(("x",))
    figures += score_figures(scores.read(np.ones(scores.size)))
    figures += error_figures(errors, errors.sums(Measured(np.array([1.0, 2.0]), np.array([2.0, 4.0]))))
    figures += [
        *range_figures(np.ones(RangeLayout().size)),
        *quantile_figures(np.ones(QuantileLayout(0.5).size)),
    ]
    ranking, likely = RankingLayout((1,)), ProbabilityLayout((1,))
    figures += ranking_figures(ranking, np.ones(ranking.size))
    figures += probability_figures(likely, np.ones(likely.size))
    figures += label_figures(labels, np.ones(labels.size))
    return {figure.name for figure in figures} | {"cost"}


def test_every_figure_is_in_a_table_once() -> None:
    """By its name, with formula, interval and when it is absent; and no other is there."""
    rows = [row for row in TABLES if len(row) == 4 and "`" in row[0]]
    told = [name for row in rows for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(told) == sorted(_names())
    assert all(all(row) for row in rows)


def test_what_is_better_lower_is_a_figure() -> None:
    """No name that does not exist."""
    assert _names() >= LOWER_IS_BETTER


def test_bounds_are_as_told() -> None:
    """Rows, rows of a class, and the rows that contests are tuned to."""
    assert f"Below {LEAST_ROWS} rows, or {LEAST_POSITIVES} of" in PAGE.replace("\n", " ")
    assert f"narrowest near {TUNED_ROWS:,} rows" in PAGE.replace("\n", " ")
    assert f"narrowest near M = {TUNED_PAIRS:g}: {4 * TUNED_PAIRS:,.0f} rows of which half" in PAGE


def test_the_table_of_intervals_is_complete_and_keeps_its_word() -> None:
    """Every setting and figure; 94 % and more, but for what the page names."""
    start = TABLES.index(["of", "figure", *(f"{rows:,} rows" for rows in ROWS)])
    rows = TABLES[start + 2 :]
    told = {(row[0], row[1].split("`")[1]) for row in rows}
    assert told == {(name, figure) for name, shown, _ in SETTINGS for figure, _ in shown}
    for row in rows:
        heavy = row[0] == "errors, heavy tails"
        few = row[0] == "scores, overconfident"  # about twenty positives of 200
        for rows_there, cell in zip(ROWS, row[2:], strict=True):
            least = 90.0 if heavy else 92.0 if few and rows_there == 200 else 93.8
            assert float(cell) >= least, row


def test_contests_are_decided_wrongly_as_seldom_as_told() -> None:
    """Of equal models less than 5 %, where a single look's interval does so in a fifth and more."""
    equal = [row for row in TABLES if len(row) == 6 and row[1] == "0"]
    split = [row for row in TABLES if len(row) == 7 and row[1] == "0 %"]
    assert (len(equal), [row[0] for row in split]) == (1, [one.name for one in CANARIES])
    for row in (*equal, *split):
        wrong, single = float(row[2].split()[0]) + float(row[3].split()[0]), float(row[5].split()[0])
        assert wrong < 5.0 < 18.0 < single
