"""The admin side: GET /metrics and an index, on a socket that the root bound. Reads; what writes is in `writes.py`.

No payload content is ever shown here. One scrape is rendered at a time, and so many may wait: what is over is refused,
so that a storm of scrapes takes neither memory nor the event loop. Whoever reads slowly holds a body: there are only so
many of those, too, and each has its time.
"""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from aiohttp import web

from exporter.admin.guard import Guard
from exporter.admin.included import Included, Ours, budget, texts_only
from exporter.publish.compression import compress

MAX_WAITING = 16
# Answers that are being sent: each is held in whole, for a scraper that may take a byte a second.
MAX_SENDING = 16
SEND_SECONDS = 60.0
_STOP_SECONDS = 0.2
_LOOK_SECONDS = 0.25
# render(accept, names) gives body and content type; it does its work off the event loop.
Render = Callable[[str, frozenset[str]], Awaitable[tuple[bytes, str]]]
_INDEX = """<!doctype html><title>modeltap</title><h1>modeltap</h1>
<p><a href="/metrics">/metrics</a>: Prometheus text, OpenMetrics or protobuf, by the Accept header;
<code>?name[]=</code> filters, <code>?include=upstream</code> merges the model server's own metrics into it.</p>
<p><a href="/v1/drift">/v1/drift</a>: every column in every window against its reference, as JSON.</p>
"""


class Scrapes:
    """Who scraped when, so that the end of a sidecar can wait for those who are about to come. Times are monotonic."""

    def __init__(self) -> None:
        self._times: dict[str, tuple[float, float]] = {}  # of a scraper's last two, the latest last
        self._came = asyncio.Event()

    def came(self, scraper: str, now: float) -> None:
        """Its scrape, begun at `now`, was answered."""
        _, before = self._times.pop(scraper, (0.0, 0.0))
        self._times[scraper] = before, now
        if len(self._times) > MAX_WAITING:
            del self._times[next(iter(self._times))]
        self._came.set()

    def awaited(self, since: float, now: float, seconds: float) -> bool:
        """Whether anybody who was here within two of its own intervals has not come since, and is due in time.

        Two scrapes make an interval. Whose turn comes only after `seconds` is not worth waiting for.
        """
        return any(
            first
            and last < since
            and now - last <= 2 * (last - first)
            and last - first <= now - last + seconds
            for first, last in self._times.values()
        )

    async def last(self, since: float, seconds: float) -> None:
        """Wait for them, so long at most."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and self.awaited(since, time.monotonic(), left):
            self._came.clear()
            try:
                async with asyncio.timeout(min(left, _LOOK_SECONDS)):
                    await self._came.wait()
            except TimeoutError:
                continue


class Metrics:
    """The handler of GET /metrics."""

    def __init__(self, render: Render, scrapes: Scrapes, included: Included | None = None) -> None:
        self._render = render
        self._scrapes = scrapes
        self._included = included
        self._turn = asyncio.Lock()
        self._waiting = self._sending = 0

    async def get(self, request: web.Request) -> web.Response:
        """One scrape; 503 if too many wait already."""
        if self._waiting >= MAX_WAITING or self._sending >= MAX_SENDING:
            raise web.HTTPServiceUnavailable(text="too many scrapes at once\n", headers={"Retry-After": "1"})
        began = time.monotonic()
        accept = ", ".join(request.headers.getall("Accept", []))
        names = frozenset(request.query.getall("name[]", []))
        included, theirs = self._included if self._wanted(request) else None, None
        if included is not None:
            accept = texts_only(accept)
            seconds = budget(request.headers.get("X-Prometheus-Scrape-Timeout-Seconds", ""))
            # Before it takes a place: whoever waits for the upstream keeps nobody from our own part.
            theirs = await included.fetch(accept, seconds)
        self._waiting += 1
        try:
            async with self._turn:
                body, kind = await self._render(accept, names)
                if included is not None and theirs is not None:
                    body = await asyncio.to_thread(included.merged, Ours(body, kind, accept, names), theirs)
        finally:
            self._waiting -= 1
        asked = ", ".join(request.headers.getall("Accept-Encoding", []))
        body, coding = await asyncio.to_thread(compress, body, asked)
        headers = {"Content-Type": kind, "Vary": "Accept, Accept-Encoding"}
        if coding:
            headers["Content-Encoding"] = coding
        response = web.Response(body=body, headers=headers)
        if await self._sent(request, response):
            self._scrapes.came(request.remote or "", began)
        return response

    async def _sent(self, request: web.Request, response: web.Response) -> bool:
        """Whether the scraper took all of it; one that left or had its time did not come."""
        self._sending += 1
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await response.prepare(request)
                await response.write_eof()
        except ConnectionError:
            return False
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
            return False
        finally:
            self._sending -= 1
        return True

    def _wanted(self, request: web.Request) -> bool:
        """Whether this scrape shall hold the upstream's own metrics, too."""
        wanted = set(request.query.getall("include", []))
        if wanted - {"upstream", "own"}:
            raise web.HTTPBadRequest(text="include: expected upstream or own\n")
        return "upstream" in wanted or (not wanted and self._included is not None and self._included.always)


async def index(_: web.Request) -> web.Response:
    """What there is."""
    return web.Response(text=_INDEX, content_type="text/html")


@dataclass(frozen=True, slots=True)
class Pages:
    """What is served: the scrape and what it includes, who scraped, and the routes of what writes."""

    render: Render
    scrapes: Scrapes = field(default_factory=Scrapes)
    included: Included | None = None
    routes: Iterable[web.AbstractRouteDef] = ()


def application(pages: Pages, guard: Guard | None = None) -> web.Application:
    """Inside an event loop."""
    app = web.Application(client_max_size=1 << 20, middlewares=[guard.middleware] if guard else [])
    if guard:
        app.on_response_prepare.append(guard.headers)
    app.router.add_get("/metrics", Metrics(pages.render, pages.scrapes, pages.included).get)
    app.router.add_get("/", index)
    app.add_routes(pages.routes)
    return app


def guard_of(file: str) -> Guard | None:
    """The guard that a file describes; None for "". A file that was right at the start and is no more ends the process.

    Without it the admin side would be open.
    """
    return Guard(file) if file else None


async def serve(sock: socket.socket, pages: Pages, guard: Guard | None = None) -> web.AppRunner:
    """Serve on the bound socket; `cleanup()` the result to stop."""
    # Nothing that comes in here is inflated: before any handler is asked, a few bytes could become many megabytes.
    runner = web.AppRunner(
        application(pages, guard), access_log=None, shutdown_timeout=_STOP_SECONDS, auto_decompress=False
    )
    await runner.setup()
    await web.SockSite(runner, sock, ssl_context=guard.serving if guard else None).start()
    return runner
