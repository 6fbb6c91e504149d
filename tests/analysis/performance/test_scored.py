"""scored.py: sums of labels against rows; the same from parts, over cells and back."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.analysis.performance.cohorts import Period
from exporter.analysis.performance.judged import What, Words, told
from exporter.analysis.performance.label import label_bytes, labels_of
from exporter.analysis.performance.margins import named, parted
from exporter.analysis.performance.scored import Tally, shortest, table
from exporter.analysis.performance.targets import Target
from exporter.pending.row import RowArray, blank, version_id
from exporter.records.segment import parse_all

FORMS = {
    "classes": What("m", "1", "y", "classes"),
    "binary": What("m", "1", "y", "binary", "1"),
    "number": What("m", "1", "y", "number", scale=0.5),
    "interval": What("m", "1", "y", "interval"),
    "quantile": What("m", "1", "y_q0.9", "number"),
    "labels": What("m", "1", "y", "labels", classes=("cat", "0", "1")),
    "chances": What("m", "1", "y", "chances", classes=("cat", "0", "1")),
    "likeliest": What("m", "1", "y", "chances", classes=("cat", *map(str, range(9)))),
    "ranking": What("m", "1", "y", "ranking", segments=parse_all(["sex=F|M"])),
    "grouped": What("m", "1", "y", "classes", segments=parse_all(["sex=F|M", "age<=30"])),
    "target": What("m", "1", "y", "number", target=Target("0a1b2c3d", (0.0, 1.0, 2.5))),
    "errors by group": What("m", "1", "y", "number", segments=parse_all(["sex=F|M"])),
}
CLASSES = ("0", "1", "true", "cat", "")
ROW = st.tuples(
    st.sampled_from(CLASSES),
    st.floats(-2, 2, width=32) | st.just(float("nan")),
    st.sampled_from((*CLASSES, 0.0, 1.0, 2.5)),
    st.sampled_from((1.0, 1.0, 2.0, 0.5)),
)


def pairs(listed: list[tuple[Any, ...]]) -> tuple[RowArray, Any]:
    """Rows of (class, value), and labels with weights."""
    words = Words()
    rows = blank(len(listed), 0.0)
    ids = np.array([words.id(klass or None) for klass, *_ in listed], "<u8")
    rows["bins"] = ids.view("u1").reshape(-1, 8) if listed else rows["bins"]
    for row, (klass, *_) in zip(rows, listed, strict=True):
        row["groups"] = (len(str(klass)) % 3, 1, 255, 255)
    rows["value"] = [value for _, value, _, _ in listed]
    raw = [
        label_bytes(label, weight, words.id(label if label != "" else None)) for *_, label, weight in listed
    ]
    return rows, labels_of(raw)


def tally(what: What, listed: list[tuple[Any, ...]]) -> Tally:
    made = Tally(what)
    made.update(*pairs(listed))
    return made


def alike(one: Tally, other: Tally) -> None:
    assert (one.rows, one.unusable) == (other.rows, other.unusable)
    assert one.pairs.keys() == other.pairs.keys()
    for pair, planes in one.pairs.items():
        assert planes == pytest.approx(other.pairs[pair])
    for cell in one.groups.keys() | other.groups.keys():
        sums = [side.groups.get(cell, np.zeros(3)) for side in (one, other)]
        assert sums[0] == pytest.approx(sums[1])
    for part in ("scores", "errors", "ranges", "listed", "quantile", "target"):
        mine, theirs = getattr(one, part), getattr(other, part)
        if part == "target" and mine is not None:
            # Whose last two are of a whole hour, which only cells are.
            mine, theirs = mine[:-2], theirs[:-2]
        assert (mine is None) is (theirs is None)
        if mine is not None:
            assert mine == pytest.approx(theirs, rel=1e-9, abs=1e-9)


@settings(max_examples=60)
@given(st.sampled_from(sorted(FORMS)), st.lists(ROW, min_size=1, max_size=12), st.lists(ROW, max_size=12))
def test_parts_add_up_over_cells_and_back(form: str, first: list[Any], second: list[Any]) -> None:
    """All at once, part by part, and as cells that a store adds up: the same tally."""
    what = FORMS[form]
    whole = tally(what, first + second)
    parts = tally(what, first)
    parts.merge(tally(what, second))
    alike(whole, parts)
    cells: dict[str, float] = {}
    for part in (first, second):
        for name, value in tally(what, part).cells():
            cells[name] = cells.get(name, 0.0) + value
    alike(whole, Tally.of_cells(what, cells))
    parts.merge(tally(what, second), -1.0)
    assert parts.rows == len(first)


@settings(max_examples=60)
@given(st.lists(ROW, min_size=1, max_size=20))
def test_the_margins_of_cells_agree(listed: list[Any]) -> None:
    """Every row is in one cell or unusable; cells by name have as many rows as those by id."""
    found = tally(FORMS["classes"], listed)
    words = Words()
    for word in CLASSES:
        words.id(word or None)
    shown = table(found, words.names())
    assert shown.whole[0] + found.unusable == found.rows
    assert shown.truth[0].sum() == shown.predicted[0].sum() == shown.whole[0]


@settings(max_examples=200)
@given(st.integers(-9999, 9999), st.integers(0, 4))
def test_decimals_survive_float32(digits: int, places: int) -> None:
    """What was meant to lie at an edge lies there again."""
    meant = digits / 10**places
    assert shortest(np.array([meant], np.float32))[0] == meant


def test_a_names_text_is_what_it_was() -> None:
    """Over the store's text and back; other texts are none."""
    for what in FORMS.values():
        assert told(what.text) == what
    number = '["m","1","y","number","",0,[],[],'
    targets = [f"{number}{end}]" for end in ("3", '["a"]', '["a",[2,1]]', "[1,[2]]", f'["a",{[*range(25)]}]')]
    for text in ("", "cat", "[]", '["a","b","c","d","e",1]', '[1,2,3,"classes","",0]', "{}", *targets):
        assert told(text) is None


def test_names_of_cells() -> None:
    """By output and role; what says nothing is passed over, as in a later release's cells."""
    what = FORMS["binary"]
    cells = {
        f"{named(what.id, 0)}r": 2.0,
        f"{named(what.id, 1)}k": 3.0,
        "short": 1.0,
        f"{named(what.id, 0)}zz": 1.0,
    }
    found = parted(cells)
    assert found == {(what.id, 0): {"r": 2.0, "zz": 1.0}, (what.id, 1): {"k": 3.0}}
    period = Period(what, 0, Tally(what), Tally(what))
    period.add(found[what.id, 0])
    assert period.labelled.rows == 2


def test_words_are_bounded() -> None:
    """What is over has an id and no name; a name that another replica tells must be the id's own."""
    words = Words(2)
    ids = [words.id(f"c{number}") for number in range(4)]
    assert [words.name(one) for one in ids] == ["c0", "c1", "<other>", "<other>"]
    assert len(set(ids)) == 4
    other = Words()
    other.learn({version_id("right"): "right", 7: "wrong"})
    assert other.names() == {version_id("right"): "right"}
