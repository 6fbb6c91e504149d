"""Rolling sums: the panes of windows, over anything that adds up."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.stats.rolling import RollingSums

LENGTHS = (12.0, 120.0)
streams = st.lists(st.tuples(st.floats(0, 40), st.floats(-5, 5)), max_size=20)


def fed(timed: list[tuple[float, float]]) -> RollingSums:
    made = RollingSums((2, 1), LENGTHS)
    for at, value in timed:
        made.add(at, np.array([[1.0], [value]]))
    return made


@given(streams, st.floats(0, 200), st.lists(st.booleans(), min_size=20, max_size=20))
def test_windows_hold_their_panes_and_merge(
    stream: list[tuple[float, float]], later: float, owners: list[bool]
) -> None:
    """Sums are those of the rows in the last twelve panes, in one object or merged; reading changes nothing."""
    ends = np.cumsum([0.0, *[step for step, _ in stream]]).tolist()[1:]
    timed = list(zip(ends, [value for _, value in stream], strict=True))
    whole = fed(timed)
    one, two = (
        fed([row for row, own in zip(timed, owners, strict=False) if own == side]) for side in (True, False)
    )
    now = (ends[-1] if ends else 0.0) + later
    two.read(now, 12.0)
    one.merge(two)
    for length in LENGTHS:
        last = math.floor(now / (length / 12))
        inside = [value for at, value in timed if last - 12 < math.floor(at / (length / 12)) <= last]
        for sums in (whole, one):
            assert sums.read(now, length)[:, 0] == pytest.approx([len(inside), sum(inside)], abs=1e-9)
    assert one.total() == pytest.approx(whole.total())


def test_what_makes_no_sense_is_refused() -> None:
    """Lengths that repeat, unknown lengths, and other shapes."""
    with pytest.raises(ValueError, match="lengths"):
        RollingSums((1,), (1.0, 1.0))
    with pytest.raises(KeyError):
        RollingSums((1,)).read(0.0, 1.0)
    with pytest.raises(ValueError, match="merge only if"):
        RollingSums((1,)).merge(RollingSums((2,)))
