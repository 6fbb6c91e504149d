"""described.py: what changed becomes events."""

from pathlib import Path

from exporter.collect.artifacts import LOOK_SECONDS
from exporter.config import Config
from exporter.described import Described
from exporter.records import event
from exporter.records.event import Event
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
