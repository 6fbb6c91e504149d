"""keys.py: by which ids a later label finds the row that it belongs to."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.analysis.keys import MAX_ID, Key, caller_id, row_keys, without_ids
from exporter.analysis.known import JOIN_KEYS
from exporter.records.exchange import Exchange, Trace
from exporter.records.observation import Column, Observation
from tests.decode.exchanges import exchange

TRACE = "0af7651916cd43dd8448eb211c80319c"
REQUEST = (
    f"POST / HTTP/1.1\r\nX-Request-Id: r-1\r\ntraceparent: 00-{TRACE}-b7ad6b7169203331-01\r\n\r\n".encode()
)


def made(
    request_head: bytes = REQUEST, response_head: bytes = b"HTTP/1.1 200 OK\r\n\r\n", **changes: Any
) -> Exchange:
    return exchange("/x", b"", b"", request_head=request_head, response_head=response_head, **changes)


def observed(rows: int, *columns: Column, request_id: str = "") -> Observation:
    return Observation("p", rows, columns, (), request_id=request_id)


def ids(values: list[Any], name: str = "id") -> Column:
    numeric = all(isinstance(value, float) for value in values)
    return Column(
        name, "numeric" if numeric else "categorical", np.array(values, np.float64 if numeric else object)
    )


def test_all_sources_in_order() -> None:
    """Each row has a key per source, in the configured order; the exchange's ids have the row's number."""
    found = observed(2, ids(["a", "b"]), request_id="d-1")
    assert row_keys(made(), found, ("id",)) == [
        (
            Key("column", one, 0),
            Key("dialect", "d-1", n),
            Key("request_id", "r-1", n),
            Key("trace_id", TRACE, n),
        )
        for n, one in enumerate("ab")
    ]
    (first, _) = row_keys(made(), found, ("id",), ("trace_id", "column"))
    assert [key.source for key in first] == ["trace_id", "column"]


def test_ids_of_rows() -> None:
    """Numbers are written whole, rows of one id are numbered, and what is missing or too long is no key."""
    assert row_keys(made(), observed(4, ids([7.0, 7.0, float("nan"), 0.5])), ("id",), ("column",)) == [
        (Key("column", "7", 0),),
        (Key("column", "7", 1),),
        (),
        (Key("column", "0.5", 0),),
    ]
    texts = observed(3, ids([None, "", "x" * (MAX_ID + 1)]))
    assert row_keys(made(), texts, ("id",), ("column",)) == [(), (), ()]
    assert row_keys(made(), texts, ("other",), ("column",)) == [(), (), ()]


def test_an_output_may_hold_the_id() -> None:
    """Where the request has no such column, the answer's counts."""
    found = Observation("p", 1, (), (ids(["a"]),))
    assert row_keys(made(), found, ("id",), ("column",)) == [(Key("column", "a", 0),)]


@pytest.mark.parametrize(
    ("request_head", "response_head", "own", "expected"),
    [
        (b"P / H\r\nx-request-id: mine\r\n\r\n", b"", "mine", "mine"),
        (b"P / H\r\n\r\n", b"", "made-here", ""),
        (b"P / H\r\n\r\n", b"H 200\r\nX-Request-Id: made-here\r\n\r\n", "made-here", "made-here"),
        (b"P / H\r\n\r\n", b"H 200\r\nx-request-id: the-servers\r\n\r\n", "made-here", ""),
        (b"P / H\r\n\r\n", b"", "", ""),
    ],
)
def test_an_id_that_nobody_knows_joins_nothing(
    request_head: bytes, response_head: bytes, own: str, expected: str
) -> None:
    """The sidecar's own id is a key only where the answer carries it to the caller."""
    assert caller_id(made(request_head, response_head, request_id=own)) == expected


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        f"00-{TRACE.upper()}-b7ad6b7169203331-01",
        "00-abc",
        "x" * 60,
    ],
)
def test_traces_that_are_none(sent: str) -> None:
    """Only a valid trace id is a key."""
    assert row_keys(
        made(f"P / H\r\ntraceparent: {sent}\r\n\r\n".encode()), observed(1), (), ("trace_id",)
    ) == [()]


def test_the_chosen_trace_wins() -> None:
    """A span made by the sidecar has the trace that the collector knows."""
    one = made(trace=Trace("f" * 32, "b" * 16, ""))
    assert row_keys(one, observed(1), (), ("trace_id",)) == [(Key("trace_id", "f" * 32, 0),)]


def test_ids_are_no_features() -> None:
    """Columns with the role of an id are left out of what is counted."""
    columns = (ids(["a"]), ids(["b"], "x"))
    assert [column.name for column in without_ids(columns, ("id", "nothing"))] == ["x"]


@given(st.binary(), st.binary(), st.text(), st.integers(0, 3))
def test_any_heads(request_head: bytes, response_head: bytes, own: str, rows: int) -> None:
    """A list as long as there are rows, whatever the heads hold."""
    one = made(request_head, response_head, request_id=own)
    assert len(row_keys(one, observed(rows, request_id=own), ("id",), JOIN_KEYS)) == rows
