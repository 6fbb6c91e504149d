"""The admin side: GET /metrics and an index, on a socket that the root bound. Reads; changes nothing.

No payload content is ever shown here. Rendering runs in a thread, so that a large scrape holds up no batch.
"""

import asyncio
import socket
from collections.abc import Callable

from aiohttp import web

Render = Callable[[str, frozenset[str]], tuple[bytes, str]]
_INDEX = """<!doctype html><title>modeltap</title><h1>modeltap</h1>
<p><a href="/metrics">/metrics</a>: Prometheus text or OpenMetrics, by the Accept header; <code>?name[]=</code> filters.</p>
"""


def application(render: Render) -> web.Application:
    """`render(accept, names)` gives body and content type."""

    async def metrics(request: web.Request) -> web.Response:
        accept = ", ".join(request.headers.getall("Accept", []))
        names = frozenset(request.query.getall("name[]", []))
        body, kind = await asyncio.to_thread(render, accept, names)
        response = web.Response(body=body, headers={"Content-Type": kind})
        response.enable_compression()
        return response

    async def index(_: web.Request) -> web.Response:
        return web.Response(text=_INDEX, content_type="text/html")

    app = web.Application(client_max_size=1 << 20)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/", index)
    return app


async def serve(sock: socket.socket, render: Render) -> web.AppRunner:
    """Serve on the bound socket; `cleanup()` the result to stop."""
    runner = web.AppRunner(application(render), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.SockSite(runner, sock).start()
    return runner
