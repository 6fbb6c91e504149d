"""Rows that a job tells of, in either way; what makes no sense is counted and changes nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.supervise.rows import LINE_BYTES, Cut, Rows, pattern

TOLD = (
    (b"7", (7, 0, 0)),
    (b" 7 \r", (7, 0, 0)),
    (b'{"rows": 7}', (7, 0, 0)),
    (b'{"rows": 7, "failed": 2, "other": []}', (7, 2, 0)),
    (b'{"failed": 2}', (0, 2, 0)),
    (b"", (0, 0, 0)),
    (b"{}", (0, 0, 1)),
    (b"-1", (0, 0, 1)),
    (b"1.5", (0, 0, 1)),
    (b"true", (0, 0, 1)),
    (b'{"rows": "7"}', (0, 0, 1)),
    (b'{"rows": 7, "failed": -2}', (0, 0, 1)),
    (b"[7]", (0, 0, 1)),
    (b"NaN", (0, 0, 1)),
    (b"1" + b"0" * 400, (0, 0, 1)),
    (b"rows", (0, 0, 1)),
    (b"\xff\xfe", (0, 0, 1)),
)


@pytest.mark.parametrize(("line", "expected"), TOLD)
def test_told(line: bytes, expected: tuple[int, int, int]) -> None:
    """A line of the descriptor."""
    rows = Rows()
    rows.told(line)
    assert (rows.counts["ok"], rows.counts["failed"], rows.invalid) == expected


@given(st.binary(max_size=60))
def test_any_line(line: bytes) -> None:
    """Whatever is told, the sums only grow."""
    rows = Rows()
    rows.told(line)
    assert min(rows.counts.values()) >= 0


MATCHED = (
    (r"scored (\d+) rows", (b"scored 7 rows", b"scored 5 rows, again", b"nothing"), 12, 0),
    (r"(?P<unit>k?)rows=(?P<rows>[\d,]+)", (b"rows=1,000", b"rows=2"), 1002, 0),
    (r"(?P<total>\d+) of 90", (b"30 of 90", b"60 of 90", b"60 of 90", b"10 of 90"), 60, 0),
    (r"(\S+) rows", (b"seven rows", b"7 rows"), 7, 1),
    (r"a(\d+)?", (b"a", b"a7"), 7, 1),
    (r"(\d+)", (b"9" * 40,), 0, 1),
)


@pytest.mark.parametrize(("text", "lines", "ok", "invalid"), MATCHED)
def test_matched(text: str, lines: tuple[bytes, ...], ok: int, invalid: int) -> None:
    """Lines of the output; a total never goes back."""
    rows = Rows()
    for line in lines:
        rows.matched(pattern(text), line)
    assert (rows.counts["ok"], rows.invalid) == (ok, invalid)


@pytest.mark.parametrize("text", ["(", "no group", ""])
def test_patterns_that_cannot_be(text: str) -> None:
    """They are refused with what was expected."""
    with pytest.raises(ValueError, match="expected a regular expression with a group"):
        pattern(text)


@given(st.lists(st.binary(max_size=20), max_size=8))
def test_lines_cut_anywhere(parts: list[bytes]) -> None:
    """The lines are those of the whole, wherever it was cut."""
    cut = Cut()
    found = [line for part in parts for line in cut.lines(part)]
    assert [*found, cut.rest()] == b"".join(parts).replace(b"\r", b"\n").split(b"\n")


def test_long_lines_are_bounded() -> None:
    """A line without end is kept in part only."""
    cut = Cut()
    for _ in range(100):
        assert cut.lines(b"x" * 1000) == []
    assert len(cut._head) == LINE_BYTES
    assert [len(line) for line in cut.lines(b"x\ny\n")] == [LINE_BYTES, 1]
