"""Counting lines: however they are cut, so many a second, every one of them once."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from exporter.records import model_process
from exporter.records.model_process import Page, Stream
from exporter.supervise.levels import HEAD_BYTES, level
from exporter.supervise.lines import Lines


def stream() -> Stream:
    """Counts of their own."""
    return Page(model_process.create(0.0)).streams["stdout"]


def counted(counts: Stream) -> dict[str, int]:
    """Levels that occurred."""
    return {name: count for name, count in counts.counts()[3].items() if count}


TEXT = b"INFO: one\n\nERROR: two\nWARNING:root:" + b"x" * 2000 + b"\nFATAL three"
FOUND = {"info": 1, "error": 1, "warning": 1, "<other>": 1}


@given(st.lists(st.integers(0, len(TEXT)), max_size=12))
def test_cut_anywhere(cuts: list[int]) -> None:
    """A line is told by its beginning, wherever the reads of a pipe cut it; the last has no end yet."""
    counts = stream()
    lines = Lines(counts, level)
    edges = [0, *sorted(cuts), len(TEXT)]
    for first, last in pairwise(edges):
        lines.feed(TEXT[first:last], 0.0)
    assert counted(counts) == FOUND
    assert len(lines._head) <= HEAD_BYTES
    lines.feed(b" is a level\n", 0.0)
    assert counted(counts) == {**FOUND, "critical": 1}


def test_so_many_a_second() -> None:
    """Lines beyond the rate are counted as skipped; time gives new ones, and no more than a second's worth."""
    counts = stream()
    lines = Lines(counts, level, rate=10)
    lines.feed(b"INFO: a\n" * 25, 100.0)
    assert (counted(counts), counts.counts()[1]) == ({"info": 10}, 15)
    lines.feed(b"INFO: a\n" * 25, 100.5)
    assert (counted(counts), counts.counts()[1]) == ({"info": 15}, 35)
    lines.feed(b"INFO: a\n" * 25, 1000.0)
    assert (counted(counts), counts.counts()[1]) == ({"info": 25}, 50)
    lines.feed(b"INFO: a\n", 10.0)
    assert counts.counts()[1] == 51, "a clock that goes back gives nothing"


def test_a_skipped_line_leaves_nothing_behind() -> None:
    """The beginning of a line that is skipped is not put before the next one."""
    counts = stream()
    lines = Lines(counts, level, rate=1)
    lines.feed(b"INFO: a\nERR", 0.0)
    lines.feed(b"OR: b\nWARN", 0.0)
    lines.feed(b"ING: c\n", 5.0)
    assert counted(counts) == {"info": 1, "warning": 1}
    assert counts.counts()[1] == 1
