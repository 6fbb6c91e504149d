"""A page of the admin side that is made when it is asked for: JSON, read only, for everybody or behind the door.

One is made at a time, a few may wait, and what is over is refused. Knows nothing of what is on it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiohttp import web

from exporter.admin.door import Door
from exporter.admin.writes import judged

MAX_WAITING: Final = 4
Wanted = Mapping[str, frozenset[str]]
# What the page says, of the values by filter that the query names. Raises BadQuery.
Make = Callable[[Wanted], Awaitable[bytes]]


class BadQuery(Exception):
    """A filter has a value that it cannot have; the text says what was expected."""


class JsonPage:
    """The handler; `make` is called on the event loop. With a `door` it is for who may write."""

    def __init__(self, path: str, filters: tuple[str, ...], make: Make, door: Door | None = None) -> None:
        self._path, self._filters, self._make, self._door = path, filters, make, door
        self._turn = asyncio.Lock()
        self._waiting = 0

    def routes(self) -> list[web.RouteDef]:
        """For the application."""
        return [web.get(self._path, self.get)]

    async def get(self, request: web.Request) -> web.Response:
        """The page, or the part of it that the query names."""
        refused = judged(self._door, request) if self._door is not None else None
        if refused is not None:
            told = {"reason": refused.outcome, "expected": refused.text}
            headers = {"WWW-Authenticate": "Bearer"} if refused.status == 401 else None
            return web.json_response(told, status=refused.status, headers=headers)
        wanted = {name: frozenset(request.query.getall(name)) for name in request.query}
        if unknown := sorted(set(wanted) - set(self._filters)):
            text = f"{', '.join(unknown)}: expected some of {', '.join(self._filters)}\n"
            raise web.HTTPBadRequest(text=text)
        if self._waiting >= MAX_WAITING:
            raise web.HTTPServiceUnavailable(text="too many requests at once\n", headers={"Retry-After": "1"})
        self._waiting += 1
        try:
            async with self._turn:
                body = await self._make(wanted)
        except BadQuery as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from None
        finally:
            self._waiting -= 1
        return web.Response(body=body, content_type="application/json")
