"""The root process: binds every socket first, serves traffic itself or supervises workers, keeps the analysis alive.

It waits for nobody: neither the model nor the analysis has to be there for it to be ready.
"""

import asyncio
import errno
import logging
import os
import signal
import socket
import time

import msgspec
import uvloop

from exporter.config import Config, proxy_settings, split_address
from exporter.proxy.health import Health, HealthState
from exporter.proxy.worker import Worker
from exporter.records import status, totals
from exporter.tree import Child, Keeper

log = logging.getLogger("modeltap")
DIALECT_DEATHS, DIALECT_OFF_SECONDS = 3, 600.0
_STOP_SECONDS = 2.0


class BindError(Exception):
    """A socket cannot be bound; the text says which and why."""


def bind(address: str, what: str, reuse_port: bool = False) -> socket.socket:
    """A bound, listening, non-blocking socket; dual stack where the host is a wildcard and the kernel has IPv6."""
    host, port = split_address(address)
    wildcard = host in ("", "::")
    family = socket.AF_INET6 if wildcard or ":" in host else socket.AF_INET
    try:
        if family == socket.AF_INET:
            host = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)[0][4][0]  # type: ignore[assignment]
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if wildcard else 1)
        sock.bind((host or "::", port))
        sock.listen(1024)
    except OSError as error:
        if wildcard and error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            return bind(f"0.0.0.0:{port}", what, reuse_port)
        raise BindError(f"--{what} {address}: cannot be bound: {error.strerror or error}") from error
    sock.setblocking(False)
    return sock


class Root:
    """One per sidecar. `run` returns the exit status."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.settings = proxy_settings(config)
        shared = config.workers > 1
        first = bind(config.listen, "listen", shared)
        # Port 0 is chosen once; the other workers share it.
        self._listen = [first]
        for _ in range(config.workers - 1):
            host, _port = split_address(config.listen)
            bound = f"[{host}]" if ":" in host else host
            self._listen.append(bind(f"{bound}:{first.getsockname()[1]}", "listen", True))
        self._admin = bind(config.admin, "admin")
        self._health = bind(config.health, "health")
        layout = totals.Layout(config.latency_buckets)
        self._totals = [totals.create(layout) for _ in range(config.workers)]
        self._status_fd = status.create()
        self._status = status.Status(self._status_fd)
        self.health = HealthState()
        self._worker: Worker | None = None
        self._keepers: list[Keeper] = []
        self._analysis: Keeper | None = None
        self._deaths: dict[str, int] = {}
        self._off: dict[str, float] = {}
        self._signals = 0
        self._told = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        """Serve until told to stop; 0 after a clean drain."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        await loop.create_server(lambda: Health(self.health), sock=self._health)
        if self.config.workers == 1:
            self._worker = Worker(self.settings, self._totals[0], loop)
            await self._worker.start(self._listen)
        self._analysis = Keeper("analysis", loop, self._prepare_analysis, self._analysis_died)
        for index in range(self.config.workers if self.config.workers > 1 else 0):
            self._keepers.append(self._worker_keeper(index, loop))
        self._analysis.start()
        for keeper in self._keepers:
            keeper.start()
        self.health.ready = True
        log.info(
            "listening on %s, metrics on http://%s/metrics, health on %s, upstream %s",
            *(_address(self._listen[0]), _address(self._admin), _address(self._health), self.config.upstream),
        )
        await self._watch()
        await self._drain()
        return 0

    async def _watch(self) -> None:
        while not self._told.is_set():
            for keeper in (*self._keepers, self._analysis):
                if keeper is not None:
                    keeper.check()
            if os.getpid() == 1:
                _reap(
                    {keeper.child.process.pid for keeper in self._all_keepers() if keeper.child is not None}
                )
            try:
                await asyncio.wait_for(self._told.wait(), 1.0)
            except TimeoutError:
                continue

    def _all_keepers(self) -> list[Keeper]:
        return [*self._keepers, *([self._analysis] if self._analysis is not None else [])]

    def _signalled(self) -> None:
        self._signals += 1
        if self._signals > 1:
            log.warning("told twice to stop: not waiting for what is under way")
            self.health.finish()
            os._exit(0)
        self._told.set()

    async def _drain(self) -> None:
        """Stop accepting, let exchanges end, then flush telemetry last."""
        log.info("draining")
        self.health.draining = True
        if self._worker is not None:
            await self._worker.drain()
        await asyncio.gather(*(keeper.stop(self.config.grace) for keeper in self._keepers))
        self.health.finish()
        if self._analysis is not None:
            await self._analysis.stop(_STOP_SECONDS)
        if self._worker is not None:
            self._worker.stop()

    # ---------------------------------------------------------------- children

    def _prepare_analysis(self, child: Child) -> None:
        now = time.monotonic()
        self._off = {protocol: until for protocol, until in self._off.items() if until > now}
        pids = [keeper.child.process.pid for keeper in self._keepers if keeper.child is not None]
        message = {
            "kind": "start",
            "config": msgspec.to_builtins(self.config),
            "dialects_off": sorted(self._off),
            "data_plane": pids or [os.getpid()],
        }
        child.send(message, [self._admin.fileno(), self._status_fd, *self._totals])
        for index in range(self.config.workers):
            self._link(index)

    def _worker_keeper(self, index: int, loop: asyncio.AbstractEventLoop) -> Keeper:
        def prepare(child: Child) -> None:
            message = {"kind": "start", "settings": msgspec.to_builtins(self.settings)}
            child.send(message, [self._totals[index], self._listen[index].fileno()])
            self._link(index)

        def died(reason: str) -> None:
            log.error("worker %d ended (%s); it is started again", index, reason)
            self._status.restarted("data_plane", reason)

        return Keeper("worker", loop, prepare, died)

    def _link(self, index: int) -> None:
        """Connect a worker and the analysis anew, if both are there."""
        analysis = self._analysis.child if self._analysis is not None else None
        if analysis is None or (
            self._keepers and (index >= len(self._keepers) or self._keepers[index].child is None)
        ):
            return
        ours, theirs = socket.socketpair()
        for sock in (ours, theirs):
            sock.setblocking(False)
        analysis.send({"kind": "link", "worker": index}, [theirs.fileno()])
        theirs.close()
        if self._worker is not None:
            task = asyncio.get_running_loop().create_task(self._worker.attach(ours))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        child = self._keepers[index].child
        if child is not None:
            child.send({"kind": "link"}, [ours.fileno()])
        ours.close()

    def _analysis_died(self, reason: str) -> None:
        protocol, path = self._status.in_hand()
        log.error(
            "the analysis ended (%s) while working on %s; it is started again", reason, f"{protocol} {path}"
        )
        self._status.restarted("analysis", reason)
        self._status.take("", "")
        if protocol:
            self._deaths[protocol] = self._deaths.get(protocol, 0) + 1
            if self._deaths[protocol] >= DIALECT_DEATHS:
                self._deaths[protocol] = 0
                self._off[protocol] = time.monotonic() + DIALECT_OFF_SECONDS
                log.error("decoding of %s is switched off for %d s", protocol, DIALECT_OFF_SECONDS)


def _address(sock: socket.socket) -> str:
    name = sock.getsockname()
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"{host}:{name[1]}"


def _reap(own: set[int]) -> None:
    """As PID 1: collect orphans that were left to us, but not our own children."""
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None or found.si_pid in own:
            return
        os.waitpid(found.si_pid, os.WNOHANG)


def run(config: Config) -> int:
    """Run the sidecar; BindError if an address cannot be bound."""

    async def main() -> int:
        return await Root(config).run()

    return uvloop.run(main())
