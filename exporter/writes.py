"""What the admin side takes in: POST /v1/observations, through the door, within bounds, one at a time.

So many bodies may wait, of so many bytes each; what is over is refused with 429 and comes again. Work on what was
pushed takes half of the analysis' CPU budget at most: exchanges come first. Nothing of a payload is said again.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final

from aiohttp import ClientError, web

from exporter.door import Door, Refused
from exporter.records.observation import Undecodable
from exporter.records.sample import Sample

log = logging.getLogger("modeltap.admin")
PATH: Final = "/v1/observations"
MAX_BODY: Final = 1 << 20
MAX_WAITING: Final = 16
READ_SECONDS: Final = 10.0
MAX_TOLD: Final = 100  # records that are refused one by one in an answer
_SHARE: Final = 0.5
# What can become of a request; label values that exist from the start.
OUTCOMES: Final = (
    *("accepted", "partial", "refused", "forbidden", "unauthorized", "closed", "content_type"),
    *("too_large", "timeout", "busy", "aborted"),
)
_JSON: Final = frozenset({"application/json"})
_LINES: Final = frozenset({"application/x-ndjson", "application/jsonl", "application/jsonlines"})
_TYPE: Final = Refused(
    415, "content_type", "expected application/json or application/x-ndjson, without a content coding"
)
_SIZE: Final = Refused(413, "too_large", f"expected a body of at most {MAX_BODY} bytes")
_SLOW: Final = Refused(408, "timeout", f"expected the whole body within {READ_SECONDS:g} s")
# Whole bodies that are refused for another reason than what they are.
_STATUS: Final = {"decoder_failed": 500, "switched_off": 503}
_BUSY: Final = Refused(429, "busy", f"{MAX_WAITING} bodies wait already; come again")
_GONE: Final = Refused(400, "aborted", "the body ended before its end")

# take(body, lines) counts the records and returns the rows of each, or why it was refused; Undecodable for them all.
Take = Callable[[bytes, bool], Awaitable[Sequence[int | str]]]


class Writes:
    """`expected` says what each reason of `take` means; `cores` is the CPU budget of this process."""

    def __init__(self, door: Door, take: Take, expected: dict[str, str], cores: float) -> None:
        self._door = door
        self._take = take
        self._expected = expected
        self._rest = 1 / min(_SHARE, _SHARE * cores) - 1  # seconds of rest for each of work
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._not_before = 0.0
        self._created = time.time()
        self._counts = dict.fromkeys(OUTCOMES, 0)

    def routes(self) -> list[web.RouteDef]:
        """For the application."""
        return [web.post(PATH, self.post)]

    def samples(self) -> Iterator[Sample]:
        """Requests by what became of them."""
        for outcome, count in self._counts.items():
            yield Sample("modeltap.writes", ("observations", outcome), count, self._created)

    async def post(self, request: web.Request) -> web.Response:
        """One body of records."""
        refused = self._judge(request)
        if refused is None and self._waiting >= MAX_WAITING:
            refused = _BUSY
        if refused is not None:
            return self._refuse(refused)
        self._waiting += 1
        try:
            body = await _body(request)
            if isinstance(body, Refused):
                return self._refuse(body)
            async with self._turn:
                await asyncio.sleep(self._not_before - time.monotonic())
                # Who left will send it again: counted now, it would count twice.
                if request.transport is None or request.transport.is_closing():
                    return self._refuse(_GONE)
                return await self._taken(body, request.content_type in _LINES)
        finally:
            self._waiting -= 1

    def _judge(self, request: web.Request) -> Refused | None:
        transport = request.transport
        peer = transport.get_extra_info("peername") if transport is not None else None
        # Only of a certificate that was asked for and verified is there anything to be had.
        certified = bool(transport is not None and transport.get_extra_info("peercert"))
        refused = self._door.judge(peer, request.headers, certified)
        if refused is not None:
            return refused
        if request.content_type not in _JSON | _LINES or "content-encoding" in request.headers:
            return _TYPE
        return _SIZE if (request.content_length or 0) > MAX_BODY else None

    async def _taken(self, body: bytes, lines: bool) -> web.Response:
        began = time.process_time()
        try:
            found: Sequence[int | str] = await self._take(body, lines)
        except Undecodable as refusal:
            self._counts["refused"] += 1
            status = _STATUS.get(refusal.reason, 400)
            return _answer(
                status,
                {"records": 0, "accepted": 0, "rows": 0, "refused": [self._told(None, refusal.reason)]},
            )
        finally:
            self._not_before = time.monotonic() + self._rest * (time.process_time() - began)
        rows = [one for one in found if isinstance(one, int)]
        reasons = [(place, one) for place, one in enumerate(found) if isinstance(one, str)]
        self._counts["accepted" if not reasons else "partial" if rows else "refused"] += 1
        told = [self._told(place, reason) for place, reason in reasons[:MAX_TOLD]]
        summary = {"records": len(found), "accepted": len(rows), "rows": sum(rows), "refused": told}
        return _answer(200 if rows or not found else 400, summary)

    def _told(self, place: int | None, reason: str) -> dict[str, Any]:
        where = {} if place is None else {"record": place}
        return {**where, "reason": reason, "expected": self._expected.get(reason, "")}

    def _refuse(self, refused: Refused) -> web.Response:
        self._counts[refused.outcome] += 1
        headers = {"Retry-After": "1"} if refused.status in (429, 503) else {}
        if refused.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        # What of the body was not read would be waited for.
        return _answer(
            refused.status, {"reason": refused.outcome, "expected": refused.text}, headers, close=True
        )


async def _body(request: web.Request) -> bytes | Refused:
    """The body, as far as it may be long and slow."""
    parts = bytearray()
    try:
        async with asyncio.timeout(READ_SECONDS):
            async for part in request.content.iter_any():
                parts += part
                if len(parts) > MAX_BODY:
                    return _SIZE
    except TimeoutError:
        return _SLOW
    except (ConnectionError, ClientError, web.HTTPException, ValueError):
        return _GONE
    return bytes(parts)


def _answer(
    status: int, said: dict[str, Any], headers: dict[str, str] | None = None, close: bool = False
) -> web.Response:
    text = json.dumps(said) + "\n"
    response = web.Response(status=status, text=text, content_type="application/json", headers=headers)
    if close:
        response.force_close()
    return response
