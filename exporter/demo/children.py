"""The processes that the demo starts: each in a process group of its own, output in files, ended in the end.

It knows nothing of what they do. Invariant: after `stop` none of the started process groups has a member
left.
"""

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

GRACE_SECONDS = 5.0
LAST_LINES = 15


class ChildDied(Exception):
    """A process ended that should be running; the message holds its last lines of output."""


@dataclass(frozen=True, slots=True, eq=False)
class Child:
    """One started process; `log` holds its standard output and standard error."""

    name: str
    process: asyncio.subprocess.Process
    log: Path

    def last_lines(self) -> str:
        """The end of its output, indented; at most LAST_LINES lines."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:]
        return "\n".join(f"    {line}" for line in lines) or "    (it printed nothing)"

    async def watch(self) -> None:
        """Wait until it ends, and raise ChildDied."""
        await self.process.wait()
        raise self.died()

    def died(self) -> ChildDied:
        """The exception that reports its end."""
        return ChildDied(
            f"{self.name} ended with status {self.process.returncode}; its last lines:\n{self.last_lines()}"
        )


class Children:
    """Starts, watches and stops processes; their output goes to files in `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._started: list[Child] = []

    @property
    def running(self) -> tuple[Child, ...]:
        """Those that were started and not yet finished or stopped."""
        return tuple(self._started)

    async def start(self, name: str, command: Sequence[str]) -> Child:
        """Start `command` in its own process group. Raises OSError if it cannot be executed."""
        log = self.directory / f"{name.replace(' ', '-')}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        child = Child(name, process, log)
        self._started.append(child)
        return child

    async def finish(self, name: str, command: Sequence[str], timeout_seconds: float) -> None:
        """Run `command` to its end. Raises ChildDied for a status other than 0, TimeoutError."""
        child = await self.start(name, command)
        try:
            async with asyncio.timeout(timeout_seconds):
                await child.process.wait()
        finally:
            _signal(child, signal.SIGKILL)
        self._started.remove(child)
        if child.process.returncode:
            raise child.died()

    async def stop(self) -> None:
        """Ask all to end, last started first, and kill what is left after the grace time. Safe twice."""
        started = [*reversed(self._started)]
        try:
            for child in started:
                _signal(child, signal.SIGTERM)
            async with asyncio.timeout(GRACE_SECONDS):
                for child in started:
                    await child.process.wait()
        except TimeoutError:
            pass
        finally:
            # The group may outlive its leader, so it is killed even if the leader has ended.
            for child in started:
                _signal(child, signal.SIGKILL)
            self._started.clear()


def _signal(child: Child, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.process.pid, number)
