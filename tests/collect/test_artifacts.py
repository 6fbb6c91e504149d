"""artifacts.py: files that are right, wrong, missing, unreadable, replaced, written to while they are hashed."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.collect import hashing
from exporter.collect.artifacts import (
    LOOK_SECONDS,
    MAX_FILES,
    QUIET_SECONDS,
    RETRY_SECONDS,
    STALE_SECONDS,
    Artifact,
    Artifacts,
    Watched,
)
from exporter.collect.contract import Unavailable
from exporter.collect.hashing import PIECE_BYTES, Changed, Hashing
from exporter.records.sample import Sample
from tests.e2e.processes import wait_until

NOW = 1_700_000_000.0


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write(path: Path, data: bytes, at: float = NOW - 60.0) -> Path:
    """A file whose times are those of the tests' clock, as far as they can be set."""
    path.write_bytes(data)
    os.utime(path, (at, at))
    return path


class Bench:
    """An Artifacts that is moved by hand; the times of inodes are not the tests' to set, so they are left out."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *artifacts: Artifact, **settings: object) -> None:
        own = hashing._identity
        monkeypatch.setattr(
            hashing, "_identity", lambda found, path: own(found, path)._replace(changed=found.st_mtime_ns)
        )
        self.now = NOW
        self.made = Artifacts(Watched(artifacts, **settings), NOW)  # type: ignore[arg-type]

    def steps(self, seconds: float = 0.0) -> float:
        """Go on until there is nothing to do at this time; the seconds that it rested."""
        self.now += seconds
        rested = 0.0
        while (rest := self.made.step(self.now)) < QUIET_SECONDS:
            rested += rest
        return rested

    def values(self, name: str) -> dict[tuple[str, ...], float]:
        samples: list[Sample] = list(self.made.collect(self.now))
        return {one.labels: float(one.value) for one in samples if one.name == name}  # type: ignore[arg-type]

    def states(self) -> dict[str, str]:
        found = self.values("model.artifact.state")
        assert set(found.values()) <= {1.0}
        states = {Path(path).name: state for path, state in found}
        assert len(states) == len(found)
        return states

    def outcomes(self) -> tuple[float, ...]:
        """finished, changed, failed."""
        return tuple(self.values("model.artifact.hashes").values())


MakeBench = Callable[..., Bench]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> MakeBench:
    return lambda *artifacts, **settings: Bench(monkeypatch, *artifacts, **settings)


def test_right_wrong_and_without_expectation(tmp_path: Path, bench: MakeBench) -> None:
    """Each file is hashed once, compared with what is told of it, and shown with digest, size and time."""
    data = os.urandom(PIECE_BYTES + 17)
    files = [write(tmp_path / name, data) for name in ("right", "wrong", "any")]
    made = bench(
        Artifact(str(files[0]), sha(data)), Artifact(str(files[1]), "0" * 64), Artifact(str(files[2]))
    )
    with pytest.raises(Unavailable):
        made.states()
    made.steps()
    assert made.states() == {"right": "match", "wrong": "mismatch", "any": "unverified"}
    assert made.values("model.artifact") == {(str(path), sha(data)): 1.0 for path in files}
    assert set(made.values("model.artifact.size").values()) == {PIECE_BYTES + 17}
    assert set(made.values("model.artifact.hash_time").values()) == {NOW}
    assert made.values("model.artifact.hashed") == {(): 3.0 * len(data)}
    assert made.outcomes() == (3, 0, 0)
    assert [(change.kind, Path(change.artifact).name) for change in made.made.take()] == [("wrong", "wrong")]
    made.steps(LOOK_SECONDS)
    assert made.outcomes() == (3, 0, 0)
    assert list(made.made.take()) == []


def test_a_file_that_is_replaced(tmp_path: Path, bench: MakeBench) -> None:
    """What is known of the old file is gone with the next look; the new one waits until it is quiet; changes count."""
    path = write(tmp_path / "model", b"old")
    made = bench(Artifact(str(path), sha(b"old")))
    made.steps()
    assert made.states() == {"model": "match"}
    new = write(tmp_path / "new", b"new", NOW + LOOK_SECONDS)
    new.replace(path)
    assert made.made.step(made.now + LOOK_SECONDS) == QUIET_SECONDS
    made.steps(LOOK_SECONDS)
    assert made.states() == {"model": "pending"}
    assert made.values("model.artifact") == made.values("model.artifact.size") == {}
    made.steps(QUIET_SECONDS)
    assert made.states() == {"model": "mismatch"}
    assert made.values("model.artifact.changes") == {(str(path),): 1.0}
    write(path, b"old", made.now)
    made.steps(LOOK_SECONDS)
    made.steps(QUIET_SECONDS)
    assert made.states() == {"model": "match"}
    told = [(change.kind, change.digest) for change in made.made.take()]
    assert told == [
        ("changed", sha(b"new")),
        ("wrong", sha(b"new")),
        ("changed", sha(b"old")),
        ("right", sha(b"old")),
    ]


def test_missing_and_unreadable(
    tmp_path: Path, bench: MakeBench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file, a folder, a pipe, a file in a file, one that may not be opened: told, none waited for, logged once."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    write(tmp_path / "file", b"x")
    write(tmp_path / "secret", b"x")
    opened = os.open

    def refusing(path: str, flags: int, *more: int) -> int:
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", path)
        return opened(path, flags, *more)

    monkeypatch.setattr(os, "open", refusing)
    names = ("none", "pipe", "folder", "file/inside", "secret")
    made = bench(*(Artifact(str(tmp_path / name), "0" * 64) for name in names))
    expected = {
        "none": "missing",
        "pipe": "unreadable",
        "folder": "unreadable",
        "inside": "missing",
        "secret": "unreadable",
    }
    for seconds in (0.0, LOOK_SECONDS):
        made.steps(seconds)
        assert made.states() == expected
    assert made.outcomes() == (0, 0, 1)
    made.steps(RETRY_SECONDS)
    assert made.outcomes() == (0, 0, 2)
    assert len(caplog.records) == 6  # the one that was tried twice has two
    monkeypatch.setattr(os, "open", opened)
    write(tmp_path / "none", b"x", made.now)
    made.steps(RETRY_SECONDS)
    assert made.states() == expected | {"none": "mismatch", "secret": "mismatch"}


def test_a_file_that_is_written_to_while_it_is_hashed(tmp_path: Path, bench: MakeBench) -> None:
    """Between two pieces it is appended to, overwritten, replaced, removed: no digest, one count, and a new attempt."""
    path = write(tmp_path / "model", b"x" * (2 * PIECE_BYTES))
    made = bench(Artifact(str(path), sha(b"end")))

    def append() -> None:
        with path.open("ab") as file:
            file.write(b"more")
        os.utime(path, (NOW - 60.0, NOW - 60.0))

    def overwrite() -> None:
        write(path, b"y" * path.stat().st_size, NOW - 50.0)

    def replace() -> None:
        write(tmp_path / "other", path.read_bytes(), path.stat().st_mtime).replace(path)

    for number, spoil in enumerate((append, overwrite, replace, path.unlink), 1):
        assert made.made.step(made.now) < LOOK_SECONDS
        spoil()
        while made.outcomes()[1] < number:
            made.made.step(made.now)
        assert made.states() == {"model": "changing" if path.exists() else "missing"}
        assert made.values("model.artifact") == {}
    write(path, b"end", NOW - 40.0)
    made.steps(LOOK_SECONDS)
    assert made.states() == {"model": "match"}
    assert made.outcomes() == (1, 4, 0)


def test_a_file_that_grows_for_good(tmp_path: Path) -> None:
    """It is not followed beyond the size that it had."""
    path = write(tmp_path / "log", b"x" * 10)
    one = Hashing(str(path))
    with path.open("ab") as file:
        file.write(b"y" * 100)
    with pytest.raises(Changed):
        one.step()
    one.close()
    one.close()


def test_lists_and_patterns(tmp_path: Path, bench: MakeBench) -> None:
    """A list names files and what they should be, missing ones too; a pattern finds what there is, later too."""
    for name in ("a.bin", "b.bin", "c[1].bin"):
        write(tmp_path / name, name.encode())
    sums = f"{sha(b'a.bin')}  a.bin\n{'0' * 64}  b.bin\n{'0' * 64}  gone.bin\nnonsense\n"
    listed = write(tmp_path / "SHA256SUMS", sums.encode())
    made = bench(
        Artifact(f"{tmp_path}/*.bin"),
        Artifact(f"{tmp_path}/c[1].bin", sha(b"c[1].bin")),
        Artifact(f"{tmp_path}/*.onnx"),
        lists=(str(listed), str(tmp_path / "none")),
    )
    made.steps()
    expected = {
        **{"a.bin": "match", "b.bin": "mismatch", "gone.bin": "missing", "c[1].bin": "match"},
        **{"*.onnx": "missing", "SHA256SUMS": "unverified", "none": "missing"},
    }
    assert made.states() == expected
    assert made.values("model.artifact.left_out") == {("too_many",): 0, ("bad_name",): 0, ("bad_line",): 1}
    write(tmp_path / "x.onnx", b"x")
    write(listed, f"{sha(b'b.bin')}  b.bin\n".encode(), NOW - 30.0)
    (tmp_path / "a.bin").unlink()
    made.steps(LOOK_SECONDS)
    del expected["*.onnx"], expected["a.bin"], expected["gone.bin"]
    assert made.states() == expected | {"b.bin": "match", "x.onnx": "unverified"}
    assert [change.kind for change in made.made.take()] == ["wrong", "right", "changed"]


def test_bounds(tmp_path: Path, bench: MakeBench) -> None:
    """So many files; names that no label can have; the rest is counted."""
    for number in range(MAX_FILES + 3):
        write(tmp_path / f"{number:03}.bin", b"x")
    write(tmp_path / "new\nline.bin", b"x")
    (tmp_path / os.fsdecode(b"\xff.bin")).write_bytes(b"x")
    made = bench(Artifact(f"{tmp_path}/*.bin"))
    made.steps()
    assert len(made.states()) == MAX_FILES
    assert made.values("model.artifact.left_out") == {("too_many",): 3, ("bad_name",): 2, ("bad_line",): 0}


def test_interval_and_rate(tmp_path: Path, bench: MakeBench) -> None:
    """A file is hashed again when its digest is old, without being forgotten meanwhile; no faster than it may."""
    path = write(tmp_path / "model", b"x" * (8 * PIECE_BYTES))
    made = bench(Artifact(str(path)), interval=3600.0, rate=PIECE_BYTES)
    assert made.steps() == 9.0
    made.steps(1800.0)
    assert made.outcomes() == (1, 0, 0)
    made.now += 1800.0
    made.made.step(made.now)
    assert made.states() == {"model": "unverified"}
    made.steps()
    assert made.outcomes() == (2, 0, 0)
    assert made.values("model.artifact.hash_time") == {(str(path),): made.now}


def test_rot_is_found_where_nothing_tells_of_it(tmp_path: Path, bench: MakeBench) -> None:
    """Other bytes under the same times show when the file is hashed again."""
    path = write(tmp_path / "model", b"good")
    made = bench(Artifact(str(path), sha(b"good")), interval=3600.0)
    made.steps()
    with path.open("r+b") as file:
        file.write(b"evil")
    os.utime(path, (NOW - 60.0, NOW - 60.0))
    made.steps(3600.0)
    assert made.states() == {"model": "mismatch"}


def test_a_look_that_hangs(tmp_path: Path, bench: MakeBench) -> None:
    """While the thread does not come back nothing is called right, and no digest is shown."""
    path = write(tmp_path / "model", b"x")
    made = bench(Artifact(str(path), sha(b"x")))
    made.steps()
    made.now += STALE_SECONDS + 1.0
    assert made.states() == {"model": "unreadable"}
    assert made.values("model.artifact") == made.values("model.artifact.hash_time") == {}


def test_a_clock_that_is_set_back(tmp_path: Path, bench: MakeBench) -> None:
    """Neither looks nor digests wait for the time to come again; a file from the future is hashed."""
    path = write(tmp_path / "model", b"x", NOW + 1e6)
    made = bench(Artifact(str(path)))
    made.steps()
    assert made.states() == {"model": "unverified"}
    made.steps(-1e6)
    assert made.outcomes() == (2, 0, 0)


def test_thread(tmp_path: Path) -> None:
    """It looks by itself, is ended, and is not there where there is nothing to watch."""
    path = write(tmp_path / "model", b"x")
    made = Artifacts(Watched((Artifact(str(path)),)), NOW)
    made.start()
    made.start()
    assert made._thread is not None
    wait_until(lambda: bool(made._looked), "a look has ended")
    made.stop()
    made.stop()
    made._thread.join(20)
    assert not made._thread.is_alive()
    idle = Artifacts(Watched(), NOW)
    idle.start()
    assert idle._thread is None
    idle.stop()


def test_digests_outlive_a_restart(tmp_path: Path, bench: MakeBench) -> None:
    """What a file was is known again: nothing is shown of it, but another digest is a change."""
    same, other = write(tmp_path / "a", b"a"), write(tmp_path / "b", b"b")
    before = bench(Artifact(f"{tmp_path}/*"))
    before.steps()
    after = bench(Artifact(f"{tmp_path}/*"))
    after.made.recall({**before.made.digests, "/elsewhere": sha(b"")})
    write(other, b"c")
    after.made._look(NOW)
    after.made._show()
    assert after.values("model.artifact") == {}
    assert after.made.digests == before.made.digests
    after.steps()
    assert after.values("model.artifact.changes") == {(str(same),): 0.0, (str(other),): 1.0}
    (change,) = after.made.take()
    assert (change.kind, change.artifact, change.digest) == ("changed", str(other), sha(b"c"))
    assert after.made.digests == {str(same): sha(b"a"), str(other): sha(b"c")}
