"""references.py: profiles that change, vanish and break under a sidecar that runs."""

import os
from pathlib import Path

import pytest

from exporter.parts.references import References
from exporter.stats import save
from tests.analysis.world import profile


def mount(folder: Path, generation: int, *names: str) -> None:
    """As the kubelet does: a new folder, then `..data` is moved onto it at once."""
    made = folder / f"..{generation}"
    made.mkdir(parents=True)
    for name in names:
        save(profile(name), made / f"{name}.json")
        if not (folder / f"{name}.json").is_symlink():
            (folder / f"{name}.json").symlink_to(f"..data/{name}.json")
    (folder / "..next").symlink_to(made.name)
    os.replace(folder / "..next", folder / "..data")


def looked(references: References) -> tuple[str, ...]:
    """Two looks: a change is read once it has been still."""
    first = references.look()
    return first or references.look()


def names(references: References) -> list[str]:
    """The models of the profiles in force."""
    return [one.model_name for one in references.profiles]


def test_what_cannot_be_used_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Files and folders are read; what is invalid, missing or empty is logged with its name and what was expected."""
    good, empty = tmp_path / "good", tmp_path / "empty"
    good.mkdir()
    empty.mkdir()
    save(profile("a"), good / "a.json")
    save(profile("b"), good / "b.json.gz")
    (good / "broken.json").write_text("{")
    (good / "notes.txt").write_text("no profile")
    found = References((str(good), str(empty), str(tmp_path / "none.json"), str(good / "a.json")))
    assert names(found) == ["a", "b"]
    assert len(caplog.records) == 3
    for name in ("broken.json", "empty", "none.json"):
        assert name in caplog.text
    assert looked(found) == ()


def test_a_mounted_folder_is_followed(tmp_path: Path) -> None:
    """An exchange of links is a change; nothing is read at the next look."""
    mount(tmp_path, 1, "a")
    found = References((str(tmp_path),))
    before = found.profiles
    mount(tmp_path, 2, "a", "b")
    assert looked(found) == ("success",)
    assert names(found) == ["a", "b"]
    assert looked(found) == ()
    assert before != found.profiles


def test_a_file_that_breaks_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The old profile is kept and it is told once; what became valid beside it is used."""
    save(profile("a"), tmp_path / "a.json")
    found = References((str(tmp_path),))
    (tmp_path / "a.json").write_text("{")
    save(profile("b"), tmp_path / "b.json")
    assert looked(found) == ("success", "failure")
    assert names(found) == ["a", "b"]
    assert looked(found) == ()
    assert caplog.text.count("what was read before stays in force") == 1
    save(profile("c"), tmp_path / "a.json")
    assert looked(found) == ("success",)
    assert names(found) == ["c", "b"]


def test_what_vanishes(tmp_path: Path) -> None:
    """A file of a folder with others goes; a folder that is empty, or gone, and a file that was named stay."""
    folder, file = tmp_path / "folder", tmp_path / "c.json"
    folder.mkdir()
    for name in ("a", "b"):
        save(profile(name), folder / f"{name}.json")
    save(profile("c"), file)
    found = References((str(folder), str(file)))
    (folder / "b.json").unlink()
    assert looked(found) == ("success",)
    assert names(found) == ["a", "c"]
    (folder / "a.json").unlink()
    file.unlink()
    assert looked(found) == ("failure",)
    assert names(found) == ["a", "c"]
    folder.rmdir()
    assert looked(found) == ("failure",)
    assert names(found) == ["a", "c"]


def test_a_change_under_way_waits(tmp_path: Path) -> None:
    """A file that changes between two looks is not read."""
    file = tmp_path / "a.json"
    save(profile("a"), file)
    found = References((str(file),))
    for size in (10, 20, 30):
        file.write_text("x" * size)
        assert found.look() == ()
    assert found.look() == ("failure",)
