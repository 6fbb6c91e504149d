"""Small files, and the forms that several of them share."""

import os
import platform
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.host import files
from exporter.host.files import Files, number, started, table
from tests.host.trees import Tree


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("7", 7), (" 7\n", 7), ("0", 0), ("18446744073709551615", 2**64 - 1)),
        *((None, None), ("", None), ("max", None), ("-1", None), ("1.5", None), ("1 2", None), ("²", None)),
        *(("٣", None), ("9" * 5000, None)),
    ],
)
def test_number(text: str | None, value: int | None) -> None:
    """One whole number of a kernel's size, or nothing."""
    assert number(text) == value


def test_table() -> None:
    """Lines of another form are left out, the others are kept."""
    assert table("a 1\nb x\n\nc\n d 4 5\ne 6\n") == {"a": 1, "e": 6}
    assert table("MemTotal:   10 kB\nHuge:  3\nName: x y\n: 5\n", ":") == {"MemTotal": 10, "Huge": 3, "": 5}
    assert table(None) == {}


@given(st.text())
def test_no_text_raises(text: str) -> None:
    """Whatever a file holds, reading it is no error."""
    number(text), table(text), table(text, ":")


def test_what_is_not_there(tmp_path: Path) -> None:
    """Missing, a folder, a name that no file can have: nothing, and no error."""
    found = Files(tmp_path)
    for path in ("none", ".", "a\x00b"):
        assert found.text(path) is None
        assert found.link(path) is None
    assert found.names("none") is None
    assert found.names("a\x00b") is None
    assert found.identity("none") is None
    assert not found.has("none")


def test_large_file_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file over the bound is none of ours."""
    monkeypatch.setattr(files, "LARGEST", 4)
    (tmp_path / "four").write_text("1234")
    (tmp_path / "five").write_text("12345")
    assert Files(tmp_path).text("four") == "1234"
    assert Files(tmp_path).text("five") is None


def test_this_machine() -> None:
    """A file of every kind of /proc is read: one that is made at once, a sysctl, one line after the other."""
    real = Files()
    assert (real.text("proc/sys/kernel/osrelease") or "").strip() == platform.release()
    assert started(real, os.getpid()) is not None
    assert f"{os.getpid()} " in (real.text("proc/self/stat") or "")


def test_not_text(tmp_path: Path) -> None:
    """Bytes that are no text are marked, not refused: the lines beside them count."""
    (tmp_path / "file").write_bytes(b"\xff\xfe 1\nok 2\n")
    assert table(Files(tmp_path).text("file"))["ok"] == 2


def test_started(tmp_path: Path) -> None:
    """The tick comes after the last parenthesis, whatever the process is called; a zombie has none."""
    tree = Tree(tmp_path)
    tree.began(5, 123)
    assert started(Files(tmp_path), 5) == 123
    tree.write(
        "proc/5/stat", (tmp_path / "proc/5/stat").read_text().replace("(a) b (c)", ") 1 2 (x) S 9 ((\n)")
    )
    assert started(Files(tmp_path), 5) == 123
    tree.began(5, 123, "Z")
    assert started(Files(tmp_path), 5) is None
    tree.write("proc/5/stat", "5 (a) S 1\n")
    assert started(Files(tmp_path), 5) is None
    assert started(Files(tmp_path), 6) is None
