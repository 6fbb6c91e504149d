"""classes.py: predicted rows by class, bounded."""

import pytest

from exporter.analysis.classes import MAX_CLASSES, MAX_OUTPUTS, Classes
from tests.analysis.world import column


def test_texts_count_by_class_and_numbers_under_none() -> None:
    """A categorical output has a count per class, a numeric one under the empty class."""
    classes = Classes()
    classes.count("label", [column(["a", "b"]), column(["a"])])
    classes.count("score", [column([0.5, 0.25])])
    assert classes.counts == {("label", "a"): 2, ("label", "b"): 1, ("score", ""): 2}


def test_first_sight_fixes_how_an_output_is_counted() -> None:
    """Numbers of an output first seen as classes are written as classes, and the other way round."""
    classes = Classes()
    classes.count("a", [column(["1"])])
    classes.count("a", [column([1.0, 2.5])])
    classes.count("b", [column([0.5])])
    classes.count("b", [column(["1"])])
    assert classes.counts == {("a", "1"): 2, ("a", "2.5"): 1, ("b", ""): 2}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("", "<empty>"), (None, "<null>"), ("<nan>", "<nan>"), (" 1.0 ", "1")),
        *(("<null>", "<other>"), ("<empty>", "<other>"), ("<unseen>", "<other>"), ("x" * 129, "<other>")),
    ],
)
def test_special_words_meet_no_real_category(text: str | None, expected: str) -> None:
    """The empty text has a name of its own, and a text that looks like a special value is <other>."""
    classes = Classes()
    classes.count("label", [column([text])])
    assert classes.counts == {("label", expected): 1}


def test_classes_and_outputs_are_bounded() -> None:
    """What is over the bounds is counted under <other>; nothing is lost."""
    classes = Classes()
    classes.count("label", [column([f"c{n}" for n in range(1000)])])
    for n in range(MAX_OUTPUTS + 5):
        classes.count(f"o{n}", [column(["x"])])
    outputs = {output for output, _ in classes.counts}
    assert len([1 for output, _ in classes.counts if output == "label"]) == MAX_CLASSES + 1
    assert len(outputs) == MAX_OUTPUTS + 1
    assert classes.counts["label", "<other>"] == 1000 - MAX_CLASSES
    assert classes.counts["<other>", "<other>"] == 6
    assert sum(classes.counts.values()) == 1000 + MAX_OUTPUTS + 5
