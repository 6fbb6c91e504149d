"""The benchmark of statistics: it measures what it says, and says what was expected of arguments."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench import statistics
from exporter.stats import STATISTICS


def test_goals_are_met_on_their_side() -> None:
    """Throughput has to be above its goal, time and memory below; without a goal all is well."""
    assert statistics.Figure("a", 11.0, "M values/s", 10.0, more=True).met
    assert not statistics.Figure("a", 9.0, "M values/s", 10.0, more=True).met
    assert statistics.Figure("a", 4.0, "ms", 5.0).met
    assert not statistics.Figure("a", 6.0, "ms", 5.0).met
    assert statistics.Figure("a", 6.0, "ms").met


def test_memory_is_within_its_bound() -> None:
    """Memory does not depend on the machine: it is the one goal that can be asserted."""
    found = list(statistics.memory())
    assert len(found) == 3
    assert all(figure.goal == 20_000 and figure.met for figure in found)


def test_every_statistic_is_measured() -> None:
    """The comparison whose tick is measured finds all statistics of every column."""
    batch = statistics.numbers(3, 2000)
    windows, comparison = statistics.comparison_of(statistics.profile_of(batch), batch)
    assert windows.update(0.0, batch, requests=np.full(200, 10)) == ()
    result = comparison.measure(windows.read(0.0, 300.0))
    for name in batch:
        assert {one.statistic for one in result.of(name)} == {statistic.name for statistic in STATISTICS}


def test_table_and_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command prints a line per figure and writes the same figures."""
    monkeypatch.setattr(statistics, "UPDATES", ((3, 20, 10.0),))
    monkeypatch.setattr(statistics, "TICKS", ((3, 5.0),))
    monkeypatch.setattr(statistics, "ROUND_SECONDS", 0.001)
    file = tmp_path / "figures.json"
    assert statistics.main(["--rounds", "1", "--json", str(file)]) == 0
    lines, figures = capsys.readouterr().out.splitlines(), json.loads(file.read_text())
    assert len(lines) == len(figures) == 2 * 4 + 1 + 1 + len(statistics.TOGETHER) + 3
    assert all(figure["value"] > 0 for figure in figures)


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--rounds", "x"], ["--peer-list"]])
def test_arguments_that_are_none(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """They are told, and nothing is measured."""
    with pytest.raises(SystemExit) as ended:
        statistics.main(arguments)
    assert ended.value.code == 2
    assert arguments[0] in capsys.readouterr().err
