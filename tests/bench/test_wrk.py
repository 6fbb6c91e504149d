"""wrk's output: totals are read, errors are seen."""

import pytest

from bench.errors import MeasureError
from bench.load import wrk

GOOD = "BENCH requests=100 duration_us=2000000 connect=0 read=0 write=0 timeout=0 status=0"


def test_parse() -> None:
    """The script's line is found between what wrk itself prints."""
    totals = wrk.parse(f"Running 1s test\n  2 threads\n{GOOD}\n")
    assert (totals.requests, totals.seconds, totals.failed) == (100, 2.0, [])


def test_errors_are_named() -> None:
    """Each kind of error that happened is named with its count."""
    totals = wrk.parse(GOOD.replace("read=0", "read=3").replace("status=0", "status=7"))
    assert totals.failed == ["3 read errors", "7 status errors"]


@pytest.mark.parametrize("output", ["", "unable to connect to 127.0.0.1:1", GOOD.replace(" status=0", "")])
def test_no_totals_is_an_error(output: str) -> None:
    """Output without the line, or with a line that lacks a number, is no measurement."""
    with pytest.raises(MeasureError, match="totals"):
        wrk.parse(output)
