"""Profiles: the same content has the same hash; what is written is read back; what is wrong is listed."""

import contextlib
import dataclasses
import gzip
import hashlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.stats.bins import OTHER, CategoricalBins, NumericBins
from exporter.stats.profiles.profile import LeftOut, Profile, ProfileColumn, ProfileError, load, parse, save

AGE = ProfileColumn(
    "age", "feature", NumericBins((30.0, 40.5)), (10, 20, 30, 4, 1), 38.2, 9.1, 18.0, 90.0, ((0.5, 37.0),)
)
CITY = ProfileColumn("città", "feature", CategoricalBins(("Oslo", "Rome"), OTHER), (40, 15, 8, 2))
ANSWER = ProfileColumn("answer", "prediction", NumericBins((-0.5, 0.0, 1.0), True), (0, 60, 5, 0, 0, 0))
TARGET = dataclasses.replace(ANSWER, name="target", role="target")
PROFILE = Profile(
    (AGE, CITY, ANSWER, TARGET), 65, "churn-*", "1.?", (LeftOut("id", "identifier: 65 distinct"),)
)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """A profile survives its file, plain and compressed, with its hash."""
    for name in ("p.json", "p.json.gz"):
        save(PROFILE, tmp_path / name)
        assert load(tmp_path / name) == PROFILE
        assert load(str(tmp_path / name)).sha256 == PROFILE.sha256
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.json", "p.json.gz"]
    assert gzip.decompress((tmp_path / "p.json.gz").read_bytes()).decode() == PROFILE.to_json()


def test_a_device_is_not_replaced(tmp_path: Path) -> None:
    """Written through the link, which stays one: a file in its place would swallow what others write to it."""
    link = tmp_path / "null.json"
    link.symlink_to("/dev/null")
    save(PROFILE, link)
    assert link.is_symlink()
    assert os.listdir(tmp_path) == ["null.json"]


def test_the_hash_covers_the_content_in_canonical_form() -> None:
    """SHA-256 of sorted compact JSON without the hash; `reference` is its first 8 digits."""
    content = json.loads(PROFILE.to_json())
    stated = content.pop("sha256")
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == stated == PROFILE.sha256
    assert PROFILE.reference == stated[:8]


def test_spelling_does_not_change_the_hash() -> None:
    """Indentation, key order, and 30 for 30.0 are the same content."""
    content = json.loads(PROFILE.to_json())
    content["columns"][0]["edges"] = [30, 40.5]
    content["columns"][0]["max"] = 90
    turned = dict(reversed(content.items()))
    assert parse(json.dumps(turned, indent=3).encode()).reference == PROFILE.reference


def test_other_content_has_another_hash() -> None:
    """A single count, a role or a pattern changes the reference."""
    others = [
        dataclasses.replace(PROFILE, model_name="x"),
        dataclasses.replace(PROFILE, columns=(CITY, AGE, ANSWER, TARGET)),
        dataclasses.replace(PROFILE, columns=(dataclasses.replace(AGE, counts=(11, 19, 30, 4, 1)),)),
    ]
    assert len({other.reference for other in [*others, PROFILE]}) == 4


def test_a_changed_file_is_noticed() -> None:
    """Content that does not fit the stated hash is refused, unless the hash is taken out."""
    content = json.loads(PROFILE.to_json())
    content["model_name"] = "other"
    with pytest.raises(ProfileError, match="changed after writing"):
        parse(json.dumps(content).encode())
    del content["sha256"]
    assert parse(json.dumps(content).encode()).model_name == "other"


def test_all_problems_are_listed_with_place_and_expectation(tmp_path: Path) -> None:
    """One error names the file and every problem."""
    content = json.loads(PROFILE.to_json())
    del content["rows"]
    content["colour"] = 1
    content["columns"][0]["edges"] = [30.0, 30.0]
    content["columns"][0]["counts"][0] = -1
    content["columns"][1]["counts"].pop()
    content["columns"][2]["role"] = "label"
    content["columns"][2]["n"] = 66
    content["columns"][3]["name"] = "answer"
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ProfileError) as caught:
        load(path)
    assert caught.value.path == str(path)
    assert str(path) in str(caught.value)
    assert all(problem in str(caught.value) for problem in caught.value.problems)
    for part in (
        "rows: missing",
        "colour: unknown key",
        "columns[0] ('age').edges: 30.0 after 30.0, expected strictly increasing",
        "columns[0] ('age').counts: [-1, 20, 30, 4, 1], expected a list of whole numbers >= 0",
        "columns[1] ('città').counts: 3 numbers, expected 4",
        "columns[2] ('answer').role: 'label', expected one of feature, prediction, target",
        "columns[2] ('answer').n: 66, expected 65",
        "'answer' appears 2 times",
    ):
        assert any(part in problem for problem in caught.value.problems), part


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"rows": NaN}', "NaN is not a JSON number"),
        (b"[1]", "a JSON object was expected, found [1]"),
        (b'{"schema": 3, "new": 1}', "schema: 3, expected 1 or 2"),
        (b'{"schema": "1"}', "schema: '1', expected 1 or 2"),
        (b'{"schema": true}', "schema: True, expected 1 or 2"),
        (b"\x1f\x8b damaged", "damaged gzip"),
    ],
)
def test_files_that_are_no_profiles(tmp_path: Path, raw: bytes, expected: str) -> None:
    """What is not JSON, no object, or of another schema is refused with one clear problem."""
    path = tmp_path / "p.json"
    path.write_bytes(raw)
    with pytest.raises(ProfileError) as caught:
        load(path)
    assert len(caught.value.problems) == 1
    assert expected in caught.value.problems[0]


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    """A file that cannot be read is told apart from one that is wrong."""
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "absent.json")


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner)
)


@given(st.data())
def test_no_document_crashes_the_check(data: st.DataObject) -> None:
    """Any value in any place gives a profile or a ProfileError, nothing else."""
    content = json.loads(PROFILE.to_json())
    del content["sha256"]
    place = data.draw(st.sampled_from([content, *content["columns"]]))
    key = data.draw(st.sampled_from(sorted(place)))
    place[key] = data.draw(values)
    with contextlib.suppress(ProfileError):
        assert parse(json.dumps(content).encode()).columns is not None


def test_columns_tell_their_rows_and_missing_cells() -> None:
    """Rows are the sum of counts, missing is the count of `<null>`."""
    assert (AGE.rows, AGE.missing, AGE.kind) == (65, 4, "numeric")
    assert (CITY.rows, CITY.missing, CITY.kind) == (65, 2, "categorical")
    with pytest.raises(KeyError):
        PROFILE.column("absent")


def test_the_layout_has_what_is_observed_live() -> None:
    """Features and predictions by default, in order; targets arrive by feedback."""
    assert PROFILE.layout().names == ("age", "città", "answer")
    assert PROFILE.layout(("target",)).names == ("target",)
    age = PROFILE.layout().column("age")
    assert age.bins == AGE.bins
    assert age.kept.size > age.bins.size
    assert PROFILE.layout().column("answer").kept == ANSWER.bins


def test_models_are_matched_by_pattern() -> None:
    """Name and version are shell patterns; case matters."""
    assert PROFILE.matches("churn-eu", "1.2")
    assert not PROFILE.matches("Churn-eu", "1.2")
    assert not PROFILE.matches("churn-eu", "1.10")
    assert Profile((), 0).matches("anything", "at all")
