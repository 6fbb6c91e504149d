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
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING

import msgspec
import uvloop

from exporter.children import settled
from exporter.parts.wrapping import Wrapped
from exporter.processes.signals import reload_asked
from exporter.processes.sockets import Sockets, address
from exporter.processes.suspects import OFF_SECONDS, Suspects
from exporter.processes.tree import CHECK_SECONDS, Child, Keeper, Progress, cpu_seconds, reap
from exporter.proxy.health import Health, HealthState
from exporter.proxy.settings import Settings
from exporter.proxy.worker import Worker
from exporter.records import status, totals
from exporter.settings.config import Config, ConfigError, listeners, proxy_settings
from exporter.settings.reload import Reload, reload
from exporter.supervise.signals import PASSED

if TYPE_CHECKING:
    from exporter.supervise.model import Model

log = logging.getLogger("modeltap")
# What the end of telemetry may take out of the grace: workers that leave, then the last flush.
_LEAVE_SECONDS, _FLUSH_SECONDS = 0.5, 2.0
_WORKER_LAST_DELAY = 1.0  # clients wait in the listener of a worker that is gone
_LINK_AGAIN_SECONDS = 1.0


class Root:
    """One per sidecar; `read` gives the configuration anew, or raises ConfigError. `run` returns the exit status.

    With a wrapped model the root is a supervisor, as with several workers: it reads what the model writes.
    """

    def __init__(
        self,
        config: Config,
        sockets: Sockets,
        read: Callable[[], Config],
        wrapped: Wrapped = Wrapped(),  # noqa: B008 - a frozen value
    ) -> None:
        self.config = config
        self.health = HealthState(drain=self._asked_to_drain)
        self._sockets = sockets
        self._read = read
        self._mode = proxy_settings(config).mode
        self._wrapped = wrapped
        self._settings = self._planned()
        layout = totals.Layout(config.latency_buckets)
        self._totals = [totals.create(layout) for _ in range(config.workers)]
        self._counts = [totals.Reader(fd, layout) for fd in self._totals]
        self._progress = Progress()
        self._status_fd = status.create()
        self._status = status.Status(self._status_fd)
        self._suspects = Suspects()
        self._off: tuple[str, ...] = ()
        self._worker: Worker | None = None  # where the root is the data plane itself
        self._keepers: list[Keeper] = []  # where it is not: one per worker
        self._analysis: Keeper | None = None
        self._told = asyncio.Event()  # to drain
        self._leaving = asyncio.Event()  # to end after that
        self._drain_began = self._drained = 0.0
        self._reload_due = self._reloading = False
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._exit_status = 0
        self._page_fd = wrapped.page()
        self._model = wrapped.model(config, self._page_fd, self._model_ended)

    def _planned(self) -> Settings:
        """The data plane's part of the configuration: of one process, and in the mode that it was started in."""
        config = self.config
        # Telemetry is flushed last, and the grace is for all of it.
        self._last = min(_LEAVE_SECONDS + _FLUSH_SECONDS, config.grace / 2)
        most = config.max_connections
        return msgspec.structs.replace(
            proxy_settings(config),
            mode=self._mode,
            grace=config.grace - self._last - self._wrapped.stop_seconds(config),
            max_connections=max(1, most // config.workers) if most else 0,
        )

    async def run(self) -> int:
        """Serve until told to stop; 0 after a clean drain, the model's own status if it ended for good."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        loop.add_signal_handler(signal.SIGHUP, self._asked_to_reload)
        if self._model is not None:
            self._start_model(self._model, loop)
        await loop.create_server(lambda: Health(self.health), sock=self._sockets.health)
        if self.config.workers == 1 and self._model is None:
            self._worker = Worker(self._settings, self._totals[0], loop)
            await self._worker.start(list(self._sockets.listen[0]))
        else:
            self._keepers = [self._worker_keeper(index, loop) for index in range(self.config.workers)]
        for keeper in self._keepers:
            keeper.start()
        self._analysis = Keeper("analysis", loop, self._prepare_analysis, self._analysis_died)
        self._analysis.start()
        self._tick()
        self.health.ready = True
        self._tell_addresses()
        if reload_asked():
            self._asked_to_reload()
        await self._told.wait()
        await self._drain()
        # A native sidecar that ended before it is told to would be started again.
        await self._leaving.wait()
        await self._leave()
        self._end(loop)
        return self._exit_status

    def _start_model(self, model: "Model", loop: asyncio.AbstractEventLoop) -> None:
        """First of all: it takes longest."""
        for number in PASSED:
            loop.add_signal_handler(number, self._pass_on, number)
        model.start()
        self._begin(model.watch())

    def _pass_on(self, number: int) -> None:
        if number == signal.SIGHUP:
            self._asked_to_reload()
        if self._model is not None:
            self._model.forward(number)

    def _model_ended(self, status: int) -> None:
        """There is nothing left to stand in front of."""
        self._exit_status = status
        self._leaving.set()
        self._asked_to_drain()

    def _tell_addresses(self) -> None:
        main, *others = zip(self._sockets.listen[0], listeners(self.config), strict=True)
        log.info(
            "listening on %s, metrics on http://%s/metrics, health on %s, upstream %s",
            *(address(main[0]), address(self._sockets.admin), address(self._sockets.health), main[1][1]),
        )
        for sock, (_, upstream) in others:
            log.info("listening on %s too, upstream %s", address(sock), upstream)

    def _tick(self) -> None:
        """Once a second, for life: whoever hangs is killed, whoever was left to us is reaped."""
        self._timer = asyncio.get_running_loop().call_later(CHECK_SECONDS, self._tick)
        keepers = self._children()
        for keeper in keepers:
            keeper.check()
        self._check_progress()
        if self._model is not None:
            self._model.tick()
        if os.getpid() == 1:
            own = {keeper.child.process.pid for keeper in keepers if keeper.child is not None}
            reap(own | ({self._model.pid} if self._model is not None else set()))
        self._tell_dialects(time.monotonic())

    def _check_progress(self) -> None:
        """A thread of the analysis may work for ever on one body while its loop beats."""
        child = self._analysis.child if self._analysis is not None else None
        if child is None:
            return
        done = sum(count.scalar("acknowledged") for count in self._counts)
        waiting = any(count.scalar("unacknowledged") for count in self._counts)
        if self._progress.stuck(child.process.pid, done, waiting, cpu_seconds(child.process.pid)):
            child.kill("hung")

    # ---------------------------------------------------------------- reload

    def _asked_to_reload(self) -> None:
        self._reload_due = True
        if not self._reloading:
            self._reloading = True
            self._begin(self._reload())

    async def _reload(self) -> None:
        """Read the configuration again, off the loop; what is wrong with it changes nothing."""
        while self._reload_due:
            self._reload_due = False
            try:
                found = await asyncio.to_thread(self._read)
            except ConfigError as error:
                self._status.reloaded("config", "failure")
                for problem in error.problems:
                    log.error("reload refused, all settings stay: %s", problem)
            else:
                self._apply(reload(self.config, found, self._mode))
        self._reloading = False

    def _apply(self, found: Reload) -> None:
        self._status.reloaded("config", "failure" if found.refused else "success")
        for line in found.refused:
            log.warning("reload: %s", line)
        for line in found.changed or ("nothing",):
            log.info("reloaded: %s", line)
        self.config = found.config
        self._settings = self._planned()
        logging.getLogger().setLevel(self.config.log_level.upper())
        if self._worker is not None:
            self._worker.configure(self._settings)
        settings = {"kind": "configure", "settings": msgspec.to_builtins(self._settings)}
        level = {"kind": "log_level", "level": self.config.log_level}
        protocols = {"kind": "protocols", "config": msgspec.to_builtins(self.config)}
        for keeper in self._children():
            if keeper.child is None:
                continue  # the next one starts with the new settings
            news = protocols if keeper is self._analysis else settings
            sent = keeper.child.send(level) and keeper.child.send(news)
            if not sent:
                log.error("reload: the %s could not be told", keeper.role)

    # ---------------------------------------------------------------- the end

    def _asked_to_drain(self) -> None:
        """Not ready from now on. Safe twice."""
        self.health.draining = True
        self._told.set()

    def _signalled(self) -> None:
        if self._leaving.is_set():
            log.warning("told twice to stop: not waiting for what is under way")
            self.health.finish()
            self._sockets.remove_files()
            if self._model is not None:
                self._model.kill()
            # One turn of the loop, so that those who wait for the drain read their answer.
            asyncio.get_running_loop().call_later(0.01, os._exit, 0)
        self._leaving.set()
        self._asked_to_drain()

    async def _drain(self) -> None:
        """Stop accepting and let exchanges end, within the grace."""
        log.info("draining")
        self._drain_began = time.monotonic()
        if self._worker is not None:
            await self._worker.drain()
            await settled(self._worker)
        else:
            # A listener stays open, and is given clients, as long as anybody holds it.
            for row in self._sockets.listen:
                for sock in row:
                    sock.close()
        await asyncio.gather(
            *(keeper.stop(self._settings.grace + self._leave_share()) for keeper in self._keepers)
        )
        self._sockets.remove_files()
        self._drained = time.monotonic()
        self.health.finish()
        log.info("drained")

    def _leave_share(self) -> float:
        """Seconds of the last ones that are the workers'."""
        return self._last * _LEAVE_SECONDS / (_LEAVE_SECONDS + _FLUSH_SECONDS)

    async def _leave(self) -> None:
        """The model ends, if it is ours; last of all telemetry is flushed, and before that a scraper may come again."""
        if self._model is not None:
            left = self._drain_began + self.config.grace - time.monotonic() - self._last
            await self._model.stop(max(self._wrapped.stop_seconds(self.config), left))
        if self._analysis is not None:
            left = self._drain_began + self.config.grace - time.monotonic()
            seconds = self._last - self._leave_share()
            if self._analysis.responsive():
                # It ends as soon as it can; the rest of the grace is for a machine on which that takes a while.
                self._let_scrape(min(self.config.final_scrape_wait, left - _FLUSH_SECONDS))
                seconds = max(seconds, left)
            await self._analysis.stop(seconds)
        if self._worker is not None:
            self._worker.stop()

    def _let_scrape(self, seconds: float) -> None:
        child = self._analysis.child if self._analysis is not None else None
        if child is not None and seconds > 0:
            child.send({"kind": "last_scrape", "since": self._drained, "seconds": seconds})

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        """From here to the exit another signal changes nothing, least of all the exit status."""
        if self._timer is not None:
            self._timer.cancel()
        for number in (signal.SIGTERM, signal.SIGINT, *PASSED):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)

    # ---------------------------------------------------------------- children

    def _children(self) -> list[Keeper]:
        return [*self._keepers, *([self._analysis] if self._analysis is not None else [])]

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _prepare_analysis(self, child: Child) -> bool:
        self._off = self._suspects.off(time.monotonic())
        message = {
            "kind": "start",
            "config": msgspec.to_builtins(self.config),
            "dialects_off": list(self._off),
            "wrapped": self._model is not None,
        }
        pages = [self._page_fd] if self._model is not None else []
        sent = child.send(message, [self._sockets.admin.fileno(), self._status_fd, *self._totals, *pages])
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
            listeners = [sock.fileno() for sock in self._sockets.listen[index]]
            sent = child.send(message, [self._totals[index], *listeners])
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
            self._begin(self._worker.attach(ours))
        elif worker is not None:
            worker.send({"kind": "link"}, [ours.fileno()])
            ours.close()


def run(config: Config, sockets: Sockets, read: Callable[[], Config], wrapped: Wrapped) -> int:
    """Run the sidecar on bound sockets; its exit status. `read` reads the configuration again, for a reload."""

    async def main() -> int:
        return await Root(config, sockets, read, wrapped).run()

    return uvloop.run(main())
