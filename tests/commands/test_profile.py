"""`modeltap profile` on files."""

import argparse
import base64
import csv
import gzip
import importlib
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from exporter.commands.profile import add_arguments, run
from exporter.commands.reading import PART_ROWS as CHUNK_ROWS
from exporter.stats.bins import OTHER, UNSEEN, CategoricalBins, NumericBins
from exporter.stats.profiles.profile import Profile, load, parse


def _run(*flags: str) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args(list(flags)))


def _write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def _lines(header: str, row: str, times: int = 30) -> str:
    return "\n".join([header, *[row] * times]) + "\n"


def test_a_real_data_set_becomes_a_profile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The breast cancer set: roles, bins and moments as asked for; the table names every column."""
    data = load_breast_cancer()
    path, out = tmp_path / "train.csv", tmp_path / "reference.json"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *data.feature_names, "target"])
        writer.writerows([i, *x, y] for i, (x, y) in enumerate(zip(data.data, data.target, strict=True)))
    assert _run("--data", str(path), "--out", str(out), "--target", "target", "--model", "tumour") == 0
    profile = load(out)
    assert profile.model_name == "tumour"
    assert profile.rows == 569
    assert [left.name for left in profile.left_out] == ["id"]
    assert profile.column("target").role == "target"
    assert profile.column("target").counts == (0, 212, 357, 0, 0, 0)
    for place, name in enumerate(data.feature_names):
        column, values = profile.column(name), data.data[:, place]
        assert isinstance(column.bins, NumericBins)
        assert column.bins.ranges == 10
        assert column.mean == pytest.approx(values.mean())
        assert column.counts == tuple(column.bins.count(values).tolist())
    shown = capsys.readouterr()
    assert shown.out == ""
    assert profile.reference in shown.err
    assert all(name in shown.err for name in profile.names)
    assert "left out: identifier" in shown.err


def test_json_goes_to_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --out the profile is on stdout and the table on stderr."""
    assert _run("--data", _write(tmp_path / "d.csv", _lines("x,y", "1.5,a"))) == 0
    shown = capsys.readouterr()
    assert parse(shown.out.encode()).names == ("x", "y")
    assert "constant" in shown.err


def test_kinds_are_guessed_from_all_cells(tmp_path: Path) -> None:
    """A column is numeric if every cell is a number or missing; codes and a late text make it categorical."""
    rows = ["number,code,late,flag,gap,under"]
    for i in range(CHUNK_ROWS + 100):
        late = "text" if i >= CHUNK_ROWS + 50 else "1"
        rows.append(
            f"{i / 7},{i % 3:03},{late},{'True' if i % 2 else 'false'},{['', 'NA', 'nan', '4'][i % 4]},1_0"
        )
    out = tmp_path / "p.json"
    assert _run("--data", _write(tmp_path / "d.csv", "\n".join(rows)), "--out", str(out)) == 0
    profile = load(out)
    assert profile.column("number").kind == "numeric"
    assert profile.column("code").bins == CategoricalBins(("000", "001", "002"), UNSEEN)
    assert profile.column("late").bins == CategoricalBins(("1", "text"), UNSEEN)
    assert profile.column("flag").bins.labels[:2] == ("false", "true")
    assert profile.column("under").kind == "categorical"
    gap = profile.column("gap")
    quarter = (CHUNK_ROWS + 100) // 4
    assert gap.bins == NumericBins((2.0, 4.0), discrete=True)
    assert gap.counts == (0, quarter, 0, 2 * quarter, quarter)


def test_roles_and_order_are_chosen_by_flags(tmp_path: Path) -> None:
    """--features gives the payload's order and leaves out the rest; other flags give the other roles."""
    data = _write(tmp_path / "d.csv", _lines("a,b,c,p,q,t", "1,2,3,4,5,6"))
    out = tmp_path / "p.json"
    roles = ["--features", "c, a", "--prediction", "p", "--prediction", "q", "--target", "t"]
    assert _run("--data", data, "--out", str(out), *roles, "--ignore", "b") == 0
    profile = load(out)
    assert profile.names == ("c", "a", "p", "q", "t")
    roles = [column.role for column in profile.columns]
    assert roles == ["feature", "feature", "prediction", "prediction", "target"]
    assert [left.name for left in profile.left_out] == ["b"]


def test_compressed_input_and_output(tmp_path: Path) -> None:
    """gzip is read by its content and written by the name, and gives the same reference."""
    text = _lines("x", "1") + "2\n"
    packed = tmp_path / "packed.csv"
    packed.write_bytes(gzip.compress(text.encode(), mtime=0))
    plain = _write(tmp_path / "plain.csv", "\ufeff" + text.replace("\n", "\r\n"))
    assert _run("--data", str(packed), "--out", str(tmp_path / "a.json.gz")) == 0
    assert _run("--data", plain, "--out", str(tmp_path / "b.json")) == 0
    assert load(tmp_path / "a.json.gz") == load(tmp_path / "b.json")


def test_rows_are_limited_and_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--max-rows reads no more, and the note appears only if there was more."""
    data = _write(tmp_path / "d.csv", _lines("x", "1", 50))
    assert _run("--data", data, "--max-rows", "20") == 0
    shown = capsys.readouterr()
    assert parse(shown.out.encode()).rows == 20
    assert "stopped after 20 rows" in shown.err
    assert _run("--data", data, "--max-rows", "50") == 0
    assert "stopped" not in capsys.readouterr().err


def test_rare_values_are_pooled_and_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A category with fewer than ten rows does not appear in the file."""
    out = tmp_path / "p.json"
    data = _write(tmp_path / "d.csv", _lines("c", "often", 90) + "secret\n" * 9)
    assert _run("--data", data, "--out", str(out)) == 0
    assert load(out).column("c").bins == CategoricalBins(("often",), OTHER)
    assert "secret" not in out.read_text()
    assert "pooled in <other>" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "empty; a header line"),
        ("x,y\n", "a header and no rows"),
        ("x,x\n1,2\n", "line 1: distinct column names were expected, repeated: 'x'"),
        ("x,y\n1,2\n3\n", "line 3: 1 field, expected 2"),
        ("x,y\n\n1,2\n3,4,5\n", "line 4: 3 fields, expected 2"),
        ('x,y\n1,"a\nb"\n3,4,5\n', "line 4: 3 fields, expected 2"),
        ('x\n"a"b\n', "line 2: not CSV"),
        ("x\n\n", "a header and no rows"),
        ("x\n" + "\n".join(map(str, range(100))), "no column can be profiled: 'x' (identifier"),
    ],
)
def test_bad_files_end_with_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, expected: str
) -> None:
    """The message has the file, the line and what was expected; nothing is written."""
    data, out = _write(tmp_path / "d.csv", text), tmp_path / "p.json"
    assert _run("--data", data, "--out", str(out)) == 2
    message = capsys.readouterr().err
    assert message.startswith(f"modeltap profile: error: {data}")
    assert expected in message
    assert not out.exists()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"x\n1\n\xff\n", "UTF-8 text was expected"),
        (gzip.compress(b"x\n1\n2\n" * 999, mtime=0)[:-9], "damaged gzip data"),
        (b"x\n" + b"1" * 200_000 + b"\n", "field larger than field limit"),
    ],
)
def test_files_that_cannot_be_decoded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], raw: bytes, expected: str
) -> None:
    """Text in another encoding, damaged archives and endless fields end with status 2."""
    path = tmp_path / "d.csv"
    path.write_bytes(raw)
    assert _run("--data", str(path)) == 2
    assert expected in capsys.readouterr().err


def test_all_wrong_flags_are_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unknown columns, two roles for one, and numbers out of range come in one message."""
    data = _write(tmp_path / "d.csv", _lines("x,y", "1,2"))
    flags = ["--target", "z", "--features", "x,w", "--ignore", "x", "--bins", "99", "--max-rows", "0"]
    assert _run("--data", data, *flags) == 2
    message = capsys.readouterr().err
    for part in ("no column 'z'", "no column 'w'", "'x' is given 2 roles", "from 2 to 20", "at least 1"):
        assert part in message


def test_paths_that_do_not_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing input, a folder and an output that cannot be written end with status 2."""
    data = _write(tmp_path / "d.csv", _lines("x", "1"))
    for flags in (
        ["--data", str(tmp_path / "absent.csv")],
        ["--data", str(tmp_path)],
        ["--data", data, "--out", str(tmp_path / "absent" / "p.json")],
    ):
        assert _run(*flags) == 2
        assert "modeltap profile: error:" in capsys.readouterr().err


def test_reading_in_chunks_changes_nothing(tmp_path: Path) -> None:
    """A file longer than two chunks has the counts and moments of all its rows."""
    values = np.random.default_rng(9).normal(size=2 * CHUNK_ROWS + 17)
    out = tmp_path / "p.json"
    data = _write(tmp_path / "d.csv", "x\n" + "\n".join(map(repr, values.tolist())))
    assert _run("--data", data, "--out", str(out)) == 0
    column = load(out).column("x")
    assert column.rows == len(values)
    assert column.mean == pytest.approx(values.mean(), abs=1e-12)
    assert column.bins == NumericBins(tuple(np.quantile(values, np.arange(1, 10) / 10).tolist()))


def _made(tmp_path: Path, text: str, *flags: str) -> Profile:
    out = tmp_path / "made.json"
    assert _run("--data", _write(tmp_path / "made.csv", text), "--out", str(out), *flags) == 0
    return load(out)


def _table(**columns: list[object]) -> str:
    rows = zip(*columns.values(), strict=True)
    return "\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n"


def test_every_role_has_a_flag(tmp_path: Path) -> None:
    """Time, id and split are not counted (nor are weights, elsewhere); a score is; a group may be a feature."""
    n = 200
    text = _table(
        x=[i / 7 for i in range(n)],
        sex=["f", "m"] * (n // 2),
        when=[f"2024-01-{1 + i // 10:02}" for i in range(n)],
        key=[f"k{i}" for i in range(n)],
        s=[i % 10 / 10 for i in range(n)],
        y=[i % 2 for i in range(n)],
        part=["test", "train"] * (n // 2),
    )
    flags = ["--time", "when", "--id", "key", "--score", "s", "--target", "y"]
    found = _made(tmp_path, text, *flags, "--group", "sex", "--split", "part=test", "--period", "24h")
    assert {column.name: column.role for column in found.payload} == {
        "x": "feature",
        "sex": "feature",
        "when": "time",
        "key": "id",
        "s": "score",
        "y": "target",
        "part": "split",
    }
    assert [column.name for column in found.payload if column.group] == ["sex"]
    assert found.names == ("x", "sex", "s", "y")
    assert [(period.seconds, period.periods) for period in found.periods] == [(86_400, 20)]
    assert found.performance is not None
    assert found.performance.rows == 100
    apart = _made(tmp_path, text, *flags, "--features", "x", "--group", "sex")
    assert apart.column("sex").role == "group"


def test_test_rows_come_from_a_file(tmp_path: Path) -> None:
    """Performance is of that file's rows, which are in no bin."""
    text = _table(x=[i / 7 for i in range(100)], p=[i % 2 for i in range(100)], y=[i % 2 for i in range(100)])
    rows = _write(tmp_path / "test.csv", _table(p=[0, 1, 1, 0], y=[0, 1, 0, 0]))
    found = _made(tmp_path, text, "--target", "y", "--prediction", "p", "--test-rows", rows)
    assert found.rows == 100
    assert found.performance is not None
    assert found.performance.confusion is not None
    assert found.performance.confusion.counts == ((2, 1), (0, 1))
    assert found.performance.periods == ()
    assert _made(tmp_path, text, "--target", "y", "--prediction", "p").performance is None


def test_a_schema_fixes_types(tmp_path: Path) -> None:
    """YAML or JSON: numbers as categories, milliseconds as times, words as text, names on purpose, ids."""
    n = 100
    text = _table(
        code=[i % 3 for i in range(n)],
        ms=[1_700_000_000_000 + i for i in range(n)],
        word=["a", "b"] * 50,
        first_name=["Ann", "Bob"] * 50,
        shop=[i % 7 for i in range(n)],
    )
    schema = _write(
        tmp_path / "s.yaml",
        "columns:\n  code: categorical\n  ms: {type: datetime, unit: ms}\n  word: text\n"
        "  first_name: categorical\n  shop: identifier\n",
    )
    found = _made(tmp_path, text, "--schema", schema)
    assert found.types == {
        "code": "categorical",
        "ms": "datetime",
        "word": "text",
        "first_name": "categorical",
        "shop": "identifier",
    }
    assert found.column("code").bins == CategoricalBins(("0", "1", "2"), UNSEEN)
    assert "first_name" in found.names
    assert "ms:hour" in found.names
    assert "shop" not in found.names
    assert [left.name for left in _made(tmp_path, text).left_out] == ["ms", "first_name"]


@pytest.mark.parametrize(
    ("text", "flags", "expected"),
    [
        ("columns: {z: numeric}", [], "columns.z: no such column; there are x, y"),
        ("columns: {x: colour}", [], "columns.x: 'colour', expected one of numeric"),
        ("columns: {x: {type: numeric, unit: s}}", [], "unit 's', expected iso"),
        ("x: numeric", [], "expected `columns:`"),
        ("[", [], "--schema"),
        ("columns: {y: numeric}", [], "line 2, column 'y': 'a', expected a number"),
        ("columns: {x: boolean}", [], "expected true or false"),
        ("columns: {}", ["--time", "y"], "its cells are categorical; expected ISO 8601"),
        ("columns: {}", ["--pair", "x"], "--pair: 'x', expected two columns"),
        ("columns: {}", ["--pair", "x,y"], "--pair: 'y', expected columns of numbers"),
        ("columns: {}", ["--period", "soon"], "--period: 'soon', expected a length"),
        ("columns: {}", ["--split", "x"], "--split: 'x', expected COLUMN=VALUE"),
        ("columns: {}", ["--split", "y=a"], "test rows: expected --target"),
        ("columns: {}", ["--hash-key", "k"], "expected --hash-categories besides it"),
        ("columns: {}", ["--group", "q"], "--group: no column 'q'"),
    ],
)
def test_what_flags_and_schemas_may_not_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, flags: list[str], expected: str
) -> None:
    """Status 2, the place, what was expected."""
    data = _write(tmp_path / "d.csv", "x,y\n2.5,a\n3.5,b\n")
    assert _run("--data", data, "--schema", _write(tmp_path / "s.yaml", text), *flags) == 2
    assert expected in capsys.readouterr().err


def test_hashed_categories_are_not_in_the_file(tmp_path: Path) -> None:
    """Neither the words nor the key; the key's id is."""
    key = _write(tmp_path / "key", "secret")
    found = _made(tmp_path, _table(city=["Rome", "Oslo"] * 50), "--hash-categories", "--hash-key", key)
    text = (tmp_path / "made.json").read_text()
    assert not any(word in text for word in ("Rome", "Oslo", "secret"))
    assert found.hashing is not None
    assert [label[:2] for label in found.column("city").bins.labels[:2]] == ["h:", "h:"]


# Bad input, case by case, as docs/profile.md tells it: what becomes of a column of these cells.
BAD = {
    "negative zero": (["-0.0", "0", "0.0"] * 20, "numeric, 5 bins"),
    "infinities": (["inf", "-inf", "1", "2"] * 20, "numeric, outer bins"),
    "1e308": (["1e308", "-1e308", "1", "2"] * 20, "numeric, outer bins"),
    "huge integers": (["9" * 400, "1", "2"] * 20, "numeric, outer bins"),
    "one value": (["7"] * 60, "numeric, 5 bins"),
    "booleans as strings": (["true", "FALSE", "True"] * 20, "boolean, 4 bins"),
    "mixed types": (["1", "a", "true", "2024-01-01"] * 20, "categorical, 6 bins"),
    "all missing": ([" "] * 60, "left out: no value"),
    "nan": (["nan"] * 60, "left out: no finite number"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_cells_have_a_defined_outcome(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    """Nothing raises, nothing becomes NaN, every row is counted or the column is named with a reason."""
    cells, expected = BAD[case]
    out = tmp_path / "p.json"
    data = _write(tmp_path / "d.csv", "x,ok\n" + "".join(f"{cell},{i % 5}\n" for i, cell in enumerate(cells)))
    assert _run("--data", data, "--out", str(out)) == 0
    found = load(out)
    assert "NaN" not in out.read_text()
    assert "Infinity" not in out.read_text()
    if expected.startswith("left out"):
        assert found.left_out[0].reason == expected.removeprefix("left out: ")
        return
    column = found.column("x")
    assert column.rows == len(cells)
    if "outer" in expected:
        assert column.type == "numeric"
        assert column.counts[column.bins.null - 1] == 20
        assert (column.min, column.max) == (1.0, 2.0)
    else:
        assert f"{column.type}, {column.bins.size} bins" == expected


def test_a_profile_of_another_schema_or_with_wrong_edges_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--edges-from reads a file as `run` does: all problems, status 2."""
    data = _write(tmp_path / "d.csv", _lines("x", "1"))
    out = tmp_path / "p.json"
    assert _run("--data", data, "--out", str(out)) == 0
    for change, expected in (
        ('"schema": 3', "schema: 3, expected 1 or 2"),
        ('"edges": [1.0, 1.0]', "strictly increasing"),
    ):
        key = change.partition(":")[0]
        wrong = re.sub(rf"{key}: (\[[^\]]*\]|\d)", change, out.read_text(), count=1)
        assert _run("--data", data, "--edges-from", _write(tmp_path / "w.json", wrong)) == 2
        assert expected in capsys.readouterr().err


def test_a_declared_time_has_periods_or_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table names each length with what came of it."""
    text = _table(t=[f"2024-01-{1 + i // 100:02}" for i in range(1000)], x=[i % 97 / 7 for i in range(1000)])
    found = _made(tmp_path, text, "--time", "t")
    assert {period.seconds for period in found.periods} == {3600, 86_400, 604_800}
    shown = capsys.readouterr().err
    assert "periods of 24h: 10, own level of 1 columns" in shown
    assert "periods of 7d: 2, fewer than 8 periods in the reference" in shown


@pytest.mark.parametrize("command", ["profile", "compare"])
def test_the_docs_name_every_flag(command: str) -> None:
    """docs/profile.md knows each flag of both commands."""
    page = (Path(__file__).parents[2] / "docs" / "profile.md").read_text()
    parser = argparse.ArgumentParser(add_help=False)
    importlib.import_module(f"exporter.commands.{command}").add_arguments(parser)
    flags = [flag for action in parser._actions for flag in action.option_strings]
    assert [flag for flag in flags if f"`{flag}" not in page] == []


def test_test_rows_with_times_have_bands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From a file or a split: figures by day; the report tells of how many, or why there are none."""
    n = 9 * 240
    text = _table(
        when=[f"2024-01-{1 + i // 240:02d}T00:00:00" for i in range(n)],
        x=[i % 97 / 7 for i in range(n)],
        p=[int(i % 7 in (1, 3, 5)) for i in range(n)],
        y=[i % 2 for i in range(n)],
        part=["test"] * n,
    )
    rows = _write(tmp_path / "test.csv", text)
    flags = [
        "--time",
        "when",
        "--target",
        "y",
        "--prediction",
        "p",
        "--features",
        "x",
        "--period",
        "24h",
        "--period",
        "7d",
    ]
    apart = _made(tmp_path, text, *flags, "--test-rows", rows).performance
    assert "periods of 24h: 9, bands of 19 figures" in capsys.readouterr().err
    assert apart is not None
    assert {band.figure for band in apart.bands} >= {"accuracy", "f1_macro", "recall"}
    assert {(band.seconds, band.periods) for band in apart.bands} == {(86_400, 9)}
    assert [period.absent for period in apart.periods] == ["", "fewer than 8 periods in the test rows"]
    assert _made(tmp_path, text, *flags, "--split", "part=test").performance == apart


def test_images_in_files_are_words(tmp_path: Path) -> None:
    """Paths are identifiers and base64 is text; nothing of a picture is decoded, or kept in the file."""
    cells = [base64.b64encode(bytes([i]) * 300).decode() for i in range(200)]
    text = _table(path=[f"img/{i}.png" for i in range(200)], b64=cells, x=[i % 9 for i in range(200)])
    found = _made(tmp_path, text)
    assert found.types == {"path": "identifier", "b64": "text", "x": "numeric"}
    assert found.names == ("b64:length", "b64:script", "b64:form", "x")
    assert cells[7] not in found.to_json()
