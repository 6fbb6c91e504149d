"""All that runs in a child's session: what a crash leaves behind, workers that hold its port or its memory.

A process that made a session of its own wanted to be left alone, and is.
"""

import os
import signal
from contextlib import suppress
from pathlib import Path


def members(session: int, proc: Path = Path("/proc")) -> list[int]:
    """Processes of that session; zombies are none."""
    found = []
    for entry in proc.iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            # Behind the name, which may hold anything: state, parent, group, session.
            fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[:4]
        except OSError:
            continue  # it ended just now
        if len(fields) == 4 and fields[3] == str(session) and fields[0] not in "ZX":
            found.append(int(entry.name))
    return found


def kill(session: int, proc: Path = Path("/proc")) -> int:
    """SIGKILL to each of them; how many there were."""
    found = members(session, proc)
    for pid in found:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    return len(found)
