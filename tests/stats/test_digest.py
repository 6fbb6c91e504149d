"""Digest: what a batch adds, and what of it cannot be used."""

import numpy as np

from exporter.stats.bins import CategoricalBins, NumericBins
from exporter.stats.digest import Misfit, digest_batch
from exporter.stats.layout import ColumnSpec, Layout

LAYOUT = Layout((ColumnSpec("x", NumericBins((0.0,))), ColumnSpec("c", CategoricalBins(("a",)))))


def test_all_columns_are_counted_at_once() -> None:
    """Counts lie at the columns' places; nulls come by mask or as a number besides."""
    batch = {"x": np.array([-1.0, 2.0, np.nan]), "c": np.array(["a", "b"], object)}
    digest = digest_batch(LAYOUT, batch, {"x": np.array([False, False, True]), "c": 4})
    assert digest.tally.counts.tolist() == [1, 1, 1, 0, 1, 1, 4]
    assert digest.tally.moments[0].tolist() == [2, 0]
    assert digest.signed[:, 0].tolist() == [2, 1]
    assert digest.misfits == ()


def test_what_does_not_fit_is_returned_and_the_rest_counted() -> None:
    """Extra columns, wrong shapes and cells of a wrong type are misfits; nothing raises."""
    batch = {
        "x": np.array([1.0, "text", None], object),
        "c": np.zeros((2, 2)),
        "y": np.zeros(3),
    }
    digest = digest_batch(LAYOUT, batch, {})
    assert set(digest.misfits) == {
        Misfit("y", "extra_column", 3),
        Misfit("x", "wrong_type", 1),
        Misfit("c", "wrong_shape", 4),
    }
    assert digest.tally.counts.tolist() == [0, 1, 1, 0, 0, 0, 0]


def test_a_mask_of_another_length_is_a_wrong_shape() -> None:
    """A null mask must have a cell per value."""
    digest = digest_batch(LAYOUT, {"x": np.zeros(3)}, {"x": np.zeros(2, np.bool_)})
    assert digest.misfits == (Misfit("x", "wrong_shape", 3),)


def test_an_empty_batch_adds_nothing() -> None:
    """No columns, and columns of no cells, are fine."""
    for batch in ({}, {"x": np.zeros(0), "c": np.array([], object)}):
        digest = digest_batch(LAYOUT, batch, {})
        assert digest.tally.counts.sum() == 0
        assert digest.misfits == ()
