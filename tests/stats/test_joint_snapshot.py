"""joint_snapshot.py, sealed.py: rolling sums of whole rows as bytes, and bytes that are none."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.stats.joint import JointParts, JointWindows
from exporter.stats.joint_snapshot import joint_from_bytes, joint_to_bytes, parts_digest
from exporter.stats.profiles.build import Column, ProfileConfig, build
from exporter.stats.sealed import Kind, SnapshotError, opened, sealed

LENGTHS = (300.0, 3600.0)
_DRAW = np.random.default_rng(3)
_A = _DRAW.normal(size=400)
PROFILE = build(
    {
        "a": Column(_A),
        "b": Column(0.8 * _A + _DRAW.normal(size=400)),
        "y": Column(_A + _DRAW.normal(size=400), "prediction"),
    },
    ProfileConfig(),
)
PARTS = JointParts.of(PROFILE, ("a", "b", "y"))
assert PARTS is not None and PARTS.pairs and PARTS.associations and PARTS.precision is not None


def busy(seed: int = 1) -> JointWindows:
    made, draw = JointWindows(PARTS, LENGTHS), np.random.default_rng(seed)
    for now in (0.0, 40.0, 900.0):
        made.add(now, {name: draw.normal(size=30) for name in ("a", "b", "y")}, {}, 30)
    return made


@pytest.mark.parametrize("now", [0.0, 100.0, 901.0, 5000.0])
@pytest.mark.parametrize("length", LENGTHS)
def test_sums_come_back(now: float, length: float) -> None:
    """Every window reads as before, at any time."""
    first, second = busy(), JointWindows(PARTS, LENGTHS)
    second.take(joint_from_bytes(joint_to_bytes(PARTS, first.rolling()), PARTS, LENGTHS))
    left, right = first.read(now, length), second.read(now, length)
    assert np.array_equal(left.pairs, right.pairs)
    assert np.array_equal(left.whole, right.whole)
    assert all(map(np.array_equal, left.tables, right.tables))


@given(st.integers(0, 10_000), st.integers(1, 255), st.booleans())
def test_damaged_bytes_are_refused(place: int, change: int, cut: bool) -> None:
    """Cut anywhere or with any byte changed."""
    raw = joint_to_bytes(PARTS, busy().rolling())
    place %= len(raw)
    damaged = raw[:place] if cut else raw[:place] + bytes([raw[place] ^ change]) + raw[place + 1 :]
    with pytest.raises(SnapshotError, match="joint sums"):
        joint_from_bytes(damaged, PARTS, LENGTHS)


def resealed(raw: bytes, **changes: object) -> bytes:
    """With another description and a right checksum."""
    magic = b"modeltap joint sums\n"
    line, _, packed = raw[len(magic) + 32 :].partition(b"\n")
    body = json.dumps(json.loads(line) | changes).encode() + b"\n" + packed
    return magic + hashlib.sha256(body).digest() + body


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"version": 2}, "version 2, 1 was expected"),
        ({"digest": "0" * 64}, "of columns together 00000000"),
        ({"lengths": [300.0]}, "others are in use"),
        ({"panes": 6}, "others are in use"),
        ({"dtypes": ["<i8"]}, "its arrays are not those of its description"),
        ({"dtypes": ["<i8", "O"]}, "its arrays are not those of its description"),
        ({"dtypes": ["<i8", "nonsense"]}, "does not hold together"),
        ({"dtypes": ["<i8", "<f4"]}, "bytes of arrays were expected"),
    ],
)
def test_what_is_of_another_form_is_refused(changes: dict[str, object], problem: str) -> None:
    """Each with what was expected."""
    with pytest.raises(SnapshotError, match=problem):
        joint_from_bytes(resealed(joint_to_bytes(PARTS, busy().rolling()), **changes), PARTS, LENGTHS)


def test_sums_that_are_no_numbers_are_refused() -> None:
    """They would stay in a window for its whole length."""
    sums = busy().rolling()
    sums.arrays[1][0, 0, 0] = np.nan
    with pytest.raises(SnapshotError, match="finite"):
        joint_from_bytes(joint_to_bytes(PARTS, sums), PARTS, LENGTHS)


def test_other_units_are_other_parts() -> None:
    """The same columns in the units of another reference have another digest."""
    assert PARTS is not None
    first = PARTS.pairs[0]
    moved = replace(PARTS, pairs=(replace(first, mean=(9.0, 9.0)), *PARTS.pairs[1:]))
    assert parts_digest(moved) != parts_digest(PARTS)
    with pytest.raises(SnapshotError, match="was expected"):
        joint_from_bytes(joint_to_bytes(PARTS, busy().rolling()), moved, LENGTHS)


def test_bytes_of_one_kind_are_no_bytes_of_another() -> None:
    """Each kind begins with its name."""
    with pytest.raises(SnapshotError, match="snapshot of pears: b'modeltap pears"):
        opened(Kind("pears", 1), sealed(Kind("apples", 1), {}, []))
