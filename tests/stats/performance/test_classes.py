"""Classes: names in any form, and what has no cell."""

import numpy as np
import pytest

from exporter.stats.performance.classes import ClassLayout
from exporter.stats.performance.sums import Account


def test_one_form_stands_for_all() -> None:
    """1, 1.0 and "1" are one class; missing sides are refused."""
    layout = ClassLayout(("0", "1"))
    sums = layout.sums(layout.judged([1, 1.0, "1", True, None, 0], ["1", 1, 1.0, "true", 1, None]))
    table = layout.table(sums)
    assert table.cells[0].tolist() == [[0, 0, 0], [0, 3, 0], [0, 0, 1]]
    assert layout.refused(sums) == 2


def test_two_others_are_right_only_if_alike() -> None:
    """d for d is right, d for e is not, though both have the cell `<other>`."""
    layout = ClassLayout(("a",))
    table = layout.table(layout.sums(layout.judged(["d", "d", "a"], ["d", "e", "a"])))
    assert table.right[0].tolist() == [1.0, 1.0]
    assert table.truth[0].tolist() == table.predicted[0].tolist() == [1.0, 2.0]
    assert table.mixed.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("classes", [tuple(map(str, range(21))), ("a", "a"), ("<other>",)])
def test_wrong_classes_are_refused(classes: tuple[str, ...]) -> None:
    """Too many, one twice, the reserved one."""
    with pytest.raises(ValueError, match="at most 20 different classes"):
        ClassLayout(classes)


def test_what_was_all_withdrawn_leaves_nothing() -> None:
    """Rounding of weights leaves no rows of weight 1e-17."""
    layout = ClassLayout(("a", "b"))
    account = Account(layout)
    weights = np.array([0.1, 0.2, 0.3])
    batch = layout.judged(["a"] * 3, ["b"] * 3, weights)
    account.update(batch)
    for row in range(3):
        account.revert(layout.judged(["a"], ["b"], weights[row : row + 1]))
    assert (layout.table(account.net).cells == 0.0).all()
