"""descriptions.py: what is exported of files that are right, wrong, changed, gone, no descriptions, or hang."""

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from exporter.collect import Unavailable
from exporter.describe import describe
from exporter.parts import descriptions as module
from exporter.parts.descriptions import Descriptions, Unreadable, file_of, load
from exporter.records.sample import Sample

NOW = 1_700_000_000.0
VECTORS = Path(__file__).parents[1] / "vectors" / "description"
SAID: dict[str, Any] = {
    "name": "fraud",
    "version": "7",
    "owner": "ada",
    "team": "risk",
    "training": {"seed": 1},
}


def write(path: Path, **more: Any) -> str:
    """A description as training writes it; the digest of what it says."""
    document = SAID | more
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(document))
    partial.replace(path)
    return describe(document).digest


def made(*places: tuple[Path, str], owner: tuple[str, str, str] = ("", "", "")) -> Descriptions:
    return Descriptions(tuple((str(path), digest) for path, digest in places), owner, wait=30.0)


def values(found: Descriptions, name: str, now: float = NOW) -> dict[tuple[str, ...], float]:
    samples: list[Sample] = list(found.collect(now))
    return {one.labels: float(one.value) for one in samples if one.name == name}  # type: ignore[arg-type]


def state(found: Descriptions) -> list[str]:
    return [labels[1] for labels in values(found, "model.description.state")]


def test_what_is_exported(tmp_path: Path) -> None:
    """Digest, sections, owner and team, under the model's own name and version."""
    path = tmp_path / "modeltap.json"
    digest = write(path)
    found = made((tmp_path, digest))
    assert state(found) == ["match"]
    labels = ("fraud", "7", digest, "modeltap", "", "")
    assert values(found, "model.description") == {labels: 1.0}
    (section,) = values(found, "model.description.section")
    assert section[:3] == ("fraud", "7", "training")
    assert len(section[3]) == 16
    assert values(found, "model.owner") == {("fraud", "ada", "risk"): 1.0}
    assert values(found, "model.description.changes") == {("fraud", "training"): 0.0}
    assert list(found.take()) == []


def test_changes(tmp_path: Path) -> None:
    """Another file is read with the next look; each section that says something else is counted and told, once."""
    path = tmp_path / "modeltap.json"
    first = write(path)
    found = made((path, first))
    assert state(found) == ["match"]
    second = write(path, training={"seed": 2}, optimiser={"name": "adam"})
    assert state(found) == state(found) == ["mismatch"]
    (change,) = found.take()
    assert (change.sections, change.wrong, change.expected, change.description.digest) == (
        ("training", "optimiser"),
        True,
        first,
        second,
    )
    write(path)
    assert state(found) == ["match"]
    assert [set(one.sections) for one in found.take()] == [{"optimiser", "training"}]
    assert values(found, "model.description.changes") == {
        ("fraud", "training"): 2.0,
        ("fraud", "optimiser"): 2.0,
    }


def test_changes_over_a_restart(tmp_path: Path) -> None:
    """What a section said is known again: the same is no change, another is one, counted when 0 has been seen."""
    path = tmp_path / "modeltap.json"
    write(path)
    before = made((path, ""))
    state(before)
    same = made((path, ""))
    same.recall(before.said, NOW + 15)
    assert values(same, "model.description.changes") == {("fraud", "training"): 0.0}
    write(path, training={"seed": 2})
    after = made((path, ""), (tmp_path / "other.json", ""))
    after.recall(before.said, NOW + 15)
    assert after.said == before.said
    assert values(after, "model.description.changes", NOW + 14) == {("fraud", "training"): 0.0}
    # Killed once more before it was counted: it is still to be.
    assert after.said == before.said
    assert values(after, "model.description.changes", NOW + 15) == {("fraud", "training"): 1.0}
    assert [one.sections for one in after.take()] == [("training",)]
    assert after.said != before.said


def test_what_cannot_be_used(tmp_path: Path) -> None:
    """No file, no description, a folder without one, a pipe: what was said before is out of sight, and comes back."""
    path = tmp_path / "modeltap.json"
    write(path)
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "description.json")
    found = made((path, ""), (tmp_path / "empty", ""), (tmp_path / "description.json", ""))
    assert state(found) == ["unverified", "missing", "unreadable"]
    path.write_text("[")
    assert state(found)[0] == "malformed"
    assert values(found, "model.description") == values(found, "model.owner") == {}
    path.unlink()
    assert state(found)[0] == "missing"
    write(path)
    assert state(found)[0] == "unverified"
    assert list(found.take()) == []


def test_a_file_system_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for it; after ten seconds what it said is out of sight."""
    path = tmp_path / "modeltap.json"
    write(path)
    found = Descriptions(((str(path), ""),), ("", "", ""), wait=30.0)
    assert state(found) == ["unverified"]
    gate = threading.Event()
    background = found._places[0].background
    background._wait = 0.0
    clock = [0.0]
    background._monotonic = lambda: clock[0]
    monkeypatch.setattr(module, "file_of", lambda place: str(gate.wait(60)) and place)
    assert state(found) == ["unverified"]
    clock[0] = 11.0
    assert state(found) == ["unreadable"]
    assert values(found, "model.description") == {}
    gate.set()


@pytest.mark.parametrize(
    ("served", "owner", "name"),
    [
        (set(), ("", "", ""), "fraud"),
        (set(), ("configured", "", ""), "configured"),
        ({"fraud", "other"}, ("configured", "", ""), "fraud"),
        ({"fraud-onnx"}, ("", "", ""), "fraud-onnx"),
        ({"a", "b"}, ("", "", ""), "fraud"),
    ],
)
def test_name(tmp_path: Path, served: set[str], owner: tuple[str, str, str], name: str) -> None:
    """Under the name by which the model is counted, so that it can be joined."""
    write(tmp_path / "modeltap.json")
    found = made((tmp_path, ""), owner=owner)
    found.served = frozenset(served)
    assert [labels[0] for labels in values(found, "model.description")] == [name]


def test_owner_by_settings(tmp_path: Path) -> None:
    """Settings beat descriptions, for every model that is served; without either there is nothing."""
    write(tmp_path / "modeltap.json")
    found = made((tmp_path, ""), owner=("", "eve", ""))
    found.served = frozenset(("fraud", "other"))
    assert values(found, "model.owner") == {("fraud", "eve", "risk"): 1.0, ("other", "eve", ""): 1.0}
    alone = made(owner=("", "", "ml"))
    assert values(alone, "model.owner") == {("unknown", "", "ml"): 1.0}
    with pytest.raises(Unavailable):
        list(made().collect(NOW))


def test_the_same_model_twice(tmp_path: Path) -> None:
    """One series for each model and version; the first file wins."""
    paths = [tmp_path / name for name in ("a.description.json", "b.description.json")]
    digests = [write(path, training={"seed": number}) for number, path in enumerate(paths)]
    found = made(*((path, "") for path in paths))
    assert [labels[2] for labels in values(found, "model.description")] == digests[:1]


def test_folders() -> None:
    """Of a folder the file that says most."""
    names = {path.name: Path(file_of(str(path))).name for path in VECTORS.iterdir()}
    assert names == {
        **{"own": "modeltap.json", "mlflow": "MLmodel", "huggingface": "config.json"},
        **{"triton": "config.pbtxt", "mlserver": "model-settings.json", "onnx": "model.onnx"},
    }
    with pytest.raises(FileNotFoundError):
        file_of(str(VECTORS))
    assert load(str(VECTORS / "onnx")).name == "wine"


def test_unreadable_names_the_file(tmp_path: Path) -> None:
    """Each problem begins with the place."""
    path = tmp_path / "modeltap.json"
    path.write_text('{"a": 1}')
    with pytest.raises(Unreadable) as caught:
        load(str(path))
    assert caught.value.problems[0].startswith(f"{path}.a: unknown key")
