"""The model's health, probed from here: can it be connected to, and does its readiness path answer.

The probe goes to the upstream itself, not through the proxy: it is no traffic. It never follows a redirect
and never reads a body. A result older than `stale_after` is not shown.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import aiohttp
from yarl import URL

from exporter.collect.contract import Address, Unavailable, World
from exporter.records.sample import Sample


@dataclass(frozen=True, slots=True)
class _Result:
    at: float
    up: bool
    seconds: float


def build(world: World) -> "HealthProbe":
    """The probe of this world's upstream."""
    return HealthProbe(world.upstream, world.probe_path, world.probe_timeout)


class HealthProbe:
    """Call `probe` at an interval from an event loop; `collect`, from any thread, tells what it saw last.

    `path` (with query, percent-encoded) is asked by HTTP GET if it is not ""; a status from 200 to 399 is up.
    `timeout` and `stale_after` are seconds. ValueError for a path that does not begin with a slash.
    """

    name = "health"

    def __init__(
        self,
        upstream: Address,
        path: str = "",
        timeout: float = 2.0,
        stale_after: float = 60.0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        if path and not path.startswith("/"):
            raise ValueError(f"probe path {path!r}: expected a path that begins with /")
        self._upstream = upstream
        self._path = path
        self._timeout = timeout
        self._stale_after = stale_after
        self._clock = clock
        self._last: _Result | None = None

    async def probe(self, now: float) -> bool:
        """Whether the upstream is up; takes at most the timeout and raises nothing but cancellation."""
        start = self._clock()
        try:
            async with asyncio.timeout(self._timeout):
                await self._connect()
                up = not self._path or await self._get()
        except (OSError, TimeoutError, aiohttp.ClientError, ValueError):
            # ValueError: a host name that cannot be encoded, an answer that is no HTTP.
            up = False
        self._last = _Result(now, up, self._clock() - start)
        return up

    def collect(self, now: float) -> Iterator[Sample]:
        """model.up and model.probe.duration of the last probe; Unavailable if there is no recent one."""
        last = self._last
        if last is None:
            raise Unavailable("no probe has ended yet")
        if now - last.at > self._stale_after:
            raise Unavailable(f"the last probe is {now - last.at:.0f} s old")
        yield Sample("model.up", (), int(last.up))
        yield Sample("model.probe.duration", (), last.seconds)

    async def _connect(self) -> None:
        if isinstance(self._upstream, str):
            _, writer = await asyncio.open_unix_connection(self._upstream)
        else:
            _, writer = await asyncio.open_connection(*self._upstream)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async def _get(self) -> bool:
        if isinstance(self._upstream, str):
            connector: aiohttp.BaseConnector = aiohttp.UnixConnector(self._upstream, force_close=True)
            origin = "http://localhost"
        else:
            host, port = self._upstream
            connector = aiohttp.TCPConnector(force_close=True)
            origin = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        async with aiohttp.ClientSession(connector=connector) as session:
            url = URL(origin + self._path, encoded=True)
            async with session.get(url, allow_redirects=False) as response:
                return 200 <= response.status < 400
