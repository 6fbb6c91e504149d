"""Lines as servers write them, and the level that each tells."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.records.model_process import LEVELS as COUNTED
from exporter.supervise.levels import HEAD_BYTES, LEVELS, OTHER, level

LINES = Path(__file__).parents[1] / "vectors/log_lines/lines.tsv"
ROWS = [
    tuple(row.replace(r"\e", "\x1b").split("\t", 1))
    for row in LINES.read_text().splitlines()
    if not row.startswith("#")
]


@pytest.mark.parametrize(("expected", "line"), ROWS)
def test_levels(expected: str, line: str) -> None:
    """Each server's own form is understood, and no word in a sentence is taken for a level."""
    assert level(line.encode()) == expected


def test_every_level_has_a_place() -> None:
    """What the lines can be told as is what the page counts."""
    assert {*LEVELS, OTHER} == set(COUNTED)
    assert {expected for expected, _ in ROWS} == set(COUNTED)


@given(st.binary(max_size=2 * HEAD_BYTES))
def test_any_bytes_are_a_line(line: bytes) -> None:
    """Whatever comes is one of the levels, told from its beginning alone."""
    assert level(line) in COUNTED
    assert level(line) == level(line[:HEAD_BYTES])
