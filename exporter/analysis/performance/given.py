"""Feedback as it came -> the bytes that a store keeps of its label.

Refuses to know stores and rows. Invariant: what has no room is refused whole, never cut.
"""

from collections.abc import Sequence
from typing import Final

from exporter.analysis.performance.judged import Words
from exporter.analysis.performance.label import (
    MOST_CLASSES,
    MOST_GRADE,
    MOST_GRADED,
    label_bytes,
    several_bytes,
    with_mark,
)
from exporter.analysis.performance.segments import named
from exporter.analysis.performance.told import mark
from exporter.records.feedback import Feedback
from exporter.records.segment import Segment

# Why a label is refused, with what was expected instead.
EXPECTED: Final = {
    "too_many_classes": f"at most {MOST_CLASSES} classes of a row, or {MOST_GRADED} items with grades 0 to {MOST_GRADE}"
}


def value_of(one: Feedback, words: Words, segments: Sequence[Segment]) -> bytes | None:
    """A label as the store keeps it; None if it has no room."""
    if isinstance(one.label, tuple):
        found = several_bytes(one.label, one.weight, one.grades)
    else:
        groups = named(segments, one.groups) if one.groups else None
        found = label_bytes(one.label, one.weight, words.id(one.label), groups)
    return found and with_mark(found, mark(one.outcomes))
