"""How often the kernel killed for want of memory where we live; tells an OOM kill from any other SIGKILL.

The counter is the control group's (v2 `memory.events`, v1 `memory.oom_control`), or the whole system's (`/proc/vmstat`)
where the group has none. The kernel counts before the victim is dead, so a count read after a death has it.
"""

from typing import Final

from exporter.host.files import Files, table
from exporter.host.own import own

_KEY: Final = "oom_kill"


class OomKills:
    """Of this process's group."""

    def __init__(self, files: Files | None = None) -> None:
        self._files = files or Files()
        self._seen = self.count()

    def count(self) -> int | None:
        """Kills so far; None where nothing tells."""
        group = own(self._files, "memory")  # looked for each time: a process may be moved
        name = "memory.events" if group is not None and group.v2 else "memory.oom_control"
        told = {} if group is None else group.table(name)
        return told.get(_KEY, table(self._files.text("proc/vmstat")).get(_KEY))

    def look(self) -> bool:
        """Whether there was a kill since the last look."""
        before, self._seen = self._seen, self.count()
        return before is not None and self._seen is not None and self._seen > before
