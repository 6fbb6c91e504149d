"""What a profile may say of values."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.stats.profiles.privacy import hash_category, key_id, personal, rounded_down, rounded_up

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("value", "down", "up"),
    [
        (100.25, 100.0, 110.0),
        (-1.25, -1.3, -1.2),
        (0.13, 0.13, 0.13),
        (99.9, 99.0, 100.0),
        (123456.0, 120000.0, 130000.0),
        (0.0, 0.0, 0.0),
        (-0.0, 0.0, 0.0),
        (1.7e308, 1.7e308, 1.7e308),
    ],
)
def test_extremes_are_rounded_outward(value: float, down: float, up: float) -> None:
    """Two significant digits; what has two already stays."""
    assert (rounded_down(value), rounded_up(value)) == (down, up)


@given(FINITE)
def test_a_rounded_extreme_never_lies_inside(value: float) -> None:
    """down <= value <= up, and the two are at most a tenth of the value apart from it."""
    down, up = rounded_down(value), rounded_up(value)
    assert down <= value <= up
    if 1e-290 < abs(value) < 1e290:
        assert up - down <= 0.11 * abs(value)


@pytest.mark.parametrize(
    ("name", "texts", "expected"),
    [
        ("contact", ["ann@example.org", "bob@example.org"], "e-mail addresses"),
        ("email", ["x"], "e-mail addresses"),
        ("customerFirstName", ["x"], "names"),
        ("last_name", ["x"], "names"),
        ("trace", ["9f86d081884c7d659a2feaa0c55ad015"], "ids"),
        ("trace", ["123e4567-e89b-12d3-a456-426614174000"], "ids"),
        ("account", ["DE89 3704 0044 0532 0130 00"], "bank accounts"),
        ("call", ["+49 30 1234567", "(030) 123-4567"], "phone numbers"),
        ("host", ["10.0.0.1"], "network addresses"),
        ("who", [f"Ann{chr(97 + i)} Smith{chr(97 + i)}" for i in range(26)], "names"),
        ("city", ["Rome", "New York"], None),
        ("who", [f"Ann{chr(97 + i)} Smith{chr(97 + i)}" for i in range(5)], None),
        ("rename_count", ["a"], None),
        ("salary", ["0 - 20K €", "20K - 40K €"], None),
        ("x", [], None),
    ],
)
def test_columns_that_look_personal(name: str, texts: list[str], expected: str | None) -> None:
    """By the column's name or by the form of most values; a few frequent names are no register."""
    assert personal(name, texts) == expected


def test_the_hash_of_a_category_is_its_documented_scheme() -> None:
    """h: and 64 bits of HMAC-SHA256 in hex: whoever has the key can hash live categories alike."""
    expected = hmac.new(b"key", "città".encode(), hashlib.sha256).hexdigest()[:16]
    assert hash_category("città", b"key") == f"h:{expected}"
    assert hash_category("città", b"other") != hash_category("città", b"key")
    assert len(key_id(b"key")) == 8
    assert key_id(b"key") not in hash_category("modeltap key id", b"key")[10:]
