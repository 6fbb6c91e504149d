"""The root process: serves traffic itself or supervises workers, keeps the analysis alive, answers health probes.

It waits for nobody: neither the model nor the analysis has to be there for it to be ready. Nothing that befalls the
analysis ends it.
"""

import asyncio
import logging
import os
import signal
import socket
import time

import msgspec
import uvloop

from exporter.children import settled
from exporter.config import Config, proxy_settings
from exporter.proxy.health import Health, HealthState
from exporter.proxy.worker import Worker
from exporter.records import status, totals
from exporter.sockets import Sockets, address
from exporter.suspects import OFF_SECONDS, Suspects
from exporter.tree import CHECK_SECONDS, Child, Keeper, reap

log = logging.getLogger("modeltap")
# What the end of telemetry may take out of the grace: workers that leave, then the last flush.
_LEAVE_SECONDS, _FLUSH_SECONDS = 0.5, 2.0
_WORKER_LAST_DELAY = 1.0  # clients wait in the listener of a worker that is gone
_LINK_AGAIN_SECONDS = 1.0


class Root:
    """One per sidecar. `run` returns the exit status."""

    def __init__(self, config: Config, sockets: Sockets) -> None:
        self.config = config
        self.health = HealthState()
        self._sockets = sockets
        # Telemetry is flushed last, and the grace is for all of it.
        self._last = min(_LEAVE_SECONDS + _FLUSH_SECONDS, config.grace / 2)
        self._settings = msgspec.structs.replace(proxy_settings(config), grace=config.grace - self._last)
        layout = totals.Layout(config.latency_buckets)
        self._totals = [totals.create(layout) for _ in range(config.workers)]
        self._status_fd = status.create()
        self._status = status.Status(self._status_fd)
        self._suspects = Suspects()
        self._off: tuple[str, ...] = ()
        self._worker: Worker | None = None  # where the root is the data plane itself
        self._keepers: list[Keeper] = []  # where it is not: one per worker
        self._analysis: Keeper | None = None
        self._told = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        """Serve until told to stop; 0 after a clean drain."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        await loop.create_server(lambda: Health(self.health), sock=self._sockets.health)
        if self.config.workers == 1:
            self._worker = Worker(self._settings, self._totals[0], loop)
            await self._worker.start(list(self._sockets.listen))
        else:
            self._keepers = [self._worker_keeper(index, loop) for index in range(self.config.workers)]
        for keeper in self._keepers:
            keeper.start()
        self._analysis = Keeper("analysis", loop, self._prepare_analysis, self._analysis_died)
        self._analysis.start()
        self._tick()
        self.health.ready = True
        log.info(
            "listening on %s, metrics on http://%s/metrics, health on %s, upstream %s",
            address(self._sockets.listen[0]),
            *(address(self._sockets.admin), address(self._sockets.health), self.config.upstream),
        )
        await self._told.wait()
        await self._drain()
        self._end(loop)
        return 0

    def _tick(self) -> None:
        """Once a second, for life: whoever hangs is killed, whoever was left to us is reaped."""
        self._timer = asyncio.get_running_loop().call_later(CHECK_SECONDS, self._tick)
        keepers = [*self._keepers, *([self._analysis] if self._analysis is not None else [])]
        for keeper in keepers:
            keeper.check()
        if os.getpid() == 1:
            reap({keeper.child.process.pid for keeper in keepers if keeper.child is not None})
        self._tell_dialects(time.monotonic())

    # ---------------------------------------------------------------- the end

    def _signalled(self) -> None:
        if self._told.is_set():
            log.warning("told twice to stop: not waiting for what is under way")
            self.health.finish()
            # One turn of the loop, so that those who wait for the drain read their answer.
            asyncio.get_running_loop().call_later(0.01, os._exit, 0)
        self._told.set()

    async def _drain(self) -> None:
        """Stop accepting, let exchanges end, then flush telemetry last; all within the grace."""
        log.info("draining")
        self.health.draining = True
        leave = self._last * _LEAVE_SECONDS / (_LEAVE_SECONDS + _FLUSH_SECONDS)
        if self._worker is not None:
            await self._worker.drain()
            await settled(self._worker)
        else:
            # A listener stays open, and is given clients, as long as anybody holds it.
            for sock in self._sockets.listen:
                sock.close()
        await asyncio.gather(*(keeper.stop(self._settings.grace + leave) for keeper in self._keepers))
        self.health.finish()
        if self._analysis is not None:
            await self._analysis.stop(self._last - leave)
        if self._worker is not None:
            self._worker.stop()

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        """From here to the exit another signal changes nothing, least of all the exit status."""
        if self._timer is not None:
            self._timer.cancel()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)

    # ---------------------------------------------------------------- children

    def _prepare_analysis(self, child: Child) -> bool:
        self._off = self._suspects.off(time.monotonic())
        message = {
            "kind": "start",
            "config": msgspec.to_builtins(self.config),
            "dialects_off": list(self._off),
        }
        sent = child.send(message, [self._sockets.admin.fileno(), self._status_fd, *self._totals])
        for index in range(self.config.workers):
            self._link(index)
        return sent

    def _analysis_died(self, reason: str) -> None:
        protocol, path = self._status.in_hand()
        work = f"with {protocol} {path!a} in hand" if protocol else "with nothing in hand"
        log.error("the analysis ended (%s) %s; it is started again", reason, work)
        self._status.restarted("analysis", reason)
        self._status.take("", "")
        if protocol and self._suspects.died(protocol, time.monotonic()):
            log.error("decoding of %s is switched off for %d s", protocol, OFF_SECONDS)

    def _tell_dialects(self, now: float) -> None:
        """A dialect whose time is over is decoded again, by the analysis that runs now."""
        off = self._suspects.off(now)
        child = self._analysis.child if self._analysis is not None else None
        if off != self._off and child is not None:
            self._off = off
            child.send({"kind": "dialects", "off": list(off)})

    def _worker_keeper(self, index: int, loop: asyncio.AbstractEventLoop) -> Keeper:
        def prepare(child: Child) -> bool:
            settings = msgspec.to_builtins(self._settings)
            message = {"kind": "start", "settings": settings, "log_level": self.config.log_level}
            sent = child.send(message, [self._totals[index], self._sockets.listen[index].fileno()])
            self._link(index)
            return sent

        def died(reason: str) -> None:
            log.error("worker %d ended (%s); it is started again", index, reason)
            self._status.restarted("data_plane", reason)

        return Keeper("worker", loop, prepare, died, _WORKER_LAST_DELAY)

    def _link(self, index: int) -> None:
        """Connect a worker and the analysis anew, if both are there."""
        analysis = self._analysis.child if self._analysis is not None else None
        worker = self._keepers[index].child if self._keepers else None
        if analysis is None or (worker is None and self._worker is None):
            return
        loop = asyncio.get_running_loop()
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:  # no descriptor left: exchanges go uncounted only in what bodies tell
            log.error("no channel to the analysis: %s", error.strerror)
            loop.call_later(_LINK_AGAIN_SECONDS, self._link, index)
            return
        ours.setblocking(False)
        theirs.setblocking(False)
        analysis.send({"kind": "link", "worker": index}, [theirs.fileno()])
        theirs.close()
        if self._worker is not None:
            task = loop.create_task(self._worker.attach(ours))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif worker is not None:
            worker.send({"kind": "link"}, [ours.fileno()])
            ours.close()


def run(config: Config, sockets: Sockets) -> int:
    """Run the sidecar on bound sockets; its exit status."""

    async def main() -> int:
        return await Root(config, sockets).run()

    return uvloop.run(main())
