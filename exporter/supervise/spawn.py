"""Starts a command through `launch.py`; knows its pid and its status, nothing else of it."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_LAUNCH = str(Path(__file__).with_name("launch.py"))


@dataclass(frozen=True, slots=True)
class How:
    """What the child gets. A standard stream that is None is ours.

    `limit` is its soft limit on descriptors, `death` the signal that it gets when we die, `session` whether it gets one
    of its own, without the terminal; `keep` are further descriptors that it inherits.
    """

    limit: int
    stdin: int | None = None
    stdout: int | None = None
    stderr: int | None = None
    death: int = 0
    session: bool = False
    keep: tuple[int, ...] = ()


def spawn(command: Sequence[str], how: How) -> subprocess.Popen[bytes]:
    """OSError if no process can be made. From the main thread only: the kernel sends `death` when a thread ends."""
    launch = [sys.executable, "-I", "-S", _LAUNCH, str(how.death), str(os.getpid()), str(how.limit)]
    return subprocess.Popen(
        [*launch, *command],
        stdin=how.stdin,
        stdout=how.stdout,
        stderr=how.stderr,
        start_new_session=how.session,
        pass_fds=how.keep,
    )
