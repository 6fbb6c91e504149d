"""Snapshots: what comes back reads as what was written; anything else is refused with a reason."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.stats.bins import CategoricalBins, NumericBins, refined_bins
from exporter.stats.layout import ColumnSpec, Layout
from exporter.stats.snapshot import SnapshotError, from_bytes, layout_digest, to_bytes
from exporter.stats.window import Windows

EDGES = NumericBins((0.0, 1.0))
LAYOUT = Layout(
    (
        ColumnSpec("x", EDGES, refined_bins(EDGES, -1.0, 2.0)),
        ColumnSpec("c", CategoricalBins(("é\n",))),
        *Layout.observed({"n": np.zeros(1), "s": np.array(["a"], object)}).columns,
    )
)
LENGTHS = (12.0, 120.0)


def windows(layout: Layout = LAYOUT, rows: int = 40) -> Windows:
    rng = np.random.default_rng(rows)
    made = Windows(layout, LENGTHS)
    for now in range(10):
        values = rng.normal(size=rows)
        texts = rng.choice(["é\n", "b"], rows).astype(object)
        batch = {"x": values, "c": texts, "n": values, "s": texts}
        made.update(1000.0 + 7 * now, batch, requests=np.array([rows // 2, rows - rows // 2]))
    return made


def same(one: Windows, other: Windows, now: float) -> None:
    for length in LENGTHS:
        left, right = one.read(now, length), other.read(now, length)
        assert left.flat.tolist() == right.flat.tolist()
        assert left.clusters.tolist() == right.clusters.tolist()
        assert left.sums == pytest.approx(right.sums)
        assert left.moments == pytest.approx(right.moments)


@pytest.mark.parametrize("layout", [LAYOUT, None], ids=["asked for", "as written"])
def test_windows_come_back(layout: Layout | None) -> None:
    """Rolling windows read the same after a restart, and go on counting; totals start at zero."""
    before = windows()
    after = from_bytes(to_bytes(before), layout)
    same(before, after, 1063.0)
    assert after.totals().rows("x") == 0
    for one in (before, after):
        one.update(1070.0, {"x": np.array([0.5])})
    same(before, after, 1070.0)
    assert after.totals().rows("x") == 1


def test_writing_changes_nothing() -> None:
    """What is written twice is the same, and readers see no difference."""
    one, other = windows(), windows()
    assert to_bytes(one) == to_bytes(one)
    same(one, other, 1063.0)


def test_a_snapshot_is_merged_into_running_windows() -> None:
    """Windows that counted since the restart take in the old panes; their totals stay their own."""
    whole, late = windows(), Windows(LAYOUT, LENGTHS)
    raw = to_bytes(whole)
    for one in (whole, late):
        one.update(1064.0, {"x": np.array([0.5, 2.0])})
    late.merge_rolling(from_bytes(raw, LAYOUT))
    same(whole, late, 1064.0)
    assert late.totals().rows("x") == 2


def test_wide_panes_come_back() -> None:
    """Counts beyond 32 bits survive."""
    made = Windows(LAYOUT, LENGTHS)
    for _ in range(3):
        made.update(0.0, {"x": np.array([0.5])}, {"x": 2**31})
    assert from_bytes(to_bytes(made)).read(0.0, 12.0).counts("x").tolist() == [0, 3, 0, 3 * 2**31, 0]


def test_another_layout_is_refused() -> None:
    """Edges, names, order: any difference is told with both digests."""
    raw = to_bytes(windows())
    other = Layout((*LAYOUT.columns[1:], LAYOUT.columns[0]))
    with pytest.raises(SnapshotError, match=layout_digest(other)[:8]) as caught:
        from_bytes(raw, other)
    assert layout_digest(LAYOUT)[:8] in str(caught.value)
    assert layout_digest(LAYOUT) == layout_digest(Layout(LAYOUT.columns))


def resealed(raw: bytes, old: bytes, new: bytes) -> bytes:
    """Changed, with a checksum that holds."""
    magic, body = raw[:17], raw[17 + 32 :].replace(old, new, 1)
    return magic + hashlib.sha256(body).digest() + body


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b'"version":1', b'"version":2', "version 2, 1 was expected"),
        (b'"panes":12', b'"panes":13', "bytes of arrays were expected"),
        (b'"panes":12', b'"panes":0', "does not hold together"),
        (b'"lengths"', b'"length"', "does not hold together"),
        (b'"edges":[0.0,1.0]', b'"edges":[1.0,0.0]', "does not hold together"),
        (b'"<i8"', b'"<f8"', "not those of its description"),
        (b'"<i8"', b'"<U8"', "not those of its description"),
        (b"{", b"[", "no description"),
        (b"\n\x78", b"\n\x00", "cannot be unpacked"),
    ],
)
def test_what_does_not_hold_together_is_refused(old: bytes, new: bytes, reason: str) -> None:
    """Newer versions and descriptions that contradict the arrays are told apart."""
    with pytest.raises(SnapshotError, match=reason):
        from_bytes(resealed(to_bytes(windows()), old, new))


@pytest.mark.parametrize("raw", [b"", b"{}", b"modeltap windows\n", b"modeltap windows\n" + bytes(40)])
def test_foreign_bytes_are_refused(raw: bytes) -> None:
    """Nothing, other formats and a bare beginning are no snapshot."""
    with pytest.raises(SnapshotError, match="snapshot of windows"):
        from_bytes(raw)


RAW = to_bytes(windows(rows=4))


@given(st.integers(0, len(RAW) - 1), st.integers(1, 255), st.booleans())
def test_damage_is_found(place: int, change: int, cut: bool) -> None:
    """Any byte changed and any end cut off raises SnapshotError."""
    damaged = RAW[:place] if cut else RAW[:place] + bytes([RAW[place] ^ change]) + RAW[place + 1 :]
    with pytest.raises(SnapshotError):
        from_bytes(damaged)
