"""How engines are called: nothing is built here."""

from pathlib import Path

import pytest

from image import base, build
from image.build import Origin, Wanted

ORIGIN = Origin("1.2.3", "abc", "1700000000")


def test_with_podman() -> None:
    """The form that has health checks, and one time for all: that of the commit."""
    line = build.command("podman", Wanted("modeltap:1.2.3"), ORIGIN)
    assert line[:6] == ["podman", "build", "--format", "docker", "--timestamp", "1700000000"]
    given = [line[place + 1] for place, word in enumerate(line) if word == "--build-arg"]
    created = "CREATED=2023-11-14T22:13:20Z"
    assert given == ["VERSION=1.2.3", "REVISION=abc", created, "SOURCE_DATE_EPOCH=1700000000"]
    assert line[-3:] == ["--tag", "modeltap:1.2.3", "."]


def test_with_docker_on_other_bases() -> None:
    """No option that it lacks; bases and extras become arguments; offline, nothing is reached."""
    wanted = Wanted("t", base="b:1", build_base="c:1", extras="redis,web", offline=True, fresh=True)
    line = build.command("docker", wanted, ORIGIN)
    assert "--timestamp" not in line and "--format" not in line
    assert {"BASE=b:1", "BUILD_BASE=c:1", "EXTRAS=redis,web", "PIP_NO_INDEX=1"} <= set(line)
    assert line[line.index("--network") + 1] == "none" and "--no-cache" in line


def test_arguments_are_those_of_the_dockerfile() -> None:
    """Each is declared by an ARG; one that is not would be ignored."""
    wanted = Wanted("t", base="b", build_base="c", extras="web", offline=True)
    declared = {
        line.split()[1].partition("=")[0]
        for line in (build.REPOSITORY / "Dockerfile").read_text().splitlines()
        if line.startswith("ARG ")
    }
    assert set(build.arguments(wanted, ORIGIN)) | {"PIP_NO_INDEX"} <= declared


def test_where_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """The version is that of the package; without a commit, the time is a fixed one."""
    assert build.origin().version == build.version()

    def no_git(_: object) -> str:
        raise build.BuildFailed("no git")

    monkeypatch.setattr(build, "output", no_git)
    assert build.origin() == Origin(build.version(), "unknown", "1735689600")


def test_offline_needs_a_base(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without one it says how to make one."""
    monkeypatch.setattr(build, "engine", lambda: "podman")
    assert build.main(["--offline"]) == 1
    assert "image/base.py" in capsys.readouterr().err


def test_without_an_engine(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where neither is installed it says so."""
    monkeypatch.setattr(build.shutil, "which", lambda _: None)
    assert build.main([]) == 1
    assert "neither podman nor docker" in capsys.readouterr().err


def test_what_bases_need(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """All that is lacking is told at once, before anything is made."""
    monkeypatch.setattr(base.shutil, "which", lambda _: None)
    monkeypatch.setattr(base.os, "geteuid", lambda: 1000)
    assert base.main([]) == 2
    told = capsys.readouterr().err
    assert all(word in told for word in ("podman", "debootstrap", "root's rights"))


def test_bases(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The one to run on is packed before a compiler is installed, so that it cannot hold one."""
    done: list[str] = []
    (tmp_path / "etc" / "apt").mkdir(parents=True)
    monkeypatch.setattr(base, "run", lambda command: done.append(" ".join(command)))
    monkeypatch.setattr(base, "import_image", lambda _, tag: done.append(tag))
    assert base.make(tmp_path, "bookworm", "http://mirror") == [
        "localhost/modeltap-base:bookworm",
        "localhost/modeltap-build:bookworm",
    ]
    assert done[0].startswith("debootstrap --variant=minbase bookworm")
    compiler = next(place for place, command in enumerate(done) if " gcc" in command)
    assert (
        done.index("localhost/modeltap-base:bookworm")
        < compiler
        < done.index("localhost/modeltap-build:bookworm")
    )
    assert "bookworm-security" in (tmp_path / "etc" / "apt" / "sources.list").read_text()
