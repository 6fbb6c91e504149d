"""Lines into files that are rotated, moved, full or none, and into descriptors of which nobody reads."""

import fcntl
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from select import PIPE_BUF

import pytest

from exporter.processes.logs import writer
from exporter.publish.line_output import Descriptor, LogFile


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """A disk on which no file of this process can grow further: the kernel writes what fits, then refuses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_is_appended_to(tmp_path: Path) -> None:
    """What was there stays; whoever is not of its group cannot read it."""
    path = tmp_path / "access"
    path.write_text("before\n")
    for text in (b"a\n", b"b\n"):
        output = LogFile(str(path), 0)
        output.write(text)
        output.close()
        output.close()
    assert path.read_text() == "before\na\nb\n"
    fresh = LogFile(str(tmp_path / "fresh"), 0)
    fresh.write(b"a\n")
    assert (tmp_path / "fresh").stat().st_mode & 0o007 == 0


def test_it_grows_to_its_bound(tmp_path: Path) -> None:
    """At its size the file becomes .1, in place of the one before: no more than two of them are ever there."""
    output = LogFile(str(tmp_path / "access"), 10)
    for number in range(7):
        output.write(b"%03d\n" % number)
    assert (tmp_path / "access").read_text() == "006\n"
    assert (tmp_path / "access.1").read_text() == "004\n005\n"
    assert len(list(tmp_path.iterdir())) == 2
    output.write(b"longer than the bound\n")
    assert (tmp_path / "access").read_text() == "longer than the bound\n"


@pytest.mark.parametrize("how", ["moved", "removed", "replaced", "truncated"])
def test_rotated_by_somebody_else(tmp_path: Path, how: str) -> None:
    """A file that was moved or removed is made anew with the next line; one that was emptied is gone on with."""
    path, other = tmp_path / "access", tmp_path / "access-20260101"
    output = LogFile(str(path), 0)
    output.write(b"a\n")
    if how == "truncated":
        os.truncate(path, 0)
    elif how == "removed":
        path.unlink()
    else:
        path.rename(other)
    if how == "replaced":
        path.write_text("new\n")
    output.write(b"b\n")
    assert path.read_text() == ("new\nb\n" if how == "replaced" else "b\n")
    assert not other.exists() or other.read_text() == "a\n"


def test_reopened_on_demand(tmp_path: Path) -> None:
    """After `reopen` the next line goes to whatever is at the path."""
    output = LogFile(str(tmp_path / "access"), 0)
    output.write(b"a\n")
    output.reopen()
    output.write(b"b\n")
    assert (tmp_path / "access").read_text() == "a\nb\n"


def test_a_full_disk_tears_no_line(tmp_path: Path) -> None:
    """What does not fit is not written at all, and written once there is room."""
    path = tmp_path / "access"
    output = LogFile(str(path), 0)
    output.write(b"first\n")
    with largest_file(10):
        for _ in range(2):
            with pytest.raises(OSError, match="too large"):
                output.write(b"second\n")
    assert path.read_text() == "first\n"
    output.write(b"second\n")
    assert path.read_text() == "first\nsecond\n"


def test_what_is_no_file(tmp_path: Path) -> None:
    """A pipe, a folder or a device is refused at once, and not waited for."""
    os.mkfifo(tmp_path / "pipe")
    for place, why in (("pipe", "No such device"), (".", "directory"), ("missing/a", "No such file")):
        with pytest.raises(OSError, match=why):
            LogFile(str(tmp_path / place), 0).write(b"a\n")
    with pytest.raises(OSError, match="expected a file, or - for standard output"):
        LogFile("/dev/null", 0).write(b"a\n")


def test_a_pipe_takes_lines_whole() -> None:
    """Nobody reads: what a pipe cannot take whole is not taken at all, and nobody waits."""
    reading, writing = os.pipe()
    output = Descriptor(writer(writing))
    piece = b"x" * (PIPE_BUF - 1) + b"\n"
    taken = fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ)
    assert sum(output.write(piece) for _ in range(taken // PIPE_BUF)) == taken
    with pytest.raises(BlockingIOError):
        output.write(piece)
    assert os.read(reading, PIPE_BUF) == piece
    assert output.write(piece) == PIPE_BUF
    output.reopen()
    output.close()
    os.close(reading)
    with pytest.raises(BrokenPipeError):
        output.write(piece)
    os.close(writing)
