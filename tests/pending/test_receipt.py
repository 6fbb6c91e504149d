"""Receipts: what was signed joins, once, within its age, under any key that is still there; nothing else does."""

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.pending.contract import Limits
from exporter.pending.receipt import MAX_ROWS, BadKeys, Given, Keys, Receipts, Refused, read_keys
from exporter.pending.row import RowArray, blank, keys, request_digest
from tests.pending.stores import LIVE, T0, V1, told

KEYS = Keys(1, {1: b"first secret of 20 b"})
DIGEST = request_digest("request_id", "4f1c")
LIMITS = Limits(age_seconds=640)


def values(count: int = 2, time: float = T0) -> RowArray:
    found = blank(count, time)
    found["version"] = V1
    return found


@pytest.fixture
def receipts() -> Receipts:
    return Receipts(KEYS, LIMITS)


def issued(receipts: Receipts, count: int = 2) -> str:
    token = receipts.issue(DIGEST, values(count))
    assert token is not None
    return token


def refusal(receipts: Receipts, token: str, now: float = T0) -> str:
    with pytest.raises(Refused) as caught:
        receipts.redeem(token, [Given(0, b"", T0)], now)
    assert receipts.refused[caught.value.reason] >= 1
    return caught.value.reason


def test_what_was_signed_comes_back(receipts: Receipts) -> None:
    """On any replica with the key: the rows, and the keys that a store would have had."""
    token = issued(receipts)
    rows = Receipts(KEYS, LIMITS).open(token, T0)
    assert rows.values.tobytes() == values().tobytes()
    assert rows.keys == keys(DIGEST, range(2))
    assert len(issued(receipts, 1)) < 100
    assert set(token) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


def test_labels_of_its_rows_join(receipts: Receipts) -> None:
    """Each row once; one that it does not have is unknown; another label corrects."""
    token = issued(receipts)
    first, unknown = receipts.redeem(token, [Given(1, b"good", T0 + 5), Given(7, b"", T0)], T0 + 5)
    assert (first.outcome, told(first.rows), unknown.outcome) == ("joined", [(V1, LIVE)], "unknown")
    assert first.rows == values()[1].tobytes()
    again, other = receipts.redeem(token, [Given(1, b"good", T0 + 5), Given(0, b"bad", T0)], T0 + 6)
    assert (again.outcome, other.outcome) == ("duplicate", "joined")
    (corrected,) = receipts.redeem(token, [Given(1, b"bad", T0 + 9)], T0 + 9)
    assert (corrected.outcome, corrected.before) == ("corrected", b"good")
    assert (receipts.redeemed, receipts.replayed) == (2, 1)


def test_what_is_remembered_is_bounded() -> None:
    """The oldest are forgotten, in which case a replay joins again: that is what a bound costs."""
    receipts = Receipts(KEYS, Limits(rows=MAX_ROWS, age_seconds=640))
    tokens = [
        receipts.issue(request_digest("request_id", str(at)), values(1, T0 + 400 - at)) or ""
        for at in range(2 * MAX_ROWS)
    ]
    now = T0 + 400
    for token in tokens:
        assert receipts.redeem(token, [Given(0, b"", T0)], now)[0].outcome == "joined"
    assert receipts.redeem(tokens[-1], [Given(0, b"", T0)], now)[0].outcome == "duplicate"
    assert receipts.redeem(tokens[0], [Given(0, b"", T0)], now)[0].outcome == "joined"


def test_it_expires(receipts: Receipts) -> None:
    """At its age to the second, remembered or not."""
    token = issued(receipts)
    assert receipts.redeem(token, [Given(0, b"", T0)], T0 + 639)[0].outcome == "joined"
    assert refusal(receipts, token, T0 + 640) == "expired"


@given(st.data())
def test_any_change_is_noticed(data: st.DataObject) -> None:
    """No single character can be another."""
    receipts = Receipts(KEYS, LIMITS)
    token = issued(receipts)
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("abcXYZ019-_").filter(lambda letter: letter != token[at]))
    assert refusal(receipts, token[:at] + other + token[at + 1 :]) in ("forged", "malformed", "unknown_key")


@given(
    st.one_of(
        st.text(max_size=200), st.binary(max_size=200).map(lambda raw: base64.urlsafe_b64encode(raw).decode())
    )
)
def test_anything_else_is_refused(token: str) -> None:
    """Whatever text a caller sends."""
    assert refusal(Receipts(KEYS, LIMITS), token) in ("forged", "malformed", "unknown_key")


def test_padding_and_length_are_no_way_around(receipts: Receipts) -> None:
    """One token has one spelling, and a long text is not even decoded."""
    token = issued(receipts)
    assert refusal(receipts, token + "=") == "malformed"
    assert refusal(receipts, token + "A" * 10_000_000) == "malformed"


def test_keys_are_rotated() -> None:
    """A new key signs, the old one is still accepted until it is taken away."""
    old = Receipts(KEYS, LIMITS)
    both = Receipts(Keys(2, {2: b"second secret of 21 b", **KEYS.secrets}), LIMITS)
    new = Receipts(Keys(2, {2: b"second secret of 21 b"}), LIMITS)
    token, newer = issued(old), issued(both)
    both.open(token, T0)
    new.open(newer, T0)
    assert refusal(new, token) == "unknown_key"
    assert refusal(old, newer) == "unknown_key"
    assert refusal(Receipts(Keys(1, {1: b"another secret, 20 b"}), LIMITS), token) == "forged"


@pytest.mark.parametrize("count", [0, MAX_ROWS + 1])
def test_rows_of_one_receipt_are_bounded(receipts: Receipts, count: int) -> None:
    """A header has its limits: there is no receipt for more rows, which is counted."""
    assert receipts.issue(DIGEST, values(count)) is None
    assert (receipts.issued, receipts.too_large) == (0, 1)
    assert len(issued(receipts, MAX_ROWS)) < 4000


def test_key_files(tmp_path: Path) -> None:
    """A line for each, the first one signs; what is not a key line is a comment or empty."""
    file = tmp_path / "keys"
    file.write_text(f"# newest first\n2 {'ab' * 16}\n\n1 {'cd' * 32}\n")
    assert read_keys(file) == Keys(2, {2: b"\xab" * 16, 1: b"\xcd" * 32})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no key"),
        ("# none\n", "holds no key"),
        (f"256 {'ab' * 16}", "line 1: expected an id from 0 to 255"),
        (f"one {'ab' * 16}", "line 1: expected an id"),
        (f"\n1 {'ab' * 16} more", "line 2: expected an id"),
        (f"1 {'xy' * 16}", "line 1: the secret is not hexadecimal"),
        (f"1 {'ab' * 15}", "line 1: a secret of at least 16 bytes"),
        (f"1 {'ab' * 16}\n1 {'cd' * 16}", "line 2: the id 1 was there before"),
        ("\xff\xfe", "line 1: expected an id"),
    ],
)
def test_key_files_that_cannot_be_used(tmp_path: Path, text: str, said: str) -> None:
    """The line is told and what was expected; the secret is not."""
    file = tmp_path / "keys"
    file.write_text(text, encoding="latin-1")
    with pytest.raises(BadKeys, match=said) as caught:
        read_keys(file)
    assert "abab" not in str(caught.value) and "xyxy" not in str(caught.value)
