"""`modeltap profile --weight`: applied, or refused with a reason."""

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exporter.commands.compare import add_arguments as compare_arguments
from exporter.commands.compare import run as compare
from exporter.commands.profile import add_arguments, run
from exporter.stats.profiles.profile import load


def _run(*flags: str) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args(list(flags)))


def _file(path: Path, weights: list[str]) -> str:
    lines = [f"{i % 7},{'ab'[i % 2]},{weights[i % len(weights)]}" for i in range(120)]
    path.write_text("\n".join(["x,word,w", *lines]) + "\n")
    return str(path)


def test_shares_are_of_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """a has three times the weight of b: three quarters of what the rows are worth."""
    out = tmp_path / "p.json"
    data = _file(tmp_path / "d.csv", ["3", "1"])
    assert _run("--data", data, "--weight", "w", "--out", str(out)) == 0
    found = load(out)
    assert found.column("word").balance == {"a": 0.75, "b": 0.25}
    assert found.column("word").rows == 96  # (60 * 4)^2 / (60 * 10)
    assert found.rows == 120
    assert "120 rows are worth 96 equal ones" in capsys.readouterr().err
    parser = argparse.ArgumentParser()
    compare_arguments(parser)
    assert compare(parser.parse_args([str(out), data, "--fail-on-drift"])) == 0  # its rows are weighted alike


def test_rows_without_weight_are_as_if_not_there(tmp_path: Path) -> None:
    """Weight 0 leaves a row out of everything."""
    out = tmp_path / "p.json"
    assert _run("--data", _file(tmp_path / "d.csv", ["1", "0"]), "--weight", "w", "--out", str(out)) == 0
    found = load(out)
    assert (found.rows, found.column("word").counts) == (60, (60, 0, 0))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (["1", "-2"], "line 3, column 'w': weight '-2', expected 0 or a number from 1e-12 to 1e12"),
        (["1", "nan"], "line 3, column 'w': weight 'nan'"),
        (["inf", "1"], "line 2, column 'w': weight 'inf'"),
        (["1", "1", ""], "line 4, column 'w': weight"),
        (["1", "1e13"], "line 3, column 'w': weight '1e13'"),
        (["heavy", "1"], "line 2, column 'w': weight 'heavy'"),
        (["true", "false"], "line 2, column 'w': weight 'true'"),
        (["0"], "no rows of a weight above 0 in 'w'"),
    ],
)
def test_bad_weights_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], weights: list[str], message: str
) -> None:
    """Status 2 with line, column and cell; nothing is written."""
    out = tmp_path / "p.json"
    assert _run("--data", _file(tmp_path / "d.csv", weights), "--weight", "w", "--out", str(out)) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_levels_and_performance_are_weighted(tmp_path: Path) -> None:
    """A file whose rows of weight 3 are right and whose others are wrong: three of four effective rows are right.

    The same by the reference's own split and by a file of test rows; the periods have bands and levels.
    """
    header = "when,x,w,kind,truth,said"
    start = datetime(2026, 1, 1, tzinfo=UTC)
    rows = []
    for i in range(288 * 9):
        when, truth, right = (start + i * timedelta(minutes=5)).isoformat(), i // 2 % 2, i % 2
        rows.append(f"{when},{i % 7},{3 if right else 1},test,{'ab'[truth]},{'ab'[(truth + right + 1) % 2]}")
    data, tested = tmp_path / "d.csv", tmp_path / "t.csv"
    data.write_text("\n".join([header, *rows]) + "\n")
    tested.write_text("\n".join([header, *rows, "2026-01-01T00:00:00Z,1,0,test,b,a"]) + "\n")
    common = f"--data {data} --weight w --target truth --prediction said --time when --period 1d".split()
    for flags in (("--split", "kind=test"), ("--test-rows", str(tested), "--ignore", "kind")):
        out = tmp_path / "p.json"
        assert _run(*common, *flags, "--out", str(out)) == 0
        profile = load(str(out))
        performance = profile.performance
        assert performance is not None
        assert performance.confusion is not None
        # 9 days of 144 rows of weight 3 and as many of 1: (9 * 576)^2 / (9 * 1440) = 2073.6 rows.
        assert performance.rows == 288 * 9
        assert performance.confusion.counts == ((778, 259), (259, 778))
        (accuracy,) = (band for band in performance.bands if band.figure == "accuracy")
        assert accuracy.mean == pytest.approx(0.75, abs=0.01)
        assert any(level.column == "x" for level in profile.levels)
