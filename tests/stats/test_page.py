"""The page on statistics says what the code does."""

import re
from pathlib import Path

from exporter.stats import STATISTICS
from exporter.stats.window import LENGTHS_SECONDS, PANES
from tests.stats.simulation import NAMES

PAGE = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text()
ROWS = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in PAGE.splitlines()
    if line.startswith("|")
]


def test_the_table_of_statistics_is_the_tuple() -> None:
    """Names in their order, the types for which each holds, p-values and effects."""
    found = [row for row in ROWS if len(row) == 10 and row[0].startswith("`")]
    assert [row[0].strip("`") for row in found if row[0] != "`statistic`"] == NAMES
    for row, statistic in zip(found[1:], STATISTICS, strict=True):
        kinds = tuple(
            kind for kind, cell in zip(("numeric", "categorical"), row[1:3], strict=True) if cell == "yes"
        )
        assert kinds == statistic.kinds
        assert float(row[9]) == statistic.effect


def test_tables_of_simulation_have_every_statistic() -> None:
    """False alarms, requests, periods and power, in the order of the tuple."""
    heads = [row for row in ROWS if row[-1] == NAMES[-1]]
    assert [row[0] for row in heads] == ["shape", "held out", "requests x rows", "periods", "shift"]
    assert all(row[-len(NAMES) :] == NAMES for row in heads)


def test_stated_false_alarms_are_within_simulation_error() -> None:
    """No figure is above 1.7 of 1,000, but for the exception that the page names."""
    start = next(at for at, row in enumerate(ROWS) if row[:2] == ["shape", "rows"])
    for row in ROWS[start + 2 :]:
        if row[0] == "mean of all":
            assert all(float(cell) <= 1.0 for cell in row[2:])
            return
        for name, cell in zip(NAMES, row[2:], strict=True):
            assert float(cell) <= (2.5 if (row[0], name) == ("lognormal", "wasserstein") else 1.7), row


def test_what_was_not_fitted_on_is_told_too() -> None:
    """The held-out means are below one; the one statistic whose largest is not within simulation error is named."""
    mean, largest = (next(row for row in ROWS if row[0] == name) for name in ("mean", "largest"))
    assert all(float(cell) <= 1.0 for cell in mean[1:])
    above = [name for name, cell in zip(NAMES, largest[1:], strict=True) if float(cell) > 1.7]
    assert above == ["chi_square"]
    assert "Where it is not kept: chi-square" in PAGE


def test_windows_are_as_told() -> None:
    """Four lengths, twelve panes."""
    assert "Lengths of 5 m, 1 h, 24 h and 7 d by default, twelve panes each" in PAGE
    assert (LENGTHS_SECONDS, PANES) == ((300.0, 3600.0, 86_400.0, 604_800.0), 12)
