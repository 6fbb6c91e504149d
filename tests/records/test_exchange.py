"""The exchange, its codec, and reading a field from a raw head."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.records.exchange import ERROR_OWNERS, ERROR_TYPES, Exchange, header
from exporter.records.messages import Batch, decode_batch
from tests.records.exchanges import EXCHANGES, PLAIN


@given(st.lists(EXCHANGES, max_size=4), st.integers(0, (1 << 63) - 1))
def test_round_trip(exchanges: list[Exchange], number: int) -> None:
    """Every exchange comes out of a batch as it went in."""
    batch = Batch(number, exchanges)
    assert decode_batch(msgspec.msgpack.encode(batch)) == batch


def test_fields_may_only_be_appended() -> None:
    """An exchange without the fields that have defaults is still read: those are the last ones."""
    short = [getattr(PLAIN, name) for name in PLAIN.__struct_fields__][:23]
    read = msgspec.msgpack.decode(msgspec.msgpack.encode(short), type=Exchange)
    assert read == PLAIN
    assert (read.trace, read.peer) == (None, "")


def test_an_exchange_is_frozen() -> None:
    """Nobody changes what was handed over."""
    with pytest.raises(AttributeError):
        PLAIN.status = 500  # type: ignore[misc]


def test_error_types_have_the_owners_of_the_design() -> None:
    """Server, client, sidecar, and nobody else."""
    by_owner = {
        owner: {kind for kind in ERROR_TYPES if ERROR_OWNERS[kind] == owner}
        for owner in ERROR_OWNERS.values()
    }
    assert by_owner == {
        "server": {"refused", "reset", "timeout", "5xx", "incomplete", "stream_error"},
        "client": {"4xx", "abort"},
        "sidecar": {"shed", "rejected"},
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"host", b"model"),
        (b"content-type", b"application/json; a=B"),
        (b"x-twice", b"first"),
        (b"x-empty", b""),
        (b"type", b""),
        (b"x-content", b""),
        (b"absent", b""),
        (b"x-last", b"l\xe9"),
    ],
)
def test_header(name: bytes, value: bytes) -> None:
    """The first field of exactly that name, whatever its case; its value as sent, without white space around."""
    head = (
        b"GET /x?host: no HTTP/1.1\r\nHOST: model\r\nX-Content-Type: other\r\ncontent-TYPE:\tapplication/json; a=B \r\n"
        b"X-Twice:first\r\nX-Twice: second\r\nX-Empty:\r\nX-Last: l\xe9\r\n\r\n"
    )
    assert header(head, name) == value


def test_header_of_what_is_no_head() -> None:
    """Nothing, a first line alone, and a cut head give no value or what is there."""
    assert header(b"", b"host") == b""
    assert header(b"HTTP/1.1 200 OK\r\n\r\n", b"host") == b""
    assert header(b"GET / HTTP/1.1\r\nHost: mod", b"host") == b"mod"


@given(
    st.lists(
        st.tuples(st.sampled_from(["Host", "host", "x-host", "HOST:"]), st.text("a :\t\xe9", max_size=4))
    ),
    st.sampled_from(["", "\r\n", "\r\n\r\nhost: body"]),
)
def test_header_is_the_first_of_its_lines(fields: list[tuple[str, str]], end: str) -> None:
    """As a reader finds it who takes the head line by line."""
    lines = [f"{name}:{value}" for name, value in fields]
    head = "\r\n".join(["GET /host:x HTTP/1.1", *lines]) + end
    listed = (line.partition(":") for line in head.split("\r\n")[1:])
    wanted = next((value.strip(" \t") for name, _, value in listed if name.lower() == "host"), "")
    assert header(head.encode("latin-1"), b"host") == wanted.encode("latin-1")
