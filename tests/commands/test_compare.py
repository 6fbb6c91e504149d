"""`modeltap compare`: two profiles or data sets, as a table, JSON and a page."""

import argparse
import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_wine

from exporter.commands import compare, profile
from exporter.commands.compare_table import sparkline
from exporter.demo import data as demo
from exporter.stats import STATISTICS
from exporter.stats.bins import NumericBins
from exporter.stats.profiles.profile import ProfileColumn, load

RNG = np.random.default_rng(8)
ROLES = ["--target", "clf_target", "--score", "y_pred_proba", "--prediction", "y_pred", "--id", "id"]


def _compare(*flags: str) -> int:
    parser = argparse.ArgumentParser()
    compare.add_arguments(parser)
    return compare.run(parser.parse_args(list(flags)))


def _profile(*flags: str) -> int:
    parser = argparse.ArgumentParser()
    profile.add_arguments(parser)
    return profile.run(parser.parse_args(list(flags)))


def _rows(path: Path, columns: dict[str, Any]) -> str:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return str(path)


def _json(folder: Path, *flags: str) -> dict[str, Any]:
    out = folder / "out.json"
    assert _compare(*flags, "--json", str(out)) in (0, 1)
    document: dict[str, Any] = json.loads(out.read_text())
    return document


def _verdicts(document: dict[str, Any]) -> dict[str, str]:
    return {column["name"]: column["verdict"] for column in document["columns"]}


def _month(folder: Path, month: str) -> str:
    """The housing set's later rows of one month."""
    with (demo.find_directory() / demo.LATER_FILE).open(newline="") as file:
        reader = csv.DictReader(file)
        rows = [row for row in reader if row["timestamp"].startswith(month)]
        names = list(reader.fieldnames or ())
    return _rows(folder / f"{month}.csv", {name: [row[name] for row in rows] for name in names})


def test_the_housing_set_drifts_where_it_is_known_to(tmp_path: Path) -> None:
    """The score's PSI of the month in which the AUC falls to .70 is the 2.8 that the peers found; numpy agrees."""
    training = str(demo.find_directory() / demo.TRAINING_FILE)
    reference = tmp_path / "reference.json"
    assert _profile("--data", training, "--out", str(reference), *ROLES, "--time", "timestamp") == 0
    august = _month(tmp_path, "2021-08")
    found = _json(tmp_path, str(reference), august, "--fail-on-drift")
    score = next(column for column in found["columns"] if column["name"] == "y_pred_proba")
    assert score["verdict"] == "drifted"
    value = next(one for one in score["measures"] if one["statistic"] == "psi")["value"]
    assert value == pytest.approx(2.81, abs=0.1)
    counts = np.array([score[side]["counts"] for side in ("reference", "compared")])
    p, q = counts[:, counts.sum(axis=0) > 0] + 0.5
    p, q = p / p.sum(), q / q.sum()
    assert value == pytest.approx(((q - p) * np.log(q / p)).sum())
    assert found["columns"][0]["verdict"] == "drifted"
    assert "timestamp" not in _verdicts(found)


def test_a_set_of_scikit_learn_split_by_class(tmp_path: Path) -> None:
    """Wine without one cultivar against the rest: the target drifts most, and data needs no profile first."""
    wine = load_wine()
    names = [str(name) for name in wine.feature_names]
    sides = []
    for name, chosen in (("a", wine.target != 2), ("b", wine.target != 0)):
        columns = dict(zip(names, wine.data[chosen].T.tolist(), strict=True))
        sides.append(
            _rows(tmp_path / f"{name}.csv", {**columns, "class": [f"c{t}" for t in wine.target[chosen]]})
        )
    found = _json(tmp_path, *sides, "--target", "class", "--bins", "4")
    assert found["columns"][0]["name"] == "class"
    assert found["columns_compared"] == 14
    assert found["columns_drifted"] > 3
    same = _json(tmp_path, sides[0], sides[0], "--target", "class", "--bins", "4")
    assert set(_verdicts(same).values()) == {"same"}
    assert all(one["value"] == 0.0 for column in same["columns"] for one in column["measures"])


def test_every_column_of_either_side_is_in_the_result(tmp_path: Path) -> None:
    """Missing, extra, of another type, all null, renamed: each has a row and a reason."""
    x = RNG.normal(size=300)
    base = {"x": x, "gone": x, "turned": x, "empty": x, "word": ["a", "b"] * 150}
    live = {"word": ["a"] * 300, "empty": [""] * 300, "turned": ["t", "u"] * 150, "x": x, "new": x}
    found = _json(tmp_path, _rows(tmp_path / "a.csv", base), _rows(tmp_path / "b.csv", live))
    by_name = {column["name"]: column for column in found["columns"]}
    assert by_name["x"]["verdict"] == "same"
    assert by_name["word"]["verdict"] == "drifted"
    assert by_name["empty"]["verdict"] == "drifted"
    assert by_name["empty"]["compared"]["missing"] == 300
    assert by_name["gone"]["reason"] == "missing from the second"
    assert by_name["new"]["reason"] == "missing from the first"
    assert by_name["turned"]["reason"] == "numeric in the first, categorical in the second"
    assert [column["verdict"] for column in found["columns"]][:2] == ["drifted", "drifted"]


def test_rows_are_sorted_by_what_drifted(tmp_path: Path) -> None:
    """Most beyond its yardsticks first; names break ties."""
    base = {name: RNG.normal(size=2000) for name in "abcd"}
    live = {name: base[name] + shift for name, shift in zip("abcd", (0.0, 2.0, 0.0, 1.0), strict=True)}
    found = _json(tmp_path, _rows(tmp_path / "a.csv", base), _rows(tmp_path / "b.csv", live))
    assert [column["name"] for column in found["columns"]] == ["b", "d", "a", "c"]


def test_two_profiles_need_the_same_bins(tmp_path: Path) -> None:
    """Profiles made apart have other edges; --edges-from gives the second those of the first."""
    a = _rows(tmp_path / "a.csv", {"x": RNG.normal(size=500), "w": ["a"] * 500})
    b = _rows(tmp_path / "b.csv", {"x": RNG.normal(1, size=500), "w": ["a"] * 500})
    first, apart, like = (tmp_path / name for name in ("first.json", "apart.json", "like.json.gz"))
    assert _profile("--data", a, "--out", str(first)) == 0
    assert _profile("--data", b, "--out", str(apart)) == 0
    assert _profile("--data", b, "--out", str(like), "--edges-from", str(first)) == 0
    apart_found = _json(tmp_path, str(first), str(apart))
    assert "other bins" in next(c for c in apart_found["columns"] if c["name"] == "x")["reason"]
    assert _verdicts(apart_found)["w"] == "same"
    by_profile = _json(tmp_path, str(first), str(like))
    by_data = _json(tmp_path, str(first), b)
    assert [c["measures"] for c in by_profile["columns"]] == [c["measures"] for c in by_data["columns"]]
    assert _verdicts(by_profile)["x"] == "drifted"


def test_a_profile_of_schema_1_is_compared(tmp_path: Path) -> None:
    """An older file has no payload: its columns say what there is."""
    import dataclasses

    a = _rows(tmp_path / "a.csv", {"x": RNG.normal(size=500), "w": ["a", "b"] * 250})
    assert _profile("--data", a, "--out", str(tmp_path / "p.json")) == 0
    old = dataclasses.replace(load(tmp_path / "p.json"), schema=1)
    (tmp_path / "old.json").write_text(old.to_json())
    assert _verdicts(_json(tmp_path, str(tmp_path / "old.json"), a)) == {"x": "same", "w": "same"}


def test_hashed_categories_are_compared_with_their_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The live words are hashed alike; another key is refused."""
    a = _rows(tmp_path / "a.csv", {"w": ["a", "b"] * 250, "x": RNG.normal(size=500)})
    key, other, out = (tmp_path / name for name in ("key", "other", "p.json"))
    key.write_text("secret\n")
    other.write_text("guess")
    assert _profile("--data", a, "--out", str(out), "--hash-categories", "--hash-key", str(key)) == 0
    assert _verdicts(_json(tmp_path, str(out), a, "--hash-key", str(key)))["w"] == "same"
    assert _compare(str(out), a, "--hash-key", str(other)) == 2
    assert "hashed with another key" in capsys.readouterr().err


def test_texts_and_vectors_are_compared_by_their_aspects(tmp_path: Path) -> None:
    """Short answers after long ones: the length drifts; a later set of short texts is still text."""
    long, short = ["word " * (5 + i % 20) for i in range(400)], ["no", "yes"] * 200
    sides = []
    for name, texts, shift in (("a", long, 0.0), ("b", short, 3.0)):
        path = tmp_path / f"{name}.jsonl"
        vectors = RNG.normal(shift, size=(400, 65)).tolist()
        lines = [json.dumps({"t": t, "v": v}) for t, v in zip(texts, vectors, strict=True)]
        path.write_text("\n".join(lines))
        sides.append(str(path))
    verdicts = _verdicts(_json(tmp_path, *sides))
    assert verdicts["t:length"] == verdicts["v:norm"] == verdicts["v:distance"] == "drifted"
    assert verdicts["t:form"] == verdicts["v:zeros"] == "same"


def test_vectors_of_another_width(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They cannot be compared, and the message says both widths."""
    for name, width in (("a", 65), ("b", 70)):
        np.save(tmp_path / f"{name}.npy", RNG.normal(size=(100, width)))
    assert _compare(str(tmp_path / "a.npy"), str(tmp_path / "b.npy")) == 2
    assert "vectors of 70 places, expected 65" in capsys.readouterr().err


def test_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Value, floor, critical value, verdict and two sparklines; the level only where it is known."""
    a = _rows(tmp_path / "a.csv", {"x": RNG.normal(size=500)})
    b = _rows(tmp_path / "b.csv", {"x": RNG.normal(2, size=500)})
    assert _compare(a, b) == 0
    shown = capsys.readouterr().out
    assert re.search(
        r"^x +feature +\d\.\d{3} +0\.\d{3} +0\.\d{3} +drifted +[▁-█·]{10} +[▁-█·]{10}$", shown, re.M
    )
    assert "1 of 1 compared columns drifted" in shown
    assert "level  verdict" not in shown


def test_sparklines() -> None:
    """Empty bins are dots, the highest is full, special bins stand apart and only if occupied."""
    column = ProfileColumn("x", "feature", NumericBins((0.0, 1.0)), (0, 10, 5, 0, 0))
    assert sparkline(column, 10 / 15) == "·█▅"
    with_null = ProfileColumn("x", "feature", NumericBins((0.0,)), (1, 1, 2, 0))
    assert sparkline(with_null, 0.5) == "▅▅ █"


def test_the_exit_status_tells_drift(tmp_path: Path) -> None:
    """0 without the flag, 1 with it if a column drifted, 0 with it if none did."""
    a = _rows(tmp_path / "a.csv", {"x": RNG.normal(size=500)})
    b = _rows(tmp_path / "b.csv", {"x": RNG.normal(2, size=500)})
    assert _compare(a, b) == 0
    assert _compare(a, b, "--fail-on-drift") == 1
    assert _compare(a, a, "--fail-on-drift") == 0
    assert _compare(a, b, "--fail-on-drift", "--effect", "99") == 0


def test_the_references_own_level_is_a_yardstick(tmp_path: Path) -> None:
    """A month that differs no more than the reference's own months do is no drift."""
    days = np.arange(6000) // 30
    x = RNG.normal(size=6000) + 3 * np.sin(days // 7)
    times = [f"{2024 + day // 336}-{1 + day % 336 // 28:02}-{1 + day % 28:02}" for day in days.tolist()]
    a = _rows(tmp_path / "a.csv", {"x": x, "t": times})
    b = _rows(tmp_path / "b.csv", {"x": x[2940:3150]})
    flags = ["--time", "t", "--period", "7d"]
    assert _verdicts(_json(tmp_path, a, b, *flags))["x"] == "drifted"
    found = _json(tmp_path, a, b, *flags, "--level", "7d")
    assert _verdicts(found)["x"] == "same"
    assert found["columns"][0]["measures"][0]["level"] > 0.1


@pytest.mark.parametrize("statistic", [statistic.name for statistic in STATISTICS])
def test_any_statistic_may_decide(tmp_path: Path, statistic: str) -> None:
    """The verdict is by the one that was asked for, and all others are there too."""
    a = _rows(tmp_path / "a.csv", {"x": RNG.normal(size=5000)})
    b = _rows(tmp_path / "b.csv", {"x": RNG.normal(4, size=5000)})
    found = _json(tmp_path, a, b, "--statistic", statistic, "--effect", "0")
    assert found["statistic"] == statistic
    assert found["columns"][0]["verdict"] == "drifted"
    assert found["columns"][0]["measures"][0]["statistic"] == statistic


def test_too_few_rows_say_nothing(tmp_path: Path) -> None:
    """Ten rows: insufficient, never 0 and never a verdict."""
    a = _rows(tmp_path / "a.csv", {"x": RNG.normal(size=500)})
    b = _rows(tmp_path / "b.csv", {"x": RNG.normal(size=10)})
    found = _json(tmp_path, a, b, "--statistic", "psi")
    assert found["columns"][0]["verdict"] == "insufficient"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["absent.csv", "a.csv"], "absent.csv: not a file"),
        (["a.csv", "absent.csv"], "absent.csv: not a file"),
        (["a.csv", "a.csv", "--effect", "nan"], "--effect: nan, expected a number from 0"),
        (["a.csv", "a.csv", "--level", "soon"], "--level: 'soon', expected a length"),
        (["newer.json", "a.csv"], "schema: 3, expected 1 or 2"),
        (["a.csv", "newer.json"], "schema: 3, expected 1 or 2"),
    ],
)
def test_what_cannot_be_compared(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    expected: str,
) -> None:
    """Status 2 and what was expected."""
    monkeypatch.chdir(tmp_path)
    _rows(tmp_path / "a.csv", {"x": RNG.normal(size=50)})
    (tmp_path / "newer.json").write_text('{"schema": 3}')
    assert _compare(*flags) == 2
    assert expected in capsys.readouterr().err


class _Tags(HTMLParser):
    """All tags, their attributes and the text between; open ones must be closed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_stands_alone_and_trusts_no_name(tmp_path: Path) -> None:
    """No script, no address, every link to a place within; names from the data are text."""
    hostile = '<script>alert("x")</script>'
    a = _rows(tmp_path / "a.csv", {hostile: [hostile, "b"] * 200, "x": RNG.normal(size=400)})
    out = tmp_path / "page.html"
    assert _compare(a, a, "--html", str(out)) == 0
    page = out.read_text()
    parser = _Tags()
    parser.feed(page)
    parser.close()
    names = {tag for tag, _ in parser.tags}
    assert not names & {"script", "link", "img", "iframe", "object"}
    assert "http" not in page
    places = {attributes["id"] for _, attributes in parser.tags if "id" in attributes}
    links = [str(attributes["href"]) for tag, attributes in parser.tags if tag == "a"]
    assert links
    assert all(link[0] == "#" and link[1:] in places for link in links)
    assert hostile in "".join(parser.text)
    assert sum(tag == "svg" for tag, _ in parser.tags) == 2
    assert "prefers-color-scheme: dark" in page
    assert not re.search(r"(nan|inf)[\"<]", page)
