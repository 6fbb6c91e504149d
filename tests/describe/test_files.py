"""files.py: what a description may declare of files, and every path that it may not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.describe import File, describe
from exporter.describe.files import MAX_FILES, parse
from exporter.records.problems import Problems

DIGEST = "ab" * 32
PATH = (
    "expected a relative path of at most 256 printable characters that stays in the folder of the description"
)


def test_files_of_a_description() -> None:
    """With or without the word, in any case; more keys are let be, and all of it is in the digest."""
    said = [
        {"path": "model.onnx", "digest": f"sha256:{DIGEST.upper()}", "size": 3},
        {"path": "./a//b.json", "digest": DIGEST},
        {"path": "..hidden/...", "digest": DIGEST},
    ]
    found = describe({"name": "m", "artifacts": said})
    assert found.files == (File("model.onnx", DIGEST), File("a/b.json", DIGEST), File("..hidden/...", DIGEST))
    assert found.document()["artifacts"] == said
    assert describe({}).files == ()
    other = [said[0] | {"digest": "cd" * 32}, *said[1:]]
    assert describe({"name": "m", "artifacts": other}).digest != found.digest


@pytest.mark.parametrize(
    "path",
    [
        *("/etc/shadow", "../w", "a/../../w", "a/..", "..", ".", "", "a/../b", "//w", "./..", "a\0b", "a\nb"),
        *("x" * 257, None, 3, ["w"]),
    ],
)
def test_paths_that_are_refused(path: Any) -> None:
    """Absolute ones, every step up, and what names no file: with the place, the value and what was expected."""
    with pytest.raises(Problems) as caught:
        describe({"artifacts": [{"path": path, "digest": DIGEST}]})
    assert caught.value.problems == (f".artifacts[0].path: {path!r}, {PATH}",)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ([3], "[0]: 3, expected a mapping with path and digest"),
        (
            [{"path": "w", "digest": "md5:1"}],
            "[0].digest: 'md5:1', expected sha256: and 64 hexadecimal digits",
        ),
        ([{"path": "w"}], "[0].digest: None, expected sha256: and 64 hexadecimal digits"),
        (
            [{"path": "w", "digest": DIGEST}, {"path": "./w", "digest": "cd" * 32}],
            "[1].path: 'w' has two digests, expected one",
        ),
        ([{}] * (MAX_FILES + 1), f": {MAX_FILES + 1} files, expected at most {MAX_FILES}"),
    ],
    ids=["no mapping", "another algorithm", "no digest", "two digests", "too many"],
)
def test_what_is_refused(said: Any, problem: str) -> None:
    """Each thing that is wrong is told."""
    with pytest.raises(Problems) as caught:
        parse(said)
    assert caught.value.problems == (problem,)


@given(st.text(alphabet="./a\\~$*", max_size=12))
def test_no_path_leaves_the_folder(path: str) -> None:
    """Whatever is accepted stays below, taken apart by hand."""
    try:
        (found,) = parse([{"path": path, "digest": DIGEST}])
    except Problems:
        return
    assert found.path
    assert not found.path.startswith("/")
    assert not {"..", ".", ""} & set(found.path.split("/"))
