"""GET /v1/performance: what labels say of the predictions of each hour, day or of all time, as JSON. Reads only.

Straight from the store's cohorts, so it is the whole fleet's where the store is shared. One page is made at a time, in
a thread; a few may wait, and what is over is refused.
"""

import asyncio
import time
from typing import Final

import msgspec
from aiohttp import web

from exporter.analysis.performance_table import BY, table
from exporter.labels import Labels

PATH: Final = "/v1/performance"
MAX_WAITING: Final = 4
_FILTERS: Final = ("by", "model_name", "model_version", "role", "output")


class PerformancePage:
    """The handler."""

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self._turn = asyncio.Lock()
        self._waiting = 0

    def routes(self) -> list[web.RouteDef]:
        """For the application."""
        return [web.get(PATH, self.get)]

    async def get(self, request: web.Request) -> web.Response:
        """The page, or the part of it that the query names."""
        wanted = {name: frozenset(request.query.getall(name)) for name in request.query}
        by = request.query.get("by", "day")
        if unknown := sorted(set(wanted) - set(_FILTERS)):
            text = f"{', '.join(unknown)}: expected some of {', '.join(_FILTERS)}\n"
            raise web.HTTPBadRequest(text=text)
        if by not in BY:
            raise web.HTTPBadRequest(text=f"by: expected one of {', '.join(BY)}\n")
        if self._waiting >= MAX_WAITING:
            raise web.HTTPServiceUnavailable(text="too many requests at once\n", headers={"Retry-After": "1"})
        self._waiting += 1
        try:
            async with self._turn:
                found = await self._labels.reading(time.time())
                body = await asyncio.to_thread(lambda: msgspec.json.encode(table(found, by, wanted)))
        finally:
            self._waiting -= 1
        return web.Response(body=body, content_type="application/json")
