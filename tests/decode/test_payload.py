"""Payload: JSON as real servers write it, and typed fields."""

import math

import pytest

from exporter.decode.payload import MAX_ID, identifier, parse, parse_object, required, text
from exporter.records.observation import Undecodable


def test_bare_tokens() -> None:
    """Bare NaN and infinities, which are no JSON, are read as servers mean them."""
    not_a_number, high, low = parse(b"[NaN, Infinity, -Infinity]")
    assert math.isnan(not_a_number)
    assert (high, low) == (math.inf, -math.inf)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"\xef\xbb\xbf{}", b"1e400", b"NaNcy", b'["NaN", \xff]']
)
def test_not_json(body: bytes) -> None:
    """What neither parser takes is `not_json`."""
    with pytest.raises(Undecodable, match="not_json"):
        parse(body)


def test_surrogates() -> None:
    """A lone surrogate is refused on either way, a pair is one character on either way."""
    assert parse(b'["\\ud83d\\ude00", NaN]')[0] == parse(b'["\\ud83d\\ude00"]')[0] == "\N{GRINNING FACE}"
    for body in (b'["\\ud800"]', b'["\\ud800", NaN]'):
        with pytest.raises(Undecodable, match="not_json"):
            parse(body)


def test_exhausted_parser() -> None:
    """Nesting beyond the slower parser is `too_deep`."""
    with pytest.raises(Undecodable, match="too_deep"):
        parse(b"[" * 100_000 + b"NaN" + b"]" * 100_000)


def test_fields() -> None:
    """A field that is absent or null is missing; one of another type, a bool for an int too, is wrong."""
    fields = parse_object(b'{"a": 1, "b": null, "c": true}')
    assert required(fields, "a", int) == 1
    for name, reason in (("b", "missing_field"), ("z", "missing_field"), ("c", "wrong_type")):
        with pytest.raises(Undecodable, match=reason):
            required(fields, name, int)
    with pytest.raises(Undecodable, match="wrong_type"):
        parse_object(b"[]")


def test_names() -> None:
    """Names are cut, join keys are left out when too long; null never becomes the word None."""
    assert (text(None), text(3), text("v1"), text(True), text("n" * 200)) == ("", "3", "v1", "", "n" * 128)
    assert (identifier("k"), identifier(None), identifier(7), identifier("k" * (MAX_ID + 1))) == (
        "k",
        "",
        "",
        "",
    )
