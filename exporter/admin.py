"""The admin side: GET /metrics and an index, on a socket that the root bound. Reads; changes nothing.

No payload content is ever shown here. One scrape is rendered at a time, and so many may wait: what is over is refused,
so that a storm of scrapes takes neither memory nor the event loop.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable

from aiohttp import web

MAX_WAITING = 16
_EXECUTOR_BYTES = 1 << 14  # smaller bodies compress faster than a thread is woken
_STOP_SECONDS = 0.2
# render(accept, names) gives body and content type; it does its work off the event loop.
Render = Callable[[str, frozenset[str]], Awaitable[tuple[bytes, str]]]
_INDEX = """<!doctype html><title>modeltap</title><h1>modeltap</h1>
<p><a href="/metrics">/metrics</a>: Prometheus text or OpenMetrics, by the Accept header;
<code>?name[]=</code> filters.</p>
"""


class Metrics:
    """The handler of GET /metrics."""

    def __init__(self, render: Render) -> None:
        self._render = render
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def get(self, request: web.Request) -> web.Response:
        """One scrape; 503 if too many wait already."""
        if self._waiting >= MAX_WAITING:
            raise web.HTTPServiceUnavailable(text="too many scrapes at once\n", headers={"Retry-After": "1"})
        accept = ", ".join(request.headers.getall("Accept", []))
        names = frozenset(request.query.getall("name[]", []))
        self._waiting += 1
        try:
            async with self._turn:
                body, kind = await self._render(accept, names)
        finally:
            self._waiting -= 1
        headers = {"Content-Type": kind, "Vary": "Accept"}
        response = web.Response(body=body, headers=headers, zlib_executor_size=_EXECUTOR_BYTES)
        response.enable_compression()
        return response


async def index(_: web.Request) -> web.Response:
    """What there is."""
    return web.Response(text=_INDEX, content_type="text/html")


def application(render: Render) -> web.Application:
    """Inside an event loop."""
    app = web.Application(client_max_size=1 << 20)
    app.router.add_get("/metrics", Metrics(render).get)
    app.router.add_get("/", index)
    return app


async def serve(sock: socket.socket, render: Render) -> web.AppRunner:
    """Serve on the bound socket; `cleanup()` the result to stop."""
    runner = web.AppRunner(application(render), access_log=None, shutdown_timeout=_STOP_SECONDS)
    await runner.setup()
    await web.SockSite(runner, sock).start()
    return runner
