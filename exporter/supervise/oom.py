"""How often the kernel killed for want of memory where we live; tells an OOM kill from any other SIGKILL.

The counter is the cgroup's (v2 `memory.events`, v1 `memory.oom_control`), or the whole system's (`/proc/vmstat`) where
the cgroup has none. The kernel counts before the victim is dead, so a count read after a death has it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

_KEY: Final = "oom_kill "


class OomKills:
    """`proc` and `cgroups` are the roots of the two file systems."""

    def __init__(self, proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> None:
        self._proc = proc
        self._cgroups = cgroups
        self._seen = self.count()

    def count(self) -> int | None:
        """Kills so far; None where nothing tells."""
        for file in self._files():
            try:
                lines = file.read_text().splitlines()
            except (OSError, UnicodeDecodeError):
                continue
            for line in lines:
                if line.startswith(_KEY) and line.removeprefix(_KEY).strip().isdecimal():
                    return int(line.removeprefix(_KEY))
        return None

    def look(self) -> bool:
        """Whether there was a kill since the last look."""
        before, self._seen = self._seen, self.count()
        return before is not None and self._seen is not None and self._seen > before

    def _files(self) -> Iterator[Path]:
        try:
            lines = (self._proc / "self/cgroup").read_text().splitlines()
        except (OSError, UnicodeDecodeError):
            lines = []
        for line in lines:
            _, _, rest = line.partition(":")
            controllers, _, path = rest.partition(":")
            # A container sees its own cgroup as the root of the tree.
            places = (path.lstrip("/"), "")
            if "memory" in controllers.split(","):
                for place in places:
                    yield self._cgroups / "memory" / place / "memory.oom_control"
            elif not controllers:
                for place in places:
                    yield self._cgroups / place / "memory.events"
        yield self._proc / "vmstat"
