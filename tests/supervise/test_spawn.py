"""A command gets what it would have had without us, and a signal when we die."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

from exporter.supervise.launch import NOT_EXECUTABLE, NOT_FOUND
from exporter.supervise.spawn import How, spawn
from tests.app.command import ROOT, gone
from tests.e2e.processes import wait_until

TELL = """
import os, resource, signal
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], os.getsid(0) == os.getpid(), len(os.listdir("/proc/self/fd")),
      *[line.split()[1] for line in open("/proc/self/status") if line.startswith(("SigBlk", "SigIgn"))])
"""
# In a process of its own: starts a child that sleeps, tells its pid, and waits to be killed.
PARENT = """
import signal, sys, time
from exporter.supervise.spawn import How, spawn
child = spawn(["sleep", "60"], How(100, death=signal.SIGTERM, session=True))
print(child.pid, flush=True)
time.sleep(60)
"""


def told(how: How) -> list[str]:
    """What a child finds."""
    reader, writer = os.pipe()
    with os.fdopen(reader) as output:
        # -S -E and no site: an interpreter ignores SIGPIPE itself, so a shell asks.
        child = spawn(["cat", "/proc/self/status"], How(how.limit, how.stdin, writer, None, 0, how.session))
        os.close(writer)
        text = output.read()
    assert child.wait(20) == 0
    fields = dict(line.split(":", 1) for line in text.splitlines())
    return [fields[name].strip() for name in ("SigBlk", "SigIgn")]


def test_signals_are_as_they_were() -> None:
    """No signal is blocked or ignored in the child, though an interpreter ignores some and we block others."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        # The C library keeps 32 and 33 to itself: whoever started us may have them ignored, and nobody can change it.
        blocked, ignored = (int(mask, 16) & ~(0b11 << 31) for mask in told(How(100)))
        assert blocked == 0
        assert ignored == _inherited()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _inherited() -> int:
    """What whoever started us has us ignore, as nohup and background jobs of a shell do: without what Python does."""
    (line,) = (one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("SigIgn"))
    own = (1 << (number - 1) for number in (signal.SIGPIPE, signal.SIGXFSZ))
    return int(line.split()[1], 16) & ~(0b11 << 31) & ~sum(own)


def test_limits_and_session() -> None:
    """It has the descriptors that it was to have, a session of its own if told so, and none of our files."""
    reader, writer = os.pipe()
    child = spawn([sys.executable, "-S", "-c", TELL], How(123, subprocess.DEVNULL, writer, session=True))
    os.close(writer)
    with os.fdopen(reader) as output:
        limit, session, files, *_ = output.read().split()
    assert child.wait(20) == 0
    assert (limit, session, files) == ("123", "True", "4")
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] != 123


def test_a_command_that_cannot_run(tmp_path: Path) -> None:
    """As in a shell: 127 if it is not there, 126 if it is no program; the reason is told."""
    plain = tmp_path / "plain"
    plain.write_text("text")
    with (tmp_path / "err").open("w") as errors:
        for command, status in ((str(tmp_path / "none"), NOT_FOUND), (str(plain), NOT_EXECUTABLE)):
            assert spawn([command], How(100, stderr=errors.fileno())).wait(20) == status
    assert "none: No such file or directory; expected a command" in (tmp_path / "err").read_text()


def test_the_child_of_a_killed_parent() -> None:
    """It gets its signal, whatever killed us."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, cwd=ROOT) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        wait_until(lambda: Path(f"/proc/{pid}/comm").read_text().strip() == "sleep", "it runs", 20)
        parent.kill()
        gone(pid)
