"""Rows as bytes: the layout that is written down, and that whatever a row holds comes back."""

import hashlib
import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.pending.row import (
    DIGEST_BYTES,
    KEY_BYTES,
    ROW,
    ROW_BYTES,
    NotRows,
    Pending,
    blank,
    digests_of,
    key,
    keys,
    request_digest,
    split,
    times,
    unpacked,
    version_id,
)

ROWS = st.builds(
    Pending,
    version=st.integers(0, 2**64 - 1),
    time=st.floats(0, 2**32 - 1).map(lambda time: round(time * 65536) / 65536),
    role=st.integers(0, 255),
    chance=st.integers(0, 65535),
    value=st.floats(width=32, allow_nan=False),
    bins=st.binary(min_size=8, max_size=8),
    groups=st.binary(min_size=4, max_size=4),
    segment=st.integers(0, 65535),
    row=st.integers(0, 2**32 - 1),
)


def test_the_layout_is_the_one_that_is_written_down() -> None:
    """Forty bytes, each where the table says: stored rows outlive a release."""
    row = Pending(0x1122334455667788, 1_700_000_000.5, 2, 7, 0.75, b"12345678", b"abcd", 9, 3)
    raw = row.packed()
    assert raw.hex() == ("0102887766554433221100f15365008007000000403f313233343536373861626364090003000000")
    assert len(raw) == ROW_BYTES == ROW.itemsize


@given(st.lists(ROWS, max_size=5))
def test_rows_come_back(rows: list[Pending]) -> None:
    """One at a time, and as an array whose fields stand at the same places."""
    raw = b"".join(row.packed() for row in rows)
    array = unpacked(raw)
    assert [Pending.unpacked(one) for one in split(array)] == rows
    assert times(array).tolist() == [row.time for row in rows]
    assert array["version"].tolist() == [row.version for row in rows]
    assert array["value"].tolist() == [row.value for row in rows]
    assert array["row"].tolist() == [row.row for row in rows]


def test_blank_rows_say_that_nothing_is_known() -> None:
    """What is not filled in reads as none."""
    rows = blank(2, 1_700_000_000.25)
    first, second = (Pending.unpacked(raw) for raw in split(rows))
    assert math.isnan(first.value)
    assert first._replace(value=0) == Pending(0, 1_700_000_000.25, value=0)
    assert second.row == 1
    each = blank(2, np.array([1.0, 2.5]))
    assert times(each).tolist() == [1.0, 2.5] and each["row"].tolist() == [0, 1]
    assert blank(1, -5.0)["seconds"] == 0 and blank(1, 1e18)["seconds"] == 2**32 - 1


@pytest.mark.parametrize("raw", [b"\x01", bytes(40), b"\x02" + bytes(39), bytes(79)])
def test_other_bytes_are_no_rows(raw: bytes) -> None:
    """Neither of another length nor of another layout."""
    with pytest.raises(NotRows, match="expected"):
        unpacked(raw)
    with pytest.raises(NotRows, match="expected"):
        Pending.unpacked(raw)


@pytest.mark.parametrize("field", [{"chance": 65536}, {"version": -1}, {"row": 2**32}, {"time": -1.0}])
def test_numbers_that_do_not_fit(field: dict[str, float]) -> None:
    """A number that its field cannot hold is an error, never another number."""
    with pytest.raises(struct.error):
        Pending(1, 1.0)._replace(**field).packed()


def test_keys_tell_ids_and_rows_apart() -> None:
    """Source, id and row each make another key; the same ones make the same, in any process."""
    digest = request_digest("request_id", "4f1c")
    assert digest.hex() == "481ce16893e26162953dca"
    assert keys(digest, range(3)) == [key(digest, number) for number in range(3)]
    assert len(key(digest, 2**32 - 1)) == KEY_BYTES
    others = {request_digest("trace_id", "4f1c"), request_digest("request_id", "4f1c ")}
    assert digest not in others and len(others) == 2
    assert len(request_digest("column", "\ud800")) == 11
    with pytest.raises(struct.error):
        key(digest, 2**32)


def test_version_numbers_are_the_same_everywhere() -> None:
    """They are made of the text alone, and have all 64 bits."""
    assert version_id("churn 1") == int.from_bytes(bytes.fromhex("054d64f1c1fedc60"), "little")
    assert max(version_id(f"churn {number}") for number in range(100)) >= 2**63


@given(st.text(max_size=20), st.lists(st.text(max_size=40), max_size=3))
def test_digests_of_one_source(source: str, identities: list[str]) -> None:
    """They are those of each id alone: BLAKE2b of the source, a zero byte and the id, as stored keys have them."""
    digest = digests_of(source)
    for identity in identities:
        plain = hashlib.blake2b(f"{source}\0{identity}".encode(), digest_size=DIGEST_BYTES).digest()
        assert digest(identity) == request_digest(source, identity) == plain
