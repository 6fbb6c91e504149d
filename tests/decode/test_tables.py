"""Tables: CSV cells become typed columns, names beside rows, JSON lines."""

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.decode.columns import MAX_COLUMNS, MAX_VECTOR
from exporter.decode.tables import MAX_CELLS, MAX_RECORDS, csv_records, json_lines, named_rows
from exporter.records.observation import Column, Undecodable


def names(columns: list[Column]) -> list[str]:
    return [column.name for column in columns]


def test_csv_is_read_as_written_by_pandas() -> None:
    """Quotes, doubled quotes, line ends inside them, a byte order mark, blank lines, any line end."""
    body = b'\xef\xbb\xbfa,"b ""c"", d"\r\n\r\n"x\ny",\n'
    assert csv_records(body).rows == [["a", 'b "c", d'], ["x\ny", ""]]
    assert csv_records(b"a\rb").rows == [["a"], ["b"]]
    assert csv_records(b"").count == csv_records(b"\n\r\n").count == 0


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'"open', "not_csv"),
        (b'"a"b,c', "not_csv"),
        (b"\xff", "not_csv"),
        (b"a\x00b\n\xff", "not_csv"),
        (b"x" * 200_000, "not_csv"),
        (b"a,b\nc", "ragged"),
        (b"1,2\n3", "ragged"),
        (b"a,b\n3\n", "ragged"),
        (b"," * MAX_COLUMNS, "too_many_columns"),
        (b"1," * MAX_COLUMNS + b"1", "too_many_columns"),
        (b"\n" * (MAX_RECORDS + 1), "too_many_values"),
        (b"," * (MAX_CELLS + 1), "too_many_values"),
    ],
)
def test_bad_csv(body: bytes, reason: str) -> None:
    """What is no CSV, not one table, or too wide, is refused by its reason."""
    with pytest.raises(Undecodable, match=reason):
        csv_records(body)


@pytest.mark.parametrize(
    ("cells", "role", "values", "nulls"),
    [
        (["1", "2"], "input", [1, 2], 0),
        (["1", "2"], "output", ["1", "2"], 0),
        (["1", ""], "output", ["1", None], 1),
        (["1", "2.0"], "output", [1, 2], 0),
        (["1", "NA"], "input", [1, math.nan], 1),
        (["x", "NA", ""], "input", ["x", "NA", None], 1),
        (["", "null"], "input", [math.nan, math.nan], 2),
        (["nan", " -inf "], "input", [math.nan, -math.inf], 0),
        (["1e400"], "input", [math.inf], 0),
        (["True", "", "false"], "input", ["true", None, "false"], 1),
        (["True", "maybe"], "input", ["True", "maybe"], 0),
        (["007", "7"], "input", ["007", "7"], 0),
        (["0.5", "-0.5", "+2", "0"], "input", [0.5, -0.5, 2, 0], 0),
        (["1_000"], "input", ["1_000"], 0),
        (["1.5", " x "], "input", ["1.5", "x"], 0),
        (["18446744073709551615"], "output", ["18446744073709551615"], 0),
        (["+18446744073709551615"], "output", [2.0**64], 0),
        (["18446744073709551616"], "output", [2.0**64], 0),
        (["9" * 6000], "output", [math.inf], 0),
    ],
)
def test_cells_of_a_column_decide_its_kind_together(
    cells: list[str], role: Any, values: list[Any], nulls: int
) -> None:
    """Numbers if all are, truth values if all are, else text; what is missing depends on it."""
    body = "\n".join(f"{cell},x" for cell in cells)
    column, _ = csv_records(body.encode()).unnamed("x", role)
    assert column.kind == ("categorical" if any(isinstance(value, str) for value in values) else "numeric")
    np.testing.assert_equal(column.values.tolist(), values)
    assert column.nulls == nulls


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("header", [b"", b"a,b,c\n", b",b,c\n"])
@pytest.mark.parametrize("role", ["input", "output"])
def test_the_fast_way_is_no_other(header: bytes, line_end: bytes, role: Any) -> None:
    """A table of numbers alone gives the columns that it gives when quotes make it take the slower way."""
    plain = (header + b"1,2.50,-3e2\n4,5, 18446744073709551616\n-7,0.5,1\n").replace(b"\n", line_end)
    fast, slow = csv_records(plain), csv_records(plain.replace(b"0.5", b'"0.5"'))
    assert (type(fast.rows[-1][0]), type(slow.rows[-1][0])) == (int, str)
    assert fast.has_header == slow.has_header == bool(header)
    assert (fast.first, fast.count) == (slow.first, slow.count)
    for one, other in (
        (fast.named("x", role), slow.named("x", role)),
        *([(fast.unnamed("x", role), slow.unnamed("x", role))] if not header else []),
    ):
        assert [(c.name, c.kind, c.nulls, c.values.tolist()) for c in one] == [
            (c.name, c.kind, c.nulls, c.values.tolist()) for c in other
        ]


def _outcome(body: bytes) -> Any:
    try:
        records = csv_records(body)
    except Undecodable as refusal:
        return refusal.reason
    made = [records.unnamed("x", "output")] if not records.has_header else []
    if records.count:
        made.append(records.named("x", "output"))
    columns = [[(c.name, c.kind, c.nulls, c.values.tolist()) for c in one] for one in made]
    return records.first, records.count, records.has_header, repr(columns)


@given(
    st.lists(
        st.lists(st.text("0123.-+eE \t", min_size=1, max_size=4), min_size=1, max_size=3).map(",".join),
        max_size=4,
    ),
    st.sampled_from(["\n", "\r\n", "\r", ",\r"]),
)
@settings(max_examples=150)
def test_any_numbers_are_read_alike_either_way(lines: list[str], line_end: str) -> None:
    """A quote about the first cell, which bars the fast way, changes nothing."""
    body = line_end.join(lines).encode()
    cell = re.match(rb"[^,\r\n]*", body)
    assert cell is not None
    if cell[0]:
        assert _outcome(body) == _outcome(b'"' + cell[0] + b'"' + body[cell.end() :])


def test_unnamed_records() -> None:
    """Columns are called by place; over MAX_VECTOR cells a record is a vector, if all are numbers."""
    assert names(csv_records(b"1,2").unnamed("y", "input")) == ["y_0", "y_1"]
    assert len(csv_records(b"1," * (MAX_VECTOR - 1) + b"1").unnamed("y", "input")) == MAX_VECTOR
    (vector,) = csv_records(b"1," * MAX_VECTOR + b"1").unnamed("y", "input")
    assert (vector.kind, vector.values.shape) == ("vector", (1, MAX_VECTOR + 1))
    assert csv_records(b"1," * MAX_VECTOR + b"a").unnamed("y", "input") == []
    assert csv_records(b"").unnamed("y", "input") == []


def test_a_record_turned() -> None:
    """One record may stand for a column."""
    for body in (b"1.5,2.5", b"a,b,c"):
        records = csv_records(body)
        (column,) = records.turned().unnamed("y", "output")
        assert (column.name, len(column.values)) == ("y", records.turned().count)


@pytest.mark.parametrize(
    ("body", "header"),
    [
        (b"a,b\n1,x", True),
        (b"a,b\n1,2", True),
        (b'"a",b\n1,2', True),
        (b"a,b\ny,x", False),
        (b"a,1\n2,3", False),
        (b"nan,b\n2,3", False),
        (b"a,b", False),
        (b"1,2", False),
        (b"", False),
    ],
)
def test_header_is_told_only_where_it_is_certain(body: bytes, header: bool) -> None:
    """A record without numbers above one with a number names the columns; nothing else does for certain."""
    assert csv_records(body).has_header is header


def test_header_names() -> None:
    """Names are trimmed and cut; a column without one is called by its place; a header need not be certain."""
    body = b" a ,," + b"n" * 200 + b"\n1,2,3"
    assert names(csv_records(body).named("input", "input")) == ["a", "input_1", "n" * 128]
    assert names(csv_records(b"0,1\n5.5,6.5").named("input", "input")) == ["0", "1"]
    assert csv_records(b"a,b").named("input", "input") == []


def test_json_lines() -> None:
    """One value a line, either line end, blank lines passed over; two values in a line are none."""
    assert json_lines(b'{"a":1}\r\n\n[2]\n3') == [{"a": 1}, [2], 3]
    assert json_lines(b"") == []
    with pytest.raises(Undecodable, match="not_json"):
        json_lines(b"1 2\n")
    for many in (b"1\n", b"[]"):
        with pytest.raises(Undecodable, match="too_many_values"):
            json_lines(many * (MAX_RECORDS + 1))


def test_named_rows() -> None:
    """Names beside rows name the columns, whatever the cells are."""
    plain = named_rows(("a", "b"), [[1, "x"], [None, "y"]], "input")
    assert [(column.name, column.kind, column.nulls) for column in plain] == [
        ("a", "numeric", 1),
        ("b", "categorical", 0),
    ]
    nested = named_rows(("a", "b"), [[1, [2, 3]], [4, [5, 6]]], "input")
    assert [column.name for column in nested] == ["a", "b_0", "b_1"]
    assert named_rows(("a",), [], "input") == []
    even = named_rows(("a", "b"), [[[1, 2], [3, 4]]], "input")
    assert [column.name for column in even] == ["a_0", "a_1", "b_0", "b_1"]


@pytest.mark.parametrize(
    ("names", "rows", "reason"),
    [
        (("a", "b"), [[1]], "names_differ"),
        (("a",), [1], "mixed_rows"),
        (("a",), [[1], None], "mixed_rows"),
        (tuple(map(str, range(MAX_COLUMNS + 1))), [], "too_many_columns"),
    ],
)
def test_rows_that_do_not_fit_their_names(names: tuple[str, ...], rows: list[Any], reason: str) -> None:
    """A row that is no list, or has another number of values than there are names, is refused."""
    with pytest.raises(Undecodable, match=reason):
        named_rows(names, rows, "input")


@given(
    st.text('ab1.,"\n\r é', max_size=30)
    | st.lists(st.text("1.-+eE_nNaif ", max_size=6), max_size=8).map(",".join)
)
@settings(max_examples=60)
def test_any_text_is_a_table_or_a_reason(text: str) -> None:
    """Any text gives columns with a value per record, or a reason."""
    try:
        records = csv_records(text.encode())
    except Undecodable as refusal:
        assert refusal.reason in ("not_csv", "ragged")
        return
    header = records.has_header
    for column in records.named("x", "output") if header else records.unnamed("x", "output"):
        assert column.values.shape == (records.count - header,)
