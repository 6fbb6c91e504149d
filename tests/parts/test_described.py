"""described.py: what changed becomes events."""

import asyncio
import json
import threading
from pathlib import Path

import pytest

from exporter.analysis.known import Known
from exporter.collect.artifacts import LOOK_SECONDS
from exporter.parts import descriptions
from exporter.parts.described import Described
from exporter.records import event
from exporter.records.event import Event
from exporter.records.threshold import Threshold
from exporter.settings.config import Config
from tests.collect.test_artifacts import NOW, sha, write

UPSTREAM = "http://127.0.0.1:1"


def test_events_of_files(tmp_path: Path) -> None:
    """A file that is wrong is told with both digests, another one without an expectation with its own."""
    path, free = write(tmp_path / "a", b"a"), write(tmp_path / "b", b"b")
    told: list[Event] = []
    config = Config(upstream=UPSTREAM, artifacts=(f"{path}=sha256:{'0' * 64}", str(free)))
    made = Described(config, told.append)

    def hashed(now: float) -> None:
        while made.artifacts.step(now) < LOOK_SECONDS:
            pass
        made.second([])

    # Beyond the times of the inodes, which are those of this machine.
    hashed(now := NOW + 1e9)
    write(free, b"c")
    hashed(now + LOOK_SECONDS)
    assert [(one.name, one.attributes) for one in told] == [
        (event.ARTIFACT_WRONG, {"path": str(path), "digest": sha(b"a"), "expected": "0" * 64}),
        (event.ARTIFACT_CHANGED, {"path": str(free), "digest": sha(b"c")}),
    ]
    made.second([])
    assert len(told) == 2
    made.stop()


def test_thresholds_of_descriptions(tmp_path: Path) -> None:
    """They are counted like configured ones, which win; of several models each has its own."""

    def known(*files: Path) -> list[tuple[str, float, str]]:
        config = Config(upstream=UPSTREAM, descriptions=tuple(map(str, files)))
        found = asyncio.run(Described(config, print).known(Known(thresholds=(Threshold("block", 0.9),))))
        return [(one.name, one.value, one.model) for one in found.thresholds]

    files = [tmp_path / f"{name}.description.json" for name in "ab"]
    for value, path in enumerate(files):
        said = [{"name": "block", "value": 0.1}, {"name": "review", "value": value}]
        path.write_text(json.dumps({"name": path.name[0], "thresholds": said}))
    assert known() == [("block", 0.9, "*")]
    assert known(files[0]) == [("block", 0.9, "*"), ("review", 0.0, "*")]
    assert known(*files)[1:] == [
        *(("block", 0.1, "a"), ("review", 0.0, "a")),
        *(("block", 0.1, "b"), ("review", 1.0, "b")),
    ]


def test_a_description_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The start goes on without it, and says so."""
    gate = threading.Event()
    monkeypatch.setattr(descriptions, "file_of", lambda place: str(gate.wait(60)) and place)
    made = Described(Config(upstream=UPSTREAM, descriptions=(str(tmp_path),)), print)
    made.descriptions._places[0].background._wait = 0.0
    assert asyncio.run(made.known(Known())) == Known()
    assert "does not answer; thresholds that it declares are not counted" in caplog.text
    gate.set()


def test_events_of_descriptions(tmp_path: Path) -> None:
    """What is not expected is told once, with both digests; then what changed."""
    path = tmp_path / "modeltap.json"
    path.write_text('{"name": "m", "training": {"seed": 1}}')
    told: list[Event] = []
    made = Described(Config(upstream=UPSTREAM, descriptions=(f"{path}=sha256:{'0' * 64}",)), told.append)
    for text in ("", "", '{"name": "m", "training": {"seed": 2}}'):
        if text:
            path.with_suffix(".new").write_text(text)
            path.with_suffix(".new").replace(path)
        asyncio.run(made.known(Known()))
        made.second([])
    assert [(one.name, one.attributes.get("sections"), one.attributes.get("expected")) for one in told] == [
        (event.DESCRIPTION_WRONG, None, "0" * 64),
        (event.DESCRIPTION_CHANGED, "training", None),
        (event.DESCRIPTION_WRONG, None, "0" * 64),
    ]
