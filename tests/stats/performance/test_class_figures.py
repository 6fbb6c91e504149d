"""Figures of confusion cells against scikit-learn: known answers, and seeded streams with weights."""

import warnings

import numpy as np
import pytest
from sklearn import metrics

from exporter.stats.performance.class_figures import class_figures, each_class
from exporter.stats.performance.classes import ClassLayout, Table
from exporter.stats.performance.figures import Figure
from exporter.stats.performance.sums import Account

# D10: threshold .5; D11: three classes.
D10_TRUTH = [1, 1, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0]
D10_SCORE = [0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.55, 0.5, 0.35, 0.3, 0.25, 0.1]
D10_LABEL = [int(score >= 0.5) for score in D10_SCORE]
D11 = ([0, 1, 2, 0, 1, 2], [0, 2, 1, 0, 0, 1])


def _table(truth: object, predicted: object, weights: np.ndarray | None = None, classes: str = "") -> Table:
    truth, predicted = np.asarray(truth).tolist(), np.asarray(predicted).tolist()
    names = tuple(classes.split()) or tuple(sorted({str(name) for name in [*truth, *predicted]}))
    layout = ClassLayout(names)
    account = Account(layout)
    account.update(layout.judged(truth, predicted, weights))
    return layout.table(account.net)


def _by_name(figures: list[Figure]) -> dict[tuple[str, str], float]:
    return {(figure.name, figure.of): figure.value for figure in figures}


def test_the_known_answers_of_two_classes() -> None:
    """D10 at .5."""
    table = _table(D10_TRUTH, D10_LABEL)
    assert table.cells[0, :2, :2].tolist() == [[3.0, 4.0], [1.0, 4.0]]
    found = _by_name([*class_figures(table), *each_class(table)])
    expected = {
        ("accuracy", ""): 0.5833333,
        ("precision", "1"): 0.5,
        ("recall", "1"): 0.8,
        ("f1", "1"): 0.6153846,
        ("false_positive_rate", "1"): 0.5714286,
        ("false_negative_rate", "1"): 0.2,
        ("matthews", ""): 0.2390457,
        ("balanced_accuracy", ""): 0.6142857,
        ("kappa", ""): 0.2105263,
    }
    assert {key: found[key] for key in expected} == pytest.approx(expected, abs=5e-8)


def test_the_known_answers_of_three_classes() -> None:
    """D11: F1 macro and micro, precision macro."""
    found = _by_name(class_figures(_table(*D11)))
    assert found["f1_macro", ""] == pytest.approx(0.2666667, abs=5e-8)
    assert found["accuracy", ""] == pytest.approx(0.3333333, abs=5e-8)
    assert found["precision_macro", ""] == pytest.approx(0.2222222, abs=5e-8)


@pytest.mark.parametrize("classes", [2, 3, 8, 20])
@pytest.mark.parametrize("weighted", [False, True])
def test_figures_are_scikit_learns(classes: int, weighted: bool) -> None:
    """Every figure, on streams in which some classes are rare, never predicted or never true."""
    rng = np.random.default_rng(classes)
    shares = 1.0 / np.arange(1, classes + 1) ** 1.5
    truth = rng.choice(classes, 400, p=shares / shares.sum())
    predicted = np.where(rng.random(400) < 0.6, truth, rng.integers(0, max(2, classes - 2), 400))
    weights = rng.exponential(size=400) if weighted else None
    table = _table(truth, predicted, weights)
    found, each = _by_name(class_figures(table)), _by_name(each_class(table))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is not defined
        expected = _oracle(truth, predicted, weights)
        report = metrics.classification_report(
            truth.astype(str), predicted.astype(str), sample_weight=weights, output_dict=True, zero_division=0
        )
    assert found == pytest.approx(expected)
    for (name, of), value in each.items():
        if name in ("precision", "recall", "f1"):
            assert value == pytest.approx(report[of]["f1-score" if name == "f1" else name]), (name, of)


def _oracle(truth: np.ndarray, predicted: np.ndarray, w: np.ndarray | None) -> dict[tuple[str, str], float]:
    def score(name: str, average: str) -> float:
        of = getattr(metrics, f"{name}_score")
        return float(of(truth, predicted, average=average, sample_weight=w, zero_division=0))

    return {
        ("accuracy", ""): metrics.accuracy_score(truth, predicted, sample_weight=w),
        ("balanced_accuracy", ""): metrics.balanced_accuracy_score(truth, predicted, sample_weight=w),
        ("recall_macro", ""): score("recall", "macro"),
        ("precision_macro", ""): score("precision", "macro"),
        ("f1_macro", ""): score("f1", "macro"),
        ("f1_weighted", ""): score("f1", "weighted"),
        ("precision_weighted", ""): score("precision", "weighted"),
        ("kappa", ""): metrics.cohen_kappa_score(truth, predicted, sample_weight=w),
        ("matthews", ""): metrics.matthews_corrcoef(truth, predicted, sample_weight=w),
    }


def test_micro_and_weighted_recall_are_accuracy() -> None:
    """What would be the same number three times is there once."""
    truth, predicted = D11
    accuracy = metrics.accuracy_score(truth, predicted)
    assert metrics.f1_score(truth, predicted, average="micro") == pytest.approx(accuracy)
    assert metrics.recall_score(truth, predicted, average="weighted") == pytest.approx(accuracy)


def test_standard_errors_are_those_of_many_draws() -> None:
    """The delta method is within 6 % of the deviation over 3,000 draws of 800 rows, with weights too."""
    rng = np.random.default_rng(11)
    shares = np.array([[0.4, 0.05, 0.02], [0.06, 0.25, 0.03], [0.04, 0.05, 0.1]])
    for weighted in (False, True):
        draws = []
        for _ in range(3000):
            cells = rng.choice(9, 800, p=shares.ravel())
            w = rng.choice([1.0, 4.0], 800) if weighted else np.ones(800)
            planes = np.stack([np.bincount(cells, w**power, 9) for power in range(3)]).reshape(3, 3, 3)
            draws.append(class_figures(Table(("a", "b", "c"), planes, np.zeros(3))))
        for column in zip(*draws, strict=True):
            spread = np.std([figure.value for figure in column])
            stated = np.mean([figure.error for figure in column])
            assert stated == pytest.approx(spread, rel=0.06), column[0].name


def test_margins_agree() -> None:
    """Rows by truth, by prediction and in all are the same, `<other>` included, and right is never more."""
    rng = np.random.default_rng(3)
    truth, predicted = rng.integers(0, 9, (2, 1000))
    table = _table(truth, predicted, classes="0 1 2 3")
    assert table.classes == ("0", "1", "2", "3", "<other>")
    for plane in range(3):
        assert table.truth[plane].sum() == table.predicted[plane].sum() == table.whole[plane] == 1000
    assert table.truth[0].tolist() == [*np.bincount(truth)[:4], (truth > 3).sum()]
    assert table.predicted[0].tolist() == [*np.bincount(predicted)[:4], (predicted > 3).sum()]
    assert table.right[0].sum() == (truth == predicted).sum()
    assert _by_name(class_figures(table))["accuracy", ""] == pytest.approx((truth == predicted).mean())


def test_what_is_not_defined_is_absent() -> None:
    """No rows: nothing. One class on a side: no coefficient. Never predicted: no precision."""
    assert class_figures(_table([], [], classes="a b")) == []
    assert each_class(_table([], [], classes="a b")) == []
    one = _by_name(class_figures(_table(["a"] * 9, ["a"] * 9)))
    assert one["accuracy", ""] == 1.0
    assert not {"kappa", "matthews"} & {name for name, _ in one}
    assert not {"kappa", "matthews"} & {f.name for f in class_figures(_table(["a", "b"], ["a", "a"]))}
    each = _by_name(each_class(_table(["a", "b"], ["a", "a"])))
    assert ("precision", "b") not in each
    assert each["recall", "b"] == 0.0


def test_limits_hold_the_value_and_have_a_width() -> None:
    """Perfect, all wrong and ordinary answers; what is perfect in few rows may not be."""
    for truth, predicted in (([0, 1] * 30, [0, 1] * 30), ([0, 1] * 30, [1, 0] * 30), D11):
        table = _table(truth, predicted)
        for figure in [*class_figures(table), *each_class(table)]:
            assert figure.low <= figure.value <= figure.high, figure
            assert figure.high - figure.low > 0.01, figure


def test_weights_of_any_scale_say_the_same() -> None:
    """Weights times a hundred change no value and no limit; uneven ones leave fewer effective rows."""
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 3, 500)
    predicted = np.where(rng.random(500) < 0.7, truth, rng.integers(0, 3, 500))
    weights = rng.exponential(size=500)
    small, large = (class_figures(_table(truth, predicted, w)) for w in (weights, 100.0 * weights))
    for a, b in zip(small, large, strict=True):
        assert (b.value, b.low, b.high, b.error) == pytest.approx((a.value, a.low, a.high, a.error)), a.name
    assert 200 < small[0].basis.effective_rows < 300
    assert small[0].basis.rows == 500


def test_few_rows_are_insufficient() -> None:
    """Below 200 rows, or 20 of the class."""
    assert {f.state for f in class_figures(_table([0, 1] * 99, [0, 1] * 99))} == {"insufficient"}
    assert {f.state for f in class_figures(_table([0, 1] * 100, [0, 1] * 100))} == {"ready"}
    rare = each_class(_table([0] * 300 + [1] * 19, [0] * 300 + [1] * 19))
    states = {(f.name, f.of): f.state for f in rare}
    assert states["recall", "1"] == "insufficient"
    assert states["recall", "0"] == "ready"
