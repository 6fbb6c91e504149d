"""rules.py: a real Prometheus evaluates the real groups over back-filled data, and its own times are printed."""

import pytest

from bench.rules import GROUPS, main
from tests.environments.tools import tools


def test_each_group_is_timed(capsys: pytest.CaptureFixture[str]) -> None:
    """Once, for one column: a positive time for each."""
    assert main(["--rounds", "1", "--columns", "1", "--every", "1", "--tools", str(tools())]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert [line[0] for line in lines] == list(GROUPS)
    assert all(float(line[1]) > 0.0 for line in lines)


def test_what_makes_no_sense_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2 for numbers below 1, 1 where Prometheus is not there."""
    assert main(["--rounds", "0"]) == 2
    assert "expected numbers from 1" in capsys.readouterr().err
    assert main(["--tools", "/nowhere"]) == 1
    assert "prometheus, promtool not found" in capsys.readouterr().err
