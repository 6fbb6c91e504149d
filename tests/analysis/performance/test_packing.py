"""packing.py: what says several things comes out of a row as it went in, and leaves alone what is others'."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from exporter.analysis.performance import packing
from exporter.analysis.performance.label import MARK_BITS
from exporter.pending.row import RowArray, blank

SEEDS = st.integers(0, 2**32 - 1)


def rows_of(packed: packing.Bytes) -> RowArray:
    """Rows that hold it, and a chance and groups."""
    rows = blank(len(packed), 1_700_000_000.0)
    rows["chance"], rows["groups"], rows["role"], rows["version"] = 7, 3, 2, 2**63
    before = rows.copy()
    packing.put(rows, packed)
    for name in ("layout", "role", "version", "seconds", "fraction", "chance", "groups", "row"):
        assert (rows[name] == before[name]).all()
    return rows


@given(SEEDS, st.integers(1, 8), st.floats(0.05, 5.0))
def test_chances_of_few_classes(seed: int, classes: int, spread: float) -> None:
    """Each is right to 0.25 % however small, and they sum to 1; what cannot be is never."""
    rng = np.random.default_rng(seed)
    table = rng.dirichlet(np.full(classes, spread), size=20)
    table[0] = np.eye(classes)[0]
    found = packing.all_chances(rows_of(packing.chances(table)), classes)
    np.testing.assert_allclose(found, table, rtol=2.5e-3, atol=3e-16)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert (found[0] == table[0]).all()


@given(SEEDS, st.integers(9, 255))
def test_chances_of_many_classes(seed: int, classes: int) -> None:
    """The five likeliest, by their places, as they were."""
    table = np.random.default_rng(seed).dirichlet(np.full(classes, 0.3), size=20)
    places, shares = packing.likeliest(rows_of(packing.chances(table)), classes)
    order = np.argsort(-table, axis=1, kind="stable")[:, :5]
    assert (places == order).all()
    np.testing.assert_allclose(shares, np.take_along_axis(table, order, axis=1), rtol=2.5e-3, atol=3e-16)


@given(SEEDS, st.integers(1, 64))
def test_labels_of_a_row(seed: int, labels: int) -> None:
    """Which of them a row has."""
    chosen = np.random.default_rng(seed).random((20, labels)) < 0.4
    assert (packing.marks(rows_of(packing.marked(chosen)), labels) == chosen).all()


@given(SEEDS, st.integers(1, 7))
def test_rankings(seed: int, items: int) -> None:
    """The first five items by their marks, none behind the last."""
    given = np.random.default_rng(seed).integers(1, 1 << MARK_BITS, (20, items), dtype=np.uint32)
    found = packing.ranking(rows_of(packing.ranked(given)))
    assert (found[:, :items] == given[:, :5]).all() and (found[:, items:] == 0).all()
