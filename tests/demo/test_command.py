"""The command line of `modeltap demo`: what it accepts, and what it says to what it does not."""

import argparse
from pathlib import Path

import pytest

from exporter.commands import demo


def parsed(*words: str) -> argparse.Namespace:
    """The arguments as the command reads them."""
    parser = argparse.ArgumentParser()
    demo.add_arguments(parser)
    return parser.parse_args(words)


def test_every_flag_has_a_default_and_a_value() -> None:
    """Without flags the demo goes on until it is stopped, on a free port; each flag is read."""
    bare = parsed()
    assert (bare.duration, bare.listen_port, bare.data, bare.plain) == (None, 0, None, False)
    full = parsed("--duration", "60", "--listen-port", "9000", "--data", "folder", "--plain")
    assert (full.duration, full.listen_port, full.data, full.plain) == (60.0, 9000, Path("folder"), True)


@pytest.mark.parametrize(
    ("flag", "value"),
    [("--duration", "soon"), ("--duration", "0"), ("--duration", "nan"), ("--listen-port", "70000")],
)
def test_bad_values_say_what_was_expected(flag: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A value out of range ends with status 2 and names the flag, the value and the range."""
    with pytest.raises(SystemExit, match="2"):
        parsed(flag, value)
    error = capsys.readouterr().err
    assert flag in error and repr(value) in error and "expected" in error


def test_missing_data_is_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that does not hold the data set ends the command with status 1 and says how to get it."""
    assert demo.run(parsed("--duration", "5", "--data", str(tmp_path))) == 1
    assert "pip install --no-deps" in capsys.readouterr().err
