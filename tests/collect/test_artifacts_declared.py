"""artifacts.py: files that descriptions declare; what settings expect of them, and links that lead elsewhere."""

import os
from pathlib import Path

import pytest

from exporter.collect import artifacts as module
from exporter.collect.artifacts import LOOK_SECONDS, Artifact, Artifacts, Declared, Watched
from exporter.collect.contract import Unavailable
from tests.collect.test_artifacts import NOW, MakeBench, bench, sha, write
from tests.e2e.processes import wait_until

__all__ = ["bench"]


def declared(folder: Path, **files: str) -> tuple[Declared, ...]:
    return tuple(Declared(str(folder), f"{folder}/{name}", digest) for name, digest in files.items())


def test_match_mismatch_missing(tmp_path: Path, bench: MakeBench) -> None:
    """The same states as of configured ones, also for files that settings name without a digest."""
    named = write(tmp_path / "named", b"n")
    write(tmp_path / "right", b"r")
    write(tmp_path / "wrong", b"w")
    made = bench(Artifact(str(named)))
    made.made.declare(declared(tmp_path, right=sha(b"r"), wrong=sha(b"r"), gone=sha(b"g"), named=sha(b"n")))
    made.steps()
    states = {"right": "match", "wrong": "mismatch", "gone": "missing", "named": "match"}
    assert made.states() == states
    assert made.values("model.artifact.conflict") == {}
    (change,) = made.made.take()
    assert (change.kind, change.artifact, change.expected) == ("wrong", str(tmp_path / "wrong"), sha(b"r"))
    # A new description: what it does not declare is not watched any more.
    made.made.declare(declared(tmp_path, wrong=sha(b"w")))
    made.steps(LOOK_SECONDS)
    assert made.states() == {"named": "unverified", "wrong": "match"}


def test_settings_win_and_conflicts_are_told(
    tmp_path: Path, bench: MakeBench, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a path's own digest, of a list's, and of two descriptions; once in the log, until they agree."""
    for name in ("own", "listed", "twice"):
        write(tmp_path / name, b"x")
    write(tmp_path / "SUMS", f"{sha(b'x')}  listed\n".encode())
    made = bench(Artifact(f"{tmp_path}/own", sha(b"x")), lists=(f"{tmp_path}/SUMS",))
    first, second = (
        declared(tmp_path, own=sha(b"y"), listed=sha(b"y"), twice=sha(b"x")),
        declared(tmp_path, twice=sha(b"z")),
    )
    made.made.declare((*first, *second))
    made.steps()
    made.steps(LOOK_SECONDS)
    assert {made.states()[name] for name in ("own", "listed", "twice")} == {"match"}
    conflicts = {Path(path).name for (path,) in made.values("model.artifact.conflict")}
    assert conflicts == {"own", "listed", "twice"}
    assert len([one for one in caplog.records if "another digest" in one.message]) == 3
    made.made.declare(declared(tmp_path, own=sha(b"x"), listed=sha(b"x"), twice=sha(b"x")))
    made.steps(LOOK_SECONDS)
    assert made.values("model.artifact.conflict") == {}


def test_links(tmp_path: Path, bench: MakeBench, caplog: pytest.LogCaptureFixture) -> None:
    """Within the folder they are followed, as those of a mounted volume; out of it nothing is opened."""
    folder = tmp_path / "model"
    (folder / "..2024").mkdir(parents=True)
    write(folder / "..2024" / "w", b"w")
    (folder / "..data").symlink_to("..2024")
    (folder / "w").symlink_to("..data/w")
    write(tmp_path / "secret", b"s")
    (folder / "up").symlink_to("../secret")
    (folder / "away").symlink_to(tmp_path)
    (folder / "round").symlink_to("round")
    made = bench()
    files = {"w": sha(b"w"), "up": sha(b"s"), "away/secret": sha(b"s"), "round": sha(b"s")}
    made.made.declare(declared(folder, **files))
    made.steps()
    assert made.states() == {"w": "match", "up": "outside", "secret": "outside", "round": "unreadable"}
    assert set(made.values("model.artifact")) == {(f"{folder}/w", sha(b"w"))}
    assert caplog.text.count("leads out of the folder") == 2
    # Settings may name whatever they like.
    own = bench(Artifact(f"{folder}/up"))
    own.made.declare(declared(folder, up=sha(b"s")))
    own.steps()
    assert own.states() == {"up": "match"}


@pytest.mark.parametrize("moment", ["before it is opened", "while it is read"])
def test_a_link_that_turns_away(
    tmp_path: Path, bench: MakeBench, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """After it was looked at: nothing is told of what it leads to."""
    folder = tmp_path / "model"
    folder.mkdir()
    write(folder / "w", b"w")
    write(tmp_path / "secret", b"w")
    made = bench()
    made.made.declare(declared(folder, w=sha(b"w")))

    def turn() -> None:
        (folder / "new").symlink_to("../secret")
        os.replace(folder / "new", folder / "w")

    if moment == "before it is opened":
        begin = made.made._begin
        monkeypatch.setattr(made.made, "_begin", lambda now: (turn(), begin(now)))
    else:
        # It turns before the file is opened, and the check before that has not seen it.
        calls = iter([None, turn, None])
        inside = module.inside

        def late(path: str, folder: str) -> None:
            step = next(calls, None)
            inside(path, folder)
            if step is not None:
                step()

        monkeypatch.setattr(module, "inside", late)
    made.steps()
    assert made.states() == {"w": "outside"}
    assert made.values("model.artifact") == {}


def test_the_thread_begins_with_what_is_declared(tmp_path: Path) -> None:
    """Nothing is to be looked at before; nor after the stop."""
    write(tmp_path / "w", b"w")
    made = Artifacts(Watched(), NOW)
    made.start()
    with pytest.raises(Unavailable):
        list(made.collect(NOW))
    assert made._thread is None
    made.declare(declared(tmp_path, w=sha(b"w")))
    try:
        assert made._thread is not None
        wait_until(lambda: made._looked, "it looks", 20)
    finally:
        made.stop()
        made._thread.join(20)
    late = Artifacts(Watched(), NOW)
    late.start()
    late.stop()
    late.declare(declared(tmp_path, w=sha(b"w")))
    assert late._thread is None
