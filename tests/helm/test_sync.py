"""The chart's copies of dashboards follow their sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import REPOSITORY, load

sync = load(REPOSITORY / "helm" / "sync.py")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one dashboard, and rules in its chart, which are not copied."""
    (tmp_path / "dashboards").mkdir()
    (tmp_path / "dashboards" / "a.json").write_text("{}")
    rules = tmp_path / sync.FILES / "alert_rules"
    rules.mkdir(parents=True)
    (rules / "a.yaml").write_text("groups: []\n")
    return tmp_path


def test_copies_and_then_agrees(repository: Path) -> None:
    """A run copies dashboards and leaves rules; the check then passes."""
    assert sync.main(["--check"], repository) == 1
    assert sync.main([], repository) == 0
    assert sync.main(["--check"], repository) == 0
    files = repository / sync.FILES
    assert sorted(str(path.relative_to(files)) for path in files.glob("*/*")) == [
        "alert_rules/a.yaml",
        "dashboards/a.json",
    ]


def test_check_changes_nothing(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The check names each stale file and leaves it."""
    sync.main([], repository)
    (repository / "dashboards" / "a.json").write_text("[]")
    capsys.readouterr()
    assert sync.main(["--check"], repository) == 1
    said = capsys.readouterr()
    assert said.out == "helm/modeltap/files/dashboards/a.json differs from its source\n"
    assert "python helm/sync.py" in said.err
    assert (repository / sync.FILES / "dashboards" / "a.json").read_text() == "{}"


def test_removes_what_has_no_source(repository: Path) -> None:
    """A copy whose source is gone goes too."""
    sync.main([], repository)
    (repository / "dashboards" / "a.json").unlink()
    sync.main([], repository)
    assert not (repository / sync.FILES / "dashboards" / "a.json").exists()


def test_this_repository_s_copies() -> None:
    """The chart's copies are those of the dashboards beside it (else: python helm/sync.py)."""
    assert sync.differences(REPOSITORY) == []
