"""The decoders' laws on the fuzzer's stored inputs, on the vectors and on generated ones, without the fuzzer."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.decode import DIALECTS
from exporter.records.observation import Observation, Undecodable
from tests.decode.laws import TOKENS
from tests.fuzz import corpus, decoding
from tests.fuzz.decoders import STORED
from tests.fuzz.decoding import FIELDS, PUSHED, READERS, SEPARATOR, check, exchange, pack

MAX_STORED = 200 * 1024
SEEDS = list(decoding.seeds())
GROUPS = 8  # a failure names its input, so one test each would only cost time


@pytest.mark.parametrize("group", range(GROUPS))
def test_stored(group: int) -> None:
    """What the fuzzer found breaks no law."""
    for path in sorted(STORED.iterdir())[group::GROUPS]:
        try:
            check(path.read_bytes(), thorough=True)
        except Exception as error:
            raise AssertionError(f"{path.name} breaks a law") from error


def test_the_stored_inputs_are_small() -> None:
    """There are some, within their bound, and each file has the name of its bytes."""
    paths = sorted(STORED.iterdir())
    assert len(paths) >= 100
    assert sum(path.stat().st_size for path in paths) <= MAX_STORED
    assert all(path.name == corpus.name_of(path.read_bytes()) for path in paths)


def test_every_reader_has_seeds() -> None:
    """The vectors of each dialect, of custom ones and of what is pushed reach their reader, and break no law."""
    names = {READERS[seed[0]].name for seed in SEEDS}
    assert names == {dialect.NAME for dialect in DIALECTS} | {"custom", *PUSHED}
    for seed in SEEDS:
        check(seed, thorough=True)


@given(st.data())
@settings(max_examples=300)
def test_near_the_vectors(data: st.DataObject) -> None:
    """A vector with a token, a cut or a piece of another in it, under any reader and any choice, breaks no law."""
    dice = random.Random(data.draw(st.integers(0, 1 << 30)))
    body = dice.choice(SEEDS)[2:]
    for _ in range(dice.randint(1, 4)):
        other, at = dice.choice(SEEDS)[2:], dice.randint(0, len(body))
        end = min(len(body), at + dice.randint(0, 20))
        body = dice.choice(
            (body[:at] + dice.choice(TOKENS) + body[end:], body[:at] + other[at:], body[:at] + body[end:])
        )
    check(bytes((dice.randrange(len(READERS)), dice.randrange(256))) + body, thorough=True)


@given(reader=st.integers(0, 255), choices=st.integers(0, 255), body=st.binary(max_size=100))
@settings(max_examples=200)
def test_noise(reader: int, choices: int, body: bytes) -> None:
    """Nor does noise."""
    check(bytes((reader, choices)) + body, thorough=True)


@pytest.mark.parametrize("bits", range(256))
def test_choices_keep_the_claim(bits: int) -> None:
    """Whatever field a choice puts into a head, the exchange is one of its dialect, and has that field."""
    for place, reader in enumerate(READERS):
        if reader.exchange is None or reader.custom is not None:
            continue
        one = exchange(reader.exchange, pack(place, b"a", b"b", bits))
        assert (one.request_body, one.response_body) == (b"a", b"b")
        assert FIELDS[bits & 15] in one.request_head and FIELDS[bits >> 4 & 7] in one.response_head
        assert any(dialect.claims(one) for dialect in DIALECTS)


class Broken:
    """A dialect that raises what it may not."""

    NAME = "broken"

    def claims(self, _: object) -> bool:
        return True

    def decode(self, _: object) -> Observation:
        raise KeyError("a")


class Liar(Broken):
    """One whose reason nobody knows."""

    def decode(self, _: object) -> Observation:
        raise Undecodable("because")


@pytest.mark.parametrize(("made", "error"), [(Broken(), KeyError), (Liar(), AssertionError)])
def test_a_broken_decoder_breaks_a_law(
    made: Broken, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The laws see a decoder that raises something else than a known reason."""
    monkeypatch.setattr(decoding, "READERS", [READERS[0]._replace(custom=made)])
    with pytest.raises(error):
        check(b"\0\0{}" + SEPARATOR + b"{}")
