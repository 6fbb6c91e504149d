"""task.py and guess.py: what outputs are, who says so, and what follows from it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from scipy.stats import entropy

from exporter.analysis.batch import Batch
from exporter.analysis.guess import MAX_CLASSES
from exporter.analysis.known import Known
from exporter.analysis.task import GUESS_ROWS, Outputs, Reading, class_words
from exporter.records.observation import Column
from tests.analysis.world import column

RNG = np.random.default_rng(5)
UNIT = RNG.random(GUESS_ROWS)
SIMPLEX = RNG.dirichlet(np.ones(3), GUESS_ROWS)
WORDS = np.array(["a", "b", "c"], object)[RNG.integers(0, 3, GUESS_ROWS)]
SENTENCES = np.array([f"this is sentence number {n}" for n in range(GUESS_ROWS)], object)


def numbers(name: str, values: Any) -> Column:
    return Column(name, "numeric", np.asarray(values, np.float64))


def words(name: str, values: Any) -> Column:
    return Column(name, "categorical", np.asarray(values, object))


def vector(values: Any) -> Column:
    return Column("y", "vector", np.asarray(values, np.float64))


def read(made: Outputs, *columns: Column) -> Reading:
    return made.read(Batch(tuple([one.name for one in columns]), [columns]))


def classes(table: np.ndarray, base: str = "y") -> list[Column]:
    return [numbers(f"{base}_{place}", table[:, place]) for place in range(table.shape[1])]


GUESSES: list[tuple[str, Sequence[Column]]] = [
    ("binary", [numbers("y", UNIT)]),
    ("regression", [numbers("y", UNIT * 3)]),
    ("binary", classes(np.column_stack((UNIT, 1 - UNIT)))),
    ("multiclass", classes(SIMPLEX)),
    ("multilabel", classes(RNG.random((GUESS_ROWS, 4)))),
    ("unknown", classes(RNG.normal(size=(GUESS_ROWS, 4)))),
    ("interval", [numbers("lower", UNIT), numbers("y", UNIT), numbers("upper", UNIT + 1)]),
    ("binary", [words("y", np.array(["0", "1"], object)[(UNIT > 0.5).astype(int)])]),
    ("multiclass", [words("y", WORDS)]),
    ("multiclass", [words("class", WORDS), numbers("score", UNIT)]),
    ("unknown", [words("class", WORDS), numbers("value", UNIT * 9)]),
    ("unknown", [words("y", WORDS), words("z", WORDS)]),
    ("unknown", [words("y", [str(n) for n in range(GUESS_ROWS)])]),
    ("text", [words("y", SENTENCES)]),
    ("embedding", [vector(RNG.normal(size=(GUESS_ROWS, 70)))]),
    ("multiclass", [vector(RNG.dirichlet(np.ones(70), GUESS_ROWS))]),
    ("unknown", [vector(RNG.normal(size=(GUESS_ROWS, 70))), numbers("z", UNIT)]),
]


@pytest.mark.parametrize(("task", "columns"), GUESSES)
def test_guess(task: str, columns: Sequence[Column]) -> None:
    """After so many rows, and not before, the task is what the outputs have in common."""
    made = Outputs(Known())
    halves = [
        [Column(c.name, c.kind, c.values[part]) for c in columns] for part in (slice(0, -1), slice(-1, None))
    ]
    read(made, *halves[0])
    assert (made.task, made.source) == ("unknown", "unknown")
    read(made, *halves[1])
    assert (made.task, made.source) == (task, "unknown" if task == "unknown" else "guessed")
    assert made.contradictions == 0


def test_outputs_of_several_forms_are_not_guessed() -> None:
    """A model that answers now one thing and now another has no task that follows from its outputs."""
    made = Outputs(Known())
    read(made, numbers("y", UNIT))
    other = Outputs(Known())
    read(other, numbers("y", UNIT[:500]))
    read(other, numbers("z", UNIT[:500]))
    assert (made.task, other.task) == ("binary", "unknown")


def test_who_says_the_task() -> None:
    """Configuration before profile before server; a word that is no task is nobody's."""
    assert (Outputs(Known(task="ranking"), "binary").task, Outputs(Known(), "binary").source) == (
        "ranking",
        "profile",
    )
    bounds = Outputs(Known(lower_output="a", upper_output="b"), "regression")
    assert (bounds.task, bounds.source) == ("interval", "configured")
    for nonsense in ("", None, "unknown", "sorting"):
        assert (Outputs(Known(), nonsense).task, Outputs(Known(), nonsense).source) == ("unknown", "unknown")
    told = Outputs(Known())
    told.told("sorting")
    told.told("regression")
    told.told("binary")
    assert (told.task, told.source) == ("regression", "server")
    declared = Outputs(Known(task="binary"))
    declared.told("regression")
    assert (declared.task, declared.source) == ("binary", "configured")


def test_a_task_is_never_switched() -> None:
    """What was guessed stays, whatever follows; rows that cannot be are counted."""
    made = Outputs(Known())
    read(made, *classes(SIMPLEX))
    assert made.task == "multiclass"
    reading = read(made, *classes(np.array([[0.2, 0.3, 0.5], [0.9, 0.9, 0.9], [2.0, -1.0, 0.0]])))
    assert reading.contradictions == made.contradictions == 2
    assert len(reading.columns["confidence"]) == 1
    made.told("regression")
    for _ in range(3):
        read(made, *classes(RNG.normal(size=(GUESS_ROWS, 3))))
    assert (made.task, made.source) == ("multiclass", "guessed")
    assert made.contradictions == 2 + 3 * GUESS_ROWS


def test_scores_have_no_entropy() -> None:
    """One row that is no probability, before the form is settled, makes them scores for good."""
    made = Outputs(Known(task="multiclass"))
    assert read(made, *classes(SIMPLEX[:5])).columns
    assert read(made, *classes(np.array([[3.0, -1.0, 0.5]]))) == Reading()
    assert read(made, *classes(SIMPLEX)) == Reading()
    assert made.contradictions == 0


def test_unknown_outputs_have_no_derived_columns() -> None:
    """Before a task is known nothing is derived, though the values could be probabilities."""
    assert read(Outputs(Known()), *classes(SIMPLEX[:5])) == Reading()


@pytest.mark.parametrize("wide", [False, True])
def test_probabilities_of_many_classes(wide: bool) -> None:
    """Confidence, margin and entropy as scipy has them; the class of the largest is counted."""
    table = RNG.dirichlet(np.full(70 if wide else 3, 0.2), 50)
    made = Outputs(Known(task="multiclass"))
    reading = read(made, vector(table)) if wide else read(made, *classes(table))
    np.testing.assert_allclose(reading.columns["entropy"], entropy(table, axis=1), atol=1e-12)
    np.testing.assert_allclose(reading.columns["confidence"], table.max(axis=1))
    expected = np.bincount(table.argmax(axis=1), minlength=table.shape[1])
    assert reading.classes == {str(place): count for place, count in enumerate(expected.tolist()) if count}


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (Known(task="binary"), {"1": 2, "0": 1}),
        (Known(task="binary", threshold=0.8), {"1": 1, "0": 2}),
        (Known(task="binary", threshold=0.9), {"1": 1, "0": 2}),
        (Known(task="binary", positive_class="fraud"), {"fraud": 2, "<other>": 1}),
        (Known(task="binary", positive_class="0"), {"0": 2, "1": 1}),
    ],
)
def test_class_of_one_probability(known: Known, expected: dict[str, int]) -> None:
    """The threshold itself is positive; what the other class is called follows from the positive one."""
    reading = read(Outputs(known), numbers("p", [0.2, 0.6, 0.9]))
    assert reading.classes == expected
    np.testing.assert_allclose(reading.columns["margin"], [0.6, 0.2, 0.8])


@pytest.mark.parametrize(("positive", "expected"), [("", {"yes": 2, "no": 1}), ("no", {"no": 3})])
def test_class_of_two_probabilities(positive: str, expected: dict[str, int]) -> None:
    """The second of two is positive unless a class is declared; classes are called as their outputs are."""
    known = Known(task="binary", positive_class=positive, threshold=0.35 if positive else 0.5)
    table = np.array([[0.6, 0.4], [0.4, 0.6], [0.35, 0.65]])
    columns = [numbers("scores.no", table[:, 0]), numbers("scores.yes", table[:, 1])]
    assert read(Outputs(known), *columns).classes == expected


def test_classes_that_the_model_names_are_not_chosen_again() -> None:
    """Beside a class in words the probabilities tell certainty only; a score alone tells not even that."""
    table = RNG.dirichlet(np.ones(3), 4)
    made = Outputs(Known(task="multiclass"))
    reading = read(made, words("class", WORDS[:4]), *classes(table, "scores"))
    assert set(reading.columns) == {"confidence", "margin", "entropy"}
    assert not reading.classes
    assert (
        read(Outputs(Known(task="binary")), words("class", ["a", "b"]), numbers("score", [0.9, 0.8]))
        == Reading()
    )


def test_nulls_have_no_certainty_and_contradict_nothing() -> None:
    """A row with NaN is left out of what is derived."""
    made = Outputs(Known(task="binary"))
    reading = read(made, numbers("p", [0.9, np.nan, 0.1]))
    assert len(reading.columns["entropy"]) == 2
    assert reading.contradictions == 0
    assert read(made, numbers("p", [np.nan])) == Reading()


def test_width_of_intervals() -> None:
    """Upper less lower, by declared names or by names that say so; crossed ones contradict."""
    for known, names in (
        (Known(lower_output="q05", upper_output="q95"), ("q05", "q95")),
        (Known(task="interval"), ("y_lower", "y_upper")),
        (Known(task="interval"), ("lower", "upper")),
    ):
        made = Outputs(known)
        reading = read(
            made, numbers(names[0], [1.0, 5.0, np.nan]), numbers("y", [2.0] * 3), numbers(names[1], [4.0] * 3)
        )
        assert reading.columns["width"].tolist() == [3.0, -1.0]
        assert made.contradictions == 1
    assert read(Outputs(Known(task="interval")), numbers("a", [1.0])) == Reading()


@pytest.mark.parametrize(
    ("task", "good", "bad"),
    [
        ("regression", numbers("y", [5.5]), words("y", ["high"])),
        ("regression", words("y", ["5", "7"]), words("y", ["7", "high"])),
        ("embedding", vector(np.zeros((1, 70))), words("y", ["a"])),
        ("interval", numbers("y", [1.0]), words("y", ["a"])),
    ],
)
def test_kinds_that_a_task_cannot_have(task: str, good: Column, bad: Column) -> None:
    """They are counted by row."""
    made = Outputs(Known(task=task))
    assert read(made, good).contradictions == 0
    assert read(made, bad).contradictions == len(bad.values)


def test_a_third_class_of_two() -> None:
    """The first two classes are the two; rows of any other are counted."""
    made = Outputs(Known(task="binary"))
    assert read(made, words("y", ["a", None, "b", "a"])).contradictions == 0
    assert read(made, words("y", ["c", "a", "d", None])).contradictions == 2


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["y_0", "y_1"], ["0", "1"]),
        (["y_0", "z_1"], ["y_0", "z_1"]),
        (["scores.cat", "scores.dog"], ["cat", "dog"]),
        (["cat", "dog"], ["cat", "dog"]),
        (["a.cat", "b.dog"], ["a.cat", "b.dog"]),
    ],
)
def test_words_of_classes(names: list[str], expected: list[str]) -> None:
    """Places by their number, named ones by what tells them apart."""
    assert class_words(names) == expected


def test_evidence_is_bounded() -> None:
    """So many classes are remembered and no more, and none of them once the task is settled."""
    made = Outputs(Known())
    for start in range(0, GUESS_ROWS, 100):
        read(made, words("y", [str(n) for n in range(start, start + 100)]))
        assert len(made._evidence.classes) <= MAX_CLASSES + 100
    assert made._evidence.classes == set()


@pytest.mark.parametrize("seed", range(6))
def test_any_outputs(seed: int) -> None:
    """Whatever kinds and values come in whatever order, nothing raises and the source is never taken back."""
    rng = np.random.default_rng(seed)
    makers = [
        [numbers("y", [0.5, np.nan, np.inf])],
        [numbers("y", [])],
        [column([], name="y")],
        [words("y", ["a", None])],
        classes(rng.random((4, 3))),
        classes(np.full((2, 3), np.nan)),
        [vector(rng.random((3, 70)))],
        [vector(np.zeros((0, 70)))],
        [numbers("lower", [1.0]), numbers("upper", [np.inf])],
        [],
    ]
    for task in (
        "",
        "binary",
        "multiclass",
        "interval",
        "text",
        "multilabel",
        "ranking",
        "embedding",
        "regression",
    ):
        made = Outputs(Known(task=task))
        before = made.source
        for _ in range(60):
            for column_ in read(made, *makers[int(rng.integers(len(makers)))]).columns.values():
                assert np.isfinite(column_).all()
            assert made.source == before or before == "unknown"
            before = made.source
