"""joint.py: sums over whole rows in rolling windows."""

from typing import Any

import numpy as np
import pytest

from exporter.stats.association import joint_counts
from exporter.stats.joint import MAX_FEATURES, WAITING_ROWS, JointParts, JointWindows
from exporter.stats.profiles.build import Column, ProfileConfig, build

RNG = np.random.default_rng(11)
WORDS = np.array(["x", "y", "z"], object)
A = RNG.normal(size=3000)
DATA: dict[str, Any] = {
    "a": A,
    "b": A + RNG.normal(size=3000),
    "city": WORDS[(A > 0).astype(int) + (A > 1)],
    "y": 2 * A + RNG.normal(size=3000),
}
PROFILE = build(
    {name: Column(values, "prediction" if name == "y" else "feature") for name, values in DATA.items()},
    ProfileConfig(),
)
PARTS = JointParts.of(PROFILE, PROFILE.names)
assert PARTS is not None


def windows() -> JointWindows:
    assert PARTS is not None
    return JointWindows(PARTS, (60.0, 600.0))


def cells(start: int, end: int) -> dict[str, Any]:
    return {name: values[start:end] for name, values in DATA.items()}


def test_the_reference_held_against_itself_is_the_reference() -> None:
    """All its own rows, in pieces of any size, give the sums that the profile has."""
    assert PARTS is not None
    made, at = windows(), 0
    for size in (1, 2, 600, 7, 1500, 890):
        made.add(5.0, cells(at, at + size), {}, size)
        at += size
    view = made.read(5.0, 60.0)
    assert at == 3000
    np.testing.assert_allclose(view.pairs[:6, 0], PARTS.pairs[0].sums, rtol=1e-9, atol=1e-6)
    assert PARTS.precision is not None
    np.testing.assert_allclose(view.whole, PARTS.precision.sums, rtol=1e-9)
    for one, table in zip(PARTS.associations, view.tables, strict=True):
        places = [
            PROFILE.column(name).bins.locate(DATA[name])
            if name == "city"
            else np.searchsorted(PROFILE.column(name).bins.array, DATA[name])  # type: ignore[union-attr]
            for name in (one.feature, one.prediction)
        ]
        np.testing.assert_array_equal(table, joint_counts(places[0], places[1], table.shape))


def test_rows_leave_and_late_ones_go_where_they_belong() -> None:
    """What is older than a window is not in it, whether it was waiting or came late; reading changes nothing."""
    made = windows()
    made.add(0.0, cells(0, 10), {}, 10)
    made.add(59.0, cells(10, 30), {}, 20)
    assert [made.read(59.0, 60.0).whole[0] for _ in range(2)] == [30, 30]
    assert made.read(61.0, 60.0).whole[0] == 20
    made.add(100.0, cells(30, 60), {}, 30, at=50.0)
    assert made.read(100.0, 60.0).whole[0] == 50
    made.add(100.0, cells(60, 70), {}, 10, at=10.0)
    assert (made.read(100.0, 60.0).whole[0], made.read(100.0, 600.0).whole[0]) == (50, 70)
    with pytest.raises(KeyError):
        made.read(100.0, 61.0)


def test_columns_that_lack_rows_take_no_part() -> None:
    """One of another length, one that is absent, cells that are null or infinite; and nothing raises."""
    made = windows()
    made.add(1.0, cells(0, 50) | {"b": DATA["b"][:49]}, {}, 50)
    made.add(1.0, {"city": DATA["city"][:5], "y": np.full(5, np.nan)}, {}, 5)
    odd = DATA["a"][:50].copy()
    odd[:3] = np.inf, np.nan, 1e300
    mask = np.zeros(50, np.bool_)
    mask[1] = True
    made.add(1.0, cells(0, 50) | {"a": odd}, {"a": mask}, 50)
    view = made.read(1.0, 60.0)
    assert (view.pairs[0, 0], view.whole[0]) == (47, 47)
    assert np.isfinite(view.pairs).all()
    rows = {one.feature: int(t.sum()) for one, t in zip(made.parts.associations, view.tables, strict=True)}
    assert rows == {"a": 100, "b": 50, "city": 105}
    assert sorted(len(own) for own in (one.feature for one in windows().parts.associations)) == [1, 1, 4]


def test_what_waits_is_bounded() -> None:
    """Rows wait only up to a number, and what comes in one piece is not kept."""
    made = windows()
    for _ in range(5):
        made.add(1.0, cells(0, WAITING_ROWS // 2), {}, WAITING_ROWS // 2)
        assert sum(len(one["a"].values) for one in made._waiting) < WAITING_ROWS
    made.add(1.0, cells(0, 3000), {}, 3000)
    assert made._waiting == []


def test_only_the_strongest_associations_are_counted() -> None:
    """Ten of each output; nothing where the columns are not counted, or there is no reference."""
    y = RNG.normal(size=1000)
    columns = {f"f{place:02}": Column(y * (place % 20) + RNG.normal(size=1000) * 10) for place in range(20)}
    profile = build(columns | {"y": Column(y, "prediction")}, ProfileConfig())
    parts = JointParts.of(profile, profile.names)
    assert parts is not None
    assert len(parts.associations) == MAX_FEATURES
    assert {one.feature for one in parts.associations} >= {f"f{place}" for place in range(14, 20)}
    assert JointParts.of(profile, ["f01"]) is JointParts.of(None, []) is None
    few = JointParts.of(profile, [*(f"f{place:02}" for place in range(3)), "y"])
    assert few is not None
    assert few.precision is None
    assert few.columns == {"f00", "f01", "f02", "y"}
