"""The frame: what it refuses before a dialect sees anything, and that nothing but Undecodable comes out."""

import gc
import gzip
from types import SimpleNamespace
from typing import Any

import pytest

from exporter.decode import DIALECTS, REASONS, observe
from exporter.records.exchange import Exchange
from exporter.records.observation import Observation, Undecodable
from tests.decode.exchanges import V1_PATH, exchange

GOOD = exchange(V1_PATH, b'{"instances":[1]}', b'{"predictions":[2]}')


def reason(one: Exchange, dialects: Any = DIALECTS) -> str:
    with pytest.raises(Undecodable) as refusal:
        observe(one, dialects)
    assert refusal.value.reason in REASONS
    return refusal.value.reason


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"request_captured": False}, "not_captured"),
        ({"response_captured": False}, "not_captured"),
        ({"request_head": b"POST / HTTP/1.1\r\nContent-Encoding: gzip\r\n\r\n"}, "content_coding"),
        ({"response_head": b"HTTP/1.1 200 OK\r\ncontent-encoding:compress\r\n\r\n"}, "coding_unsupported"),
        ({"response_head": b"HTTP/1.1 200 OK\r\ncontent-encoding: iden"}, "coding_unsupported"),
        ({"status": 301}, "not_2xx"),
        ({"status": 199}, "not_2xx"),
        ({"status": 0}, "not_2xx"),
        ({"protocol": "openai"}, "no_dialect"),
        ({"operation": "metadata"}, "no_dialect"),
    ],
)
def test_refused_before_decode(changes: dict[str, Any], expected: str) -> None:
    """What no dialect should see is refused by the frame, by its own reason."""
    arguments = {name: getattr(GOOD, name) for name in GOOD.__struct_fields__} | changes
    assert reason(Exchange(**arguments)) == expected


def test_identity_coding_is_no_coding() -> None:
    """A body that says `identity` is decoded."""
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: Identity\r\n\r\n"
    assert observe(exchange(V1_PATH, GOOD.request_body, GOOD.response_body, response_head=head)).rows == 1


def test_first_claim_decides() -> None:
    """The first dialect in the tuple that claims an exchange decodes it; the others are not asked."""
    mine = Observation("mine", 3, (), ())
    dialect = SimpleNamespace(NAME="mine", claims=lambda _: True, decode=lambda _: mine)
    assert observe(GOOD, (dialect, *DIALECTS)) is mine
    assert observe(GOOD, (*DIALECTS, dialect)).protocol == "kserve_v1"


def test_no_dialects() -> None:
    """Without dialects every exchange is refused."""
    assert reason(GOOD, ()) == "no_dialect"


def test_a_coding_is_undone_only_for_a_dialect() -> None:
    """What no dialect claims is not inflated: the reason is that nobody reads it."""
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"
    assert reason(exchange("/somewhere", b"", b"no gzip", response_head=head)) == "no_dialect"


def test_a_dialect_sees_bodies_without_codings() -> None:
    """Both bodies are plain, and everything else of the exchange is as it came."""
    head = b"POST / HTTP/1.1\r\nContent-Encoding: gzip\r\n\r\n"
    seen: list[Exchange] = []

    def decode(one: Exchange) -> Observation:
        seen.append(one)
        return Observation("mine", 0, (), ())

    dialect = SimpleNamespace(NAME="mine", claims=lambda _: True, decode=decode)
    coded = exchange(V1_PATH, gzip.compress(b"asked", mtime=0), b"answered", request_head=head)
    observe(coded, (dialect,))
    (one,) = seen
    assert (one.request_body, one.response_body) == (b"asked", b"answered")
    assert (one.request_head, one.path, one.start) == (coded.request_head, coded.path, coded.start)


def test_an_observation_is_in_no_collection() -> None:
    """A pending observation is no work for the garbage collector, however many columns wait for their batch."""
    found = observe(GOOD)
    assert not any(map(gc.is_tracked, (found, *found.inputs, *found.outputs, found.inputs[0].values)))
