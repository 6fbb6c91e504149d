"""rowfiles.py: rows of CSV, JSON lines and Parquet as columns, and what is said of files that hold none."""

import gzip
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from exporter.commands.rowfiles import FileError, open_rows
from exporter.decode.tables import csv_records

CSV = """n,x,flag,name,code,mixed,gone
1,0.5,true,Oslo,007,1,
NA,nan,False," Bonn ",1_0,a,NA
-3,1e3,,,x,,null
"""
COLUMNS: dict[str, list[Any]] = {
    "n": [1, None, -3],
    "flag": [True, False, None],
    "name": ["Oslo", "Bonn", None],
    "code": ["007", "1_0", "x"],
    "mixed": ["1", "a", None],
    "gone": [None, None, None],
}


def write(folder: Path, name: str, content: bytes) -> str:
    path = folder / name
    path.write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
    return str(path)


def joined(path: str, size: int) -> dict[str, list[Any]]:
    """All batches put together; every batch but the last has `size` rows."""
    whole: dict[str, list[Any]] = {}
    for columns in open_rows(path).batches(size):
        assert len({len(cells) for cells in columns.values()}) == 1
        for name, cells in columns.items():
            whole.setdefault(name, []).extend(cells)
    return whole


@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "A.CSV"])
def test_csv(tmp_path: Path, name: str, size: int) -> None:
    """All cells of a column decide its kind, also where the first batch alone would tell another."""
    path = write(tmp_path, name, CSV.encode())
    assert open_rows(path).names == ("n", "x", "flag", "name", "code", "mixed", "gone")
    found = joined(path, size)
    x = found.pop("x")
    assert found == COLUMNS
    assert (x[0], x[2]) == (0.5, 1000.0) and x[1] != x[1]
    assert all(type(cell) in (int, type(None)) for cell in found["n"])


WORDS = st.sampled_from(
    ["1", "-2", "0", "2.5", "1e400", "nan", "", "NA", "x", "007", "true", "False", "1_0", " 3 "]
)


@given(st.lists(WORDS, min_size=1, max_size=6))
def test_csv_is_read_as_the_decoders_read_it(
    tmp_path_factory: pytest.TempPathFactory, words: list[str]
) -> None:
    """A column is numeric, true or false, or text by the same rules as one on the wire."""
    content = "a,b\n" + "".join(f"{word},k\n" for word in words)
    path = write(tmp_path_factory.mktemp("rows"), "a.csv", content.encode())
    ours = joined(path, 2)["a"]
    theirs = csv_records(content.encode()).named("a", "input")[0]
    kinds = {type(cell) for cell in ours} - {type(None)}
    assert (theirs.kind == "numeric") is (kinds <= {int, float})
    assert sum(cell is None for cell in ours) == theirs.nulls


def test_json_lines(tmp_path: Path) -> None:
    """Objects as they are; a key that a row lacks is null, blank lines are none."""
    lines = b'{"a":1,"b":[1,2]}\n\n{"a":2.5,"c":"x"}\n{}\n'
    for name in ("a.jsonl", "a.ndjson", "a.jsonl.gz"):
        path = write(tmp_path, name, lines)
        assert open_rows(path).names == ()
        whole = {"a": [1, 2.5, None], "b": [[1, 2], None, None], "c": [None, "x", None]}
        assert list(open_rows(path).batches(5)) == [whole]


def test_parquet(tmp_path: Path) -> None:
    """Types as JSON has them: times with their zone, decimals as numbers, bytes in hexadecimal digits."""
    path = str(tmp_path / "a.parquet")
    when = datetime(2024, 5, 1, 12, tzinfo=UTC)
    table = {
        "n": [1, None, 3],
        "x": [0.5, 1.5, None],
        "t": ["a", "b", None],
        "when": [when] * 3,
        "money": [Decimal("1.25")] * 3,
        "raw": [b"\xff"] * 3,
        "flag": [True, None, False],
    }
    parquet.write_table(pyarrow.table(table), path)
    assert open_rows(path).names == tuple(table)
    assert joined(path, 2) == {
        **{name: table[name] for name in ("n", "x", "t", "flag")},
        "when": ["2024-05-01T12:00:00+00:00"] * 3,
        "money": [1.25] * 3,
        "raw": ["ff"] * 3,
    }


BAD = [
    ("a.csv", b"", "empty; expected a header line"),
    ("a.csv", b"a,a\n1,2\n", "line 1: expected distinct names"),
    ("a.csv", b"a,\n1,2\n", "line 1: expected distinct names"),
    ("a.csv", b"a,b\n1,2\n1\n", "line 3: 1 cells, expected 2"),
    ("a.csv", b'a,b\n"1,2\n', "not CSV"),
    ("a.csv", b"a,b\n\xff,2\n", "expected text in UTF-8"),
    ("a.jsonl", b'{"a":1}\n[1]\n', "line 2: expected a JSON object"),
    ("a.jsonl", b"x", "line 1: expected a JSON object"),
    ("a.jsonl", b'{"a":"' + b"x" * (1 << 20) + b'"}', "line 1: over 1048576 bytes"),
    ("a.parquet", b"no parquet at all", "not Parquet"),
    ("a.txt", b"", "unknown kind of file; expected .csv"),
]


@pytest.mark.parametrize(("name", "content", "expected"), BAD, ids=[row[2][:30] for row in BAD])
def test_files_that_cannot_be_used(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    """Each is told with its name, the place, and what was expected."""
    path = write(tmp_path, name, content)
    with pytest.raises(FileError) as refusal:
        joined(path, 10)
    assert str(refusal.value).startswith(path)
    assert expected in str(refusal.value)


def test_damaged_and_missing_files(tmp_path: Path) -> None:
    """A file that is cut off, and none."""
    packed = gzip.compress(b"a,b\n" + b"1,2\n" * 10_000, mtime=0)
    for name, content in (
        ("a.csv.gz", packed),
        ("a.jsonl.gz", gzip.compress(b'{"a":1}\n' * 10_000, mtime=0)),
    ):
        path = tmp_path / name
        path.write_bytes(content[:-20])
        with pytest.raises(FileError, match="damaged gzip data"):
            joined(str(path), 100)
    with pytest.raises(FileError, match="not a file"):
        open_rows(str(tmp_path / "none.csv"))


def test_parquet_without_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pyarrow is not installed, it is told how it is."""
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(FileError, match=r"pip install 'modeltap\[parquet\]'"):
        open_rows(str(tmp_path / "a.parquet"))
