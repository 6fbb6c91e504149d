"""The model server as a child of the root: started, started again, told to stop, and explained when it ends.

Nothing here waits for the model or for whoever reads its output. What its death leaves behind, workers that hold its
port or its memory, is killed before it is started again.
"""

import asyncio
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from exporter.host.oom import OomKills
from exporter.records.model_process import Page
from exporter.supervise import session, starting
from exporter.supervise.output import Output
from exporter.supervise.policy import Policy
from exporter.supervise.signals import welcome
from exporter.supervise.spawn import How, spawn

log = logging.getLogger("modeltap")
_COLLECT_SECONDS: Final = 0.05
_KILLED_SECONDS: Final = 1.0
_LOOK_SECONDS, _LOOK_SHARE = (
    0.02,
    0.05,
)  # how often the start is looked at, and the most of our time that it may take
_ASK_SECONDS, _ASK_LAST_SECONDS = 0.1, 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run and how to end it; `descriptors` is the soft limit that it would have had without us."""

    command: Sequence[str]
    place: starting.Place
    descriptors: int
    stop: signal.Signals = signal.SIGTERM
    death: signal.Signals = signal.SIGTERM


class Model:
    """`ended(status)` is called once, if it ends and is not started again."""

    def __init__(
        self,
        plan: Plan,
        policy: Policy,
        page: Page,
        output: Output,
        ended: Callable[[int], None],
    ) -> None:
        self._plan = plan
        self._policy = policy
        self._page = page
        self._output = output
        self._ended = ended
        self._oom = OomKills()
        self._oom_seen = False
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._stopping = False
        self._timer: asyncio.TimerHandle | None = None
        self._spawned = asyncio.Event()
        self._before: frozenset[str] = frozenset()  # sockets that were there before the start
        self._over = asyncio.Event()

    @property
    def pid(self) -> int:
        """0 while none runs."""
        return self._process.pid if self._process is not None else 0

    def start(self) -> None:
        """Spawn now; what cannot be started is one that failed."""
        self._timer = None
        plan, (out, err) = self._plan, self._output.ends
        self._before = starting.listening(plan.place)
        self._started = time.monotonic()
        try:
            how = How(plan.descriptors, subprocess.DEVNULL, out, err, plan.death, session=True)
            process = spawn(plan.command, how)
        except OSError as error:  # no process, no memory or no descriptor left
            log.error("the model cannot be started: %s", error)
            self._again("spawn", 1)
            return
        self._process = process
        self._page.started(process.pid)
        log.info("the model was started (pid %d): %s", process.pid, " ".join(plan.command))
        self._spawned.set()
        self._await_end(process, asyncio.get_running_loop())

    def _await_end(self, process: subprocess.Popen[bytes], loop: asyncio.AbstractEventLoop) -> None:
        try:
            fd = os.pidfd_open(process.pid)
        except OSError:  # an old kernel, or one that is not Linux underneath
            self._poll(process, loop)
            return

        def readable() -> None:
            loop.remove_reader(fd)
            os.close(fd)
            self._poll(process, loop)

        loop.add_reader(fd, readable)

    def _poll(self, process: subprocess.Popen[bytes], loop: asyncio.AbstractEventLoop) -> None:
        status = process.poll()
        if status is None:
            loop.call_later(_COLLECT_SECONDS, self._poll, process, loop)
        else:
            self._gone(status)

    # ---------------------------------------------------------------- the start

    async def watch(self) -> None:
        """Measure each start, for life: from the spawn to listening, and on to ready."""
        while True:
            await self._spawned.wait()
            self._spawned.clear()
            pid = self.pid
            if await self._listens(pid):
                self._page.reached("listening", time.monotonic() - self._started)
                if await self._answers(pid):
                    seconds = time.monotonic() - self._started
                    self._page.reached("ready", seconds)
                    log.info("the model is ready (pid %d), %.2f s after its start", pid, seconds)

    async def _listens(self, pid: int) -> bool:
        """False if the process ended before."""
        while self.pid == pid:
            looked = time.monotonic()
            if starting.listening(self._plan.place) - self._before:
                return True
            spent = time.monotonic() - looked
            await asyncio.sleep(max(_LOOK_SECONDS, spent / _LOOK_SHARE))
        return False

    async def _answers(self, pid: int) -> bool:
        """False if the process ended before."""
        delay = _ASK_SECONDS
        while self.pid == pid:
            if await starting.answers(self._plan.place) and self.pid == pid:
                return True
            await asyncio.sleep(delay)
            delay = min(delay * 1.2, _ASK_LAST_SECONDS)
        return False

    # ---------------------------------------------------------------- the end

    def tick(self) -> None:
        """Once a second: an OOM kill that was not the model's own is not held against it later."""
        self._oom_seen = self._oom.look()

    def _gone(self, status: int) -> None:
        assert self._process is not None
        pid, self._process = self._process.pid, None
        if left := session.kill(pid):
            log.warning("the model left %d processes behind: they are killed", left)
        # Killed itself, or as the child of a shell that passes it on.
        oom = status in (-signal.SIGKILL, 128 + signal.SIGKILL) and (self._oom.look() or self._oom_seen)
        self._page.exited(status, oom)
        if self._stopping:
            log.info("the model %s", ending(status, oom))
            self._over.set()
            return
        log.error(
            "the model %s, %.1f s after its start", ending(status, oom), time.monotonic() - self._started
        )
        self._again("oom" if oom else "signal" if status < 0 else "exit", status)

    def _again(self, reason: str, status: int) -> None:
        delay = self._policy.delay(time.monotonic() - self._started, failed=status != 0)
        if delay is None:
            log.error("the model is not started again")
            self._ended(status if status >= 0 else 128 - status)
            return
        self._page.restarted(reason)
        log.info("the model is started again in %.1f s", delay)
        self._timer = asyncio.get_running_loop().call_later(delay, self.start)

    def forward(self, number: int) -> None:
        """Pass a signal on, if the model handles it."""
        if not self.pid:
            return
        if welcome(self.pid, number):
            self._send(number)
        else:
            log.info(
                "%s is not passed on: the model does not handle it, it would end it",
                signal.Signals(number).name,
            )

    def _send(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    async def stop(self, seconds: float) -> None:
        """Ask it to end, make it end after so long; then its output is copied to its end. Safe twice."""
        self._stopping = True
        if self._timer is not None:
            self._timer.cancel()
        if self.pid:
            self._send(self._plan.stop)
            self._send(signal.SIGCONT)  # one that is stopped could not hear it
            try:
                await asyncio.wait_for(self._over.wait(), seconds)
            except TimeoutError:
                log.warning("the model did not end within %.1f s: it is killed", seconds)
                self.kill()
                with suppress(TimeoutError):  # the kernel may not let go of it
                    await asyncio.wait_for(self._over.wait(), _KILLED_SECONDS)
        await asyncio.to_thread(self._output.finish, _KILLED_SECONDS)

    def kill(self) -> None:
        """The process and its session, at once."""
        if self.pid:
            self._send(signal.SIGKILL)
            session.kill(self.pid)


def ending(status: int, oom: bool) -> str:
    """In words."""
    if oom:
        return "was killed for want of memory"
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
