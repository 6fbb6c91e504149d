"""split.py: who is compared with whom, keys that several answered, and what does not fit."""

from typing import Any

import numpy as np
import pytest

from exporter.analysis.performance import split
from exporter.analysis.performance.contests import MOST
from exporter.analysis.performance.judged import What
from exporter.analysis.performance.label import LABEL
from exporter.analysis.performance.margins import Margins, named
from exporter.analysis.performance.split import Left, Place, Side
from exporter.analysis.role import ROLES
from exporter.pending.contract import Cohort
from exporter.pending.row import RowArray, blank
from exporter.records.exchange import OTHER
from exporter.stats.performance.split import ARM

LIVE, SHADOW, CANARY, SYNTHETIC = (ROLES.index(role) for role in ("live", "shadow", "canary", "synthetic"))
SUMS = np.array([10.0, 10.0, 10.0, 4.0, 4.0, 4.0])


def side(version: str, role: int = LIVE, name: str = "m", **arms: Any) -> Side:
    return Side(name, version, "y", role, arms or {"accuracy": SUMS}, {})


def rivals(*sides: Side, **came: tuple[float, float]) -> list[tuple[str, str, str]]:
    """(challenger, its role, champion) of sides of an hour; `came`: by version, as v1."""
    arrived = {("m", "y", name[1:]): when for name, when in came.items()}
    found = split.pairs(sides, arrived)
    return [(theirs.version, ROLES[theirs.role], ours.version) for ours, theirs in found]


def test_who_is_compared_with_whom() -> None:
    """A canary with each live version; of live ones the later with the earlier; nobody with itself or another model."""
    assert rivals(side("1"), side("2", CANARY)) == [("2", "canary", "1")]
    assert rivals(side("2", CANARY), side("3", CANARY)) == []
    assert rivals(side("1"), side("1", CANARY), side("2", name="other")) == []
    hours = {"v1": (7.0, -5.0), "v2": (5.0, -5.0), "v3": (7.0, -9.0)}
    assert rivals(side("1"), side("2"), side("3"), **hours) == [
        ("1", "live", "2"),
        ("1", "live", "3"),
        ("3", "live", "2"),
    ]
    assert rivals(side("2"), side("1")) == [("2", "live", "1")]


def test_statistics_that_only_one_of_them_has_are_not_compared() -> None:
    """A version that lost its scores is compared by what is left; a number with a class by nothing."""
    found = split.add(
        split.NOTHING, [side("1", accuracy=SUMS, brier=SUMS), side("2", CANARY, accuracy=SUMS)], {}
    )
    assert list(found.sums) == [Place("m", "2", "y", "accuracy", "1", "canary")]
    found = split.add(split.NOTHING, [side("1", accuracy=SUMS), side("2", CANARY, squared_error=SUMS)], {})
    assert (found.sums, found.left) == ({}, {})


def test_contests_are_bounded() -> None:
    """What is over is counted, under no name of its own once there are too many of these."""
    sides = [side("1"), *(side(f"{number}", CANARY) for number in range(2, 2 * MOST))]
    found = split.add(split.NOTHING, sides, {})
    assert len(found.sums) == MOST
    assert len(found.left) <= 3 * MOST + 3
    crowded = {key: rows for key, rows in found.left.items() if key.reason == split.CROWDED and rows}
    assert sum(crowded.values()) == 10 * (2 * MOST - 2 - MOST)
    assert Left(OTHER, OTHER, OTHER, OTHER, split.CROWDED, "canary") in crowded
    again = split.add(found, sides, {})
    assert again.sums.keys() == found.sums.keys()
    assert (again.sums[Place("m", "2", "y", "accuracy", "1", "canary")][0]) == 2


def test_sums_that_are_no_numbers_are_no_stratum() -> None:
    """What a broken store hands out makes no figure of a contest."""
    broken = side("2", CANARY, accuracy=np.array([10.0, 10.0, 10.0, np.inf, np.inf, 0.0]))
    with np.errstate(all="ignore"):
        assert split.add(split.NOTHING, [side("1"), broken], {}).sums == {}


@pytest.mark.parametrize("cell", ["y", "yzz", f"y{'0' * 16}0a9", f"y{'0' * 16}9a0", f"y{'f' * 16}0a0", "x0"])
def test_cells_of_others_and_broken_ones_are_passed_over(cell: str) -> None:
    """An id that nobody knows, a slot that there is not, a name cut short."""
    whats = {what.id: what for what in (What("m", "1", "y", "number"), What("m", "2", "y", "number"))}
    one, two = whats.values()
    cells = {f"{named(one.id, LIVE)}{name}": 3.0 for name in ("r", "e0", cell)}
    cells[f"{named(one.id, LIVE)}y{two.id:016x}{CANARY}e9"] = 3.0
    cells |= {f"{named(two.id, CANARY)}r": 3.0}
    (ours, theirs) = split.sides(Cohort(5, cells), whats)
    assert (ours.version, theirs.version) == ("1", "2")
    assert ours.arms["squared_error"][:3].tolist() == [3.0, 3.0, 3.0]
    assert ours.shared == {}


def rows_of(*sides: tuple[What, int, float]) -> RowArray:
    rows = blank(len(sides), 3600.0)
    for row, (what, role, value) in zip(rows, sides, strict=True):
        row["version"], row["role"], row["value"] = what.id, role, value
    return rows


def test_keys_that_several_answered() -> None:
    """Each side has what it lost on keys that another one had too, once for each other; mirrors are no side."""
    whats = [What("m", version, "y", "number") for version in "123"]
    one, two, three = whats
    margins = Margins()
    rows = rows_of(
        *((one, LIVE, 1.0), (two, CANARY, 2.0)),
        *((one, LIVE, 1.0), (three, SHADOW, 9.0), (two, SYNTHETIC, 9.0)),
        *((one, LIVE, 3.0), (two, CANARY, 3.0), (three, LIVE, 5.0)),
        (two, CANARY, 7.0),
    )
    labels = np.zeros(len(rows), LABEL)
    labels["weight"] = 1.0
    known = {what.id: what for what in whats}
    split.count(rows, labels, [2, 3, 3, 1], (known, margins), 1.0)
    ((hour, cells, _),) = margins.drain()
    assert hour == 1
    cells |= {f"{named(what.id, role)}r": 1.0 for what, role in ((one, LIVE), (two, CANARY), (three, LIVE))}
    found = {made.version: made for made in split.sides(Cohort(hour, cells), known)}
    squared = dict.fromkeys(ARM, 0.0) | {"rows": 2.0, "weight": 2.0, "weight_squares": 2.0}
    assert found["1"].shared["2", CANARY, "squared_error"].tolist() == list(
        (squared | {"losses": 10.0, "squares": 82.0, "events": 2.0}).values()
    )
    assert found["2"].shared["1", LIVE, "absolute_error"][3] == 5.0
    assert found["1"].shared["3", LIVE, "absolute_error"][3] == 3.0
    assert found["3"].shared.keys() == {
        (version, role, name)
        for version, role in (("1", LIVE), ("2", CANARY))
        for name in ("absolute_error", "squared_error")
    }
    # A correction takes back what was told.
    split.count(rows, labels, [2, 3, 3, 1], (known, margins), 1.0)
    split.count(rows, labels, [2, 3, 3, 1], (known, margins), -1.0)
    assert [made for _, made, _ in margins.drain()] == [{}]
