"""label.py: labels as stores keep them: every form reads back, alone and among others, with a mark and without."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.analysis.performance.label import (
    class_mark,
    label_bytes,
    labels_of,
    mark_in,
    named_classes,
    readable,
    several_bytes,
    with_mark,
)
from exporter.analysis.performance.segments import NONE, digest, named
from exporter.pending.contract import LABEL_BYTES
from exporter.records.segment import MAX_SEGMENTS, Segment, parse_all

SEGMENTS = parse_all(["sex=F|M", "age<=30|50"])
GRADES = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 255), min_size=1, max_size=5)
NAMES = st.lists(st.sampled_from(("cat", "dog", "owl", "eel", "ape")), max_size=5, unique=True)
FORMS = st.one_of(
    st.tuples(st.just("one"), st.floats(-1e6, 1e6)),
    st.tuples(st.just("grouped"), st.floats(-1e6, 1e6)),
    st.tuples(st.just("several"), NAMES),
    st.tuples(
        st.just("graded"),
        GRADES,
    ),
)


def packed(form: str, given: Any) -> bytes:
    """One label of weight 0.5."""
    if form == "several":
        found = several_bytes(given, 0.5)
    elif form == "graded":
        found = several_bytes(list(given), 0.5, [float(one) for one in given.values()])
    else:
        groups = named(SEGMENTS, [("sex", "M"), ("age", "40")]) if form == "grouped" else None
        found = label_bytes(given, 0.5, 7, groups)
    assert found is not None
    return found


@given(st.lists(st.tuples(FORMS, st.integers(0, 2**32 - 1)), min_size=1, max_size=6))
def test_labels_read_back(given: list[tuple[tuple[str, Any], int]]) -> None:
    """Whatever stands beside it."""
    raw = [with_mark(packed(*form), mark) for form, mark in given]
    assert all(readable(one) and len(one) <= LABEL_BYTES and len(one) != 28 for one in raw)
    labels = labels_of(raw)
    assert labels["told"].tolist() == [mark for _, mark in given] == [mark_in(one) for one in raw]
    assert (labels["weight"] == 0.5).all()
    marks, grades = named_classes(labels)
    for place, ((form, value), _) in enumerate(given):
        if form in ("one", "grouped"):
            assert (labels["klass"][place], labels["number"][place]) == (7, value)
            continue
        wanted = {class_mark(name): 1.0 for name in value}
        if form == "graded":
            wanted = {class_mark(name): float(grade) for name, grade in value.items()}
        found = zip(marks[place].tolist(), grades[place].tolist(), strict=True)
        assert {mark: grade for mark, grade in found if mark} == wanted
    for place, ((form, _), _) in enumerate(given):
        if form == "grouped":
            assert labels["groups"][place].tolist()[:2] == [1, 1]
            assert labels["segments"][place] == digest(SEGMENTS)


@pytest.mark.parametrize("told", range(MAX_SEGMENTS + 1))
def test_groups_that_a_label_tells_are_kept(told: int) -> None:
    """Of none of the segments, of some, and of all: then no place is left empty."""
    segments = [Segment(name, words=("yes", "no")) for name in "abcd"]
    found = named(segments, [(one.column, "no") for one in segments[:told]])
    expected = bytes([1] * told + [NONE] * (MAX_SEGMENTS - told))
    assert (found.places if found is not None else bytes([NONE] * MAX_SEGMENTS)) == expected


@pytest.mark.parametrize("size", [0, 19, 21, 23, 25, 28, 29, 32])
def test_bytes_of_no_form(size: int) -> None:
    """They are no label."""
    assert not readable(b"\0" * size)


def test_more_classes_than_there_can_be() -> None:
    """A count that nobody wrote is told, with a mark and without."""
    for wrong in (8, 127, 134, 255):
        raw = np.float32(1).tobytes() + bytes((wrong,)) + bytes(21)
        assert not readable(raw) and not readable(raw + b"mark")
