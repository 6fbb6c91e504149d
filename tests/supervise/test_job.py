"""What the status of a job means."""

import os

import pytest

from exporter.supervise.job import OUTCOMES, End, ended, written

ENDS = (
    (0, False, End("success", 0)),
    (0, True, End("success", 0)),
    (3, False, End("failure", 3)),
    (-9, False, End("signal", 137)),
    (-9, True, End("oom", 137)),
    (137, True, End("oom", 137)),
    (137, False, End("failure", 137)),
    (-15, True, End("signal", 143)),
    (127, False, End("not_started", 127)),
    (126, False, End("not_started", 126)),
)


@pytest.mark.parametrize(("status", "oom", "expected"), ENDS)
def test_ends(status: int, oom: bool, expected: End) -> None:
    """An OOM kill is a SIGKILL, of the job or of a shell's child, while the kernel counted one."""
    assert ended(status, oom) == expected
    assert expected.outcome in OUTCOMES


def test_writing() -> None:
    """A stream that would not wait is made to; one that nobody reads is told."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    assert written(writer, b"x" * 1000)
    assert os.read(reader, 2000) == b"x" * 1000
    os.close(reader)
    assert not written(writer, b"x")
    os.close(writer)
