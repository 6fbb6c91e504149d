"""Score bins: what falls where, and what is refused."""

import numpy as np
import pytest

from exporter.stats.performance.scores import Scored, ScoreLayout


def test_bins_have_inclusive_upper_edges() -> None:
    """A score on an edge is below it, 0 is in the first bin, 1 in the last."""
    layout = ScoreLayout((0.5, 0.75))
    bins = layout.read(layout.sums(Scored(np.ones(4), np.array([0.0, 0.5, 0.75, 1.0]))))
    assert bins.positives[0].tolist() == [2.0, 1.0, 1.0]
    assert bins.scores.tolist() == [0.5, 0.75, 1.0]


def test_what_is_no_probability_is_refused() -> None:
    """Outside [0, 1], NaN, no truth, a weight of 0: counted, in no bin."""
    layout = ScoreLayout((0.5,))
    score = np.array([-0.1, 1.1, np.nan, np.inf, 0.3, 0.3, 0.3, 0.3])
    truth = np.array([1.0, 1.0, 1.0, 1.0, 0.5, np.nan, 1.0, 1.0])
    bins = layout.read(layout.sums(Scored(truth, score, np.array([1.0] * 6 + [0.0, 2.0]))))
    assert bins.losses.refused == 7
    assert bins.whole[:, 0].tolist() == [1.0, 2.0, 4.0]


@pytest.mark.parametrize("edges", [(0.5, 0.5), (0.5, 0.4), (np.nan,), (np.inf,)])
def test_wrong_edges_are_refused(edges: tuple[float, ...]) -> None:
    """They are finite and increase strictly."""
    with pytest.raises(ValueError, match="edges that are finite and increase strictly"):
        ScoreLayout(edges)
