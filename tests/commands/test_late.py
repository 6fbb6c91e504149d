"""late.py: keys that come after the rows that name columns are told, in every format that can have them."""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from exporter.commands import late, read_json, read_parquet, read_traffic, reading
from exporter.commands.compare import profile_like
from exporter.commands.late import MAX_CHARACTERS, MAX_NAMES, OTHER, REASON, count_late, late_notes
from exporter.commands.profile import add_arguments, build_profile, run
from exporter.commands.reading import NAMING_ROWS, PART_ROWS, Limited
from exporter.commands.sources import open_source
from exporter.stats.profiles.profile import LeftOut, load

EARLY = 40


@pytest.fixture(autouse=True)
def _few_rows_name_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (reading, read_json, read_parquet, read_traffic):
        monkeypatch.setattr(module, "NAMING_ROWS", EARLY)


def lines(early: dict[str, Any], after: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in [*[early | {"a": n / 7} for n in range(EARLY)], *after])


def as_json(folder: Path) -> Path:
    path = folder / "d.jsonl"
    path.write_text(lines({}, [{"a": 0.5, "late": 1}, {"a": 0.5, "late": 2, "more": {"x": 1}}, {"a": 1.5}]))
    return path


def as_parquet(folder: Path) -> Path:
    path = folder / "d.parquet"
    rows = [{"a": n / 7, "deep": {"l": [1.0, 2.0]}} for n in range(EARLY)]
    rows += [{"a": 0.5, "deep": {"l": [1.0, 2.0, 3.0]}}, {"a": 0.5, "deep": {"l": [1.0, 2.0]}}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def as_traffic(folder: Path) -> Path:
    path, events = folder / "d.events", []
    for n in range(EARLY + 2):
        row = {"a": n / 7} | ({"late": 1.0} if n >= EARLY else {})
        kinds = (("request", {"instances": [row]}), ("response", {"predictions": [n % 3]}))
        for kind, data in kinds:
            head = {
                "specversion": "1.0",
                "id": str(n),
                "type": f"x.{kind}",
                "datacontenttype": "application/json",
            }
            events.append(json.dumps(head | {"path": "/v1/models/m:predict", "data": data}))
    path.write_text("\n".join(events))
    return path


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (as_json, {"late": 2, "more.x": 1}),
        (as_parquet, {"deep.l_2": 1}),
        (as_traffic, {"late": 2}),
    ],
)
def test_late_keys_are_told(
    tmp_path: Path, write: Any, expected: dict[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    """In the profile with their rows, in the table, and in a note; the same columns as ever are counted."""
    path = write(tmp_path)
    out = tmp_path / "p.json"
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert run(parser.parse_args(["--data", str(path), "--out", str(out)])) == 0
    told = capsys.readouterr().err
    found = {one.name: one.reason for one in load(str(out)).left_out}
    for name, rows in expected.items():
        reason = f"{REASON}, in {rows} row" + ("s" if rows > 1 else "")
        assert found[name] == reason
        assert f"left out: {reason}" in told
        assert f"{name!r} in {rows} row" in told.split("note:")[1]
    assert "a" in [column.name for column in load(str(out)).columns]
    assert not {column.name for column in load(str(out)).columns} & expected.keys()


def test_a_second_data_set_tells_them_too(tmp_path: Path) -> None:
    """What is compared with a profile names them as left out."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    path = tmp_path / "a.jsonl"
    path.write_text(lines({"late": 1.0}, []))
    a = build_profile(open_source(str(path)), parser.parse_args(["--data", str(path)]))
    b = profile_like(open_source(str(as_json(tmp_path))), a)
    assert LeftOut("late", f"{REASON}, in 2 rows") in b.left_out


def test_what_is_not_read_is_not_told(tmp_path: Path) -> None:
    """A limit before the first of them; and each pass counts anew."""
    source = open_source(str(as_json(tmp_path)))
    for _ in range(2):
        assert sum(len(part.lines) for part in source.parts()) == EARLY + 3
        assert source.late() == {"late": 2, "more.x": 1}
    assert Limited(open_source(str(as_json(tmp_path))), EARLY).late() == {}


def test_names_are_bounded() -> None:
    """In number and in length; what is over is counted together, by rows."""
    found: Counter[str] = Counter()
    count_late(
        found,
        [[f"k{n}" for n in range(MAX_NAMES + 5)], ["x" * (MAX_CHARACTERS + 1), "known"], ["k1"]],
        {"known"},
    )
    assert len(found) == MAX_NAMES + 1
    assert (found["k1"], found["known"]) == (2, 0)
    assert max(map(len, found)) <= MAX_CHARACTERS
    count_late(found, [["new"], ["newer"]], ())
    assert found[OTHER] >= 3
    note = late_notes(found)[0]
    assert len(note) < 1000
    assert "more; columns are the keys of the first 100,000 rows" in note
    assert late_notes({}) == []


def test_a_part_is_within_what_names() -> None:
    """The first part of a file need not be looked at."""
    assert PART_ROWS < NAMING_ROWS == 100_000
    assert late.NAMING_ROWS == NAMING_ROWS
