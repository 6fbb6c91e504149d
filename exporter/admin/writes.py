"""What the admin side takes in: POST /v1/observations and /v1/feedback, through the door, within bounds, one at a time.

So many bodies may wait, of so many bytes each; what is over is refused with 429 and comes again. Work on what was
pushed takes half of the analysis' CPU budget at most: exchanges come first. Nothing of a payload is said again.
"""

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from aiohttp import ClientError, web

from exporter.admin.door import Door, Refused
from exporter.records.observation import Undecodable
from exporter.records.sample import Sample

log = logging.getLogger("modeltap.admin")
PATH: Final = "/v1/observations"
FEEDBACK_PATH: Final = "/v1/feedback"
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
# Content type -> form of a body, by resource.
_LINES: Final = dict.fromkeys(("application/x-ndjson", "application/jsonl", "application/jsonlines"), "lines")
OBSERVATION_FORMS: Final = {"application/json": "json", **_LINES}
FEEDBACK_FORMS: Final = {
    **OBSERVATION_FORMS,
    **dict.fromkeys(("application/cloudevents+json", "application/cloudevents-batch+json"), "json"),
    "text/csv": "csv",
}
# Of the types that are taken, those that an answer names.
_TOLD_TYPES: Final = ("application/json", "application/x-ndjson", "text/csv")
_SIZE: Final = Refused(413, "too_large", f"expected a body of at most {MAX_BODY} bytes")
_SLOW: Final = Refused(408, "timeout", f"expected the whole body within {READ_SECONDS:g} s")
# Whole bodies that are refused for another reason than what they are.
_STATUS: Final = {"decoder_failed": 500, "switched_off": 503}
_BUSY: Final = Refused(429, "busy", f"{MAX_WAITING} bodies wait already; come again")
_GONE: Final = Refused(400, "aborted", "the body ended before its end")

# take(body, form) counts what is in a body and says what became of it; Undecodable for a body that holds nothing.
Take = Callable[[bytes, str], Awaitable[Sequence[Any]]]


def _as_it_came(body: bytes, _: Mapping[str, str]) -> bytes:
    return body


@dataclass(frozen=True, slots=True)
class Resource:
    """One thing that can be written. `forms`: by content type; `expected` says what each reason of `take` means.
    `envelope(body, fields)`: the body with what fields of the head say of it.

    `summary(found, expected)`: the answer to what `take` found, and how many of it were taken and refused.
    """

    name: str
    path: str
    forms: Mapping[str, str]
    take: Take
    expected: Mapping[str, str]
    summary: Callable[[Sequence[Any], Mapping[str, str]], tuple[dict[str, Any], int, int]]
    envelope: Callable[[bytes, Mapping[str, str]], bytes] = _as_it_came


def observations(take: Take, expected: Mapping[str, str]) -> Resource:
    """Records: the rows of each, or why it was refused."""
    return Resource("observations", PATH, OBSERVATION_FORMS, take, expected, _records)


def feedback(take: Take, expected: Mapping[str, str]) -> Resource:
    """Items: what became of each label, or why the item was refused."""
    return Resource("feedback", FEEDBACK_PATH, FEEDBACK_FORMS, take, expected, _items, _event)


class Writes:
    """`cores` is the CPU budget of this process."""

    def __init__(self, door: Door, cores: float, *resources: Resource) -> None:
        self._door = door
        self._resources = resources
        self._rest = 1 / min(_SHARE, _SHARE * cores) - 1  # seconds of rest for each of work
        self._turns = {one.name: asyncio.Lock() for one in resources}
        self._waiting = 0
        self._not_before = 0.0
        self._created = time.time()
        self._counts = {(one.name, outcome): 0 for one in resources for outcome in OUTCOMES}

    def routes(self) -> list[web.RouteDef]:
        """For the application."""
        return [web.post(one.path, partial(self.post, one)) for one in self._resources]

    def samples(self) -> Iterator[Sample]:
        """Requests by what became of them."""
        for cell, count in self._counts.items():
            yield Sample("modeltap.writes", cell, count, self._created)

    async def post(self, resource: Resource, request: web.Request) -> web.Response:
        """One body."""
        refused = self._judge(resource, request)
        if refused is None and self._waiting >= MAX_WAITING:
            refused = _BUSY
        if refused is not None:
            return self._refuse(resource, refused)
        self._waiting += 1
        try:
            body = await _body(request)
            if isinstance(body, Refused):
                return self._refuse(resource, body)
            async with self._turns[resource.name]:
                await asyncio.sleep(self._not_before - time.monotonic())
                # Who left will send it again: counted now, it would count twice.
                if request.transport is None or request.transport.is_closing():
                    return self._refuse(resource, _GONE)
                form = resource.forms[request.content_type]
                if form == "json":
                    body = resource.envelope(body, request.headers)
                return await self._taken(resource, body, form)
        finally:
            self._waiting -= 1

    def _judge(self, resource: Resource, request: web.Request) -> Refused | None:
        refused = judged(self._door, request)
        if refused is not None:
            return refused
        if request.content_type not in resource.forms or "content-encoding" in request.headers:
            forms = " or ".join(name for name in _TOLD_TYPES if name in resource.forms)
            return Refused(415, "content_type", f"expected {forms}, without a content coding")
        return _SIZE if (request.content_length or 0) > MAX_BODY else None

    async def _taken(self, resource: Resource, body: bytes, form: str) -> web.Response:
        began = time.process_time()
        try:
            found: Sequence[Any] = await resource.take(body, form)
        except Undecodable as refusal:
            self._counts[resource.name, "refused"] += 1
            summary, _, _ = resource.summary((), resource.expected)
            told = {**summary, "refused": [_told(None, refusal.reason, resource.expected)]}
            return _answer(_STATUS.get(refusal.reason, 400), told)
        finally:
            self._not_before = time.monotonic() + self._rest * (time.process_time() - began)
        summary, taken, refused = resource.summary(found, resource.expected)
        outcome = "accepted" if not refused else "partial" if taken else "refused"
        self._counts[resource.name, outcome] += 1
        return _answer(200 if taken or not refused else 400, summary)

    def _refuse(self, resource: Resource, refused: Refused) -> web.Response:
        self._counts[resource.name, refused.outcome] += 1
        headers = {"Retry-After": "1"} if refused.status in (429, 503) else {}
        if refused.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        # What of the body was not read would be waited for.
        return _answer(
            refused.status, {"reason": refused.outcome, "expected": refused.text}, headers, close=True
        )


def judged(door: Door, request: web.Request) -> Refused | None:
    """What the door says of a request."""
    transport = request.transport
    peer = transport.get_extra_info("peername") if transport is not None else None
    # Only of a certificate that was asked for and verified is there anything to be had.
    certified = bool(transport is not None and transport.get_extra_info("peercert"))
    return door.judge(peer, request.headers, certified)


def _told(
    place: int | None, reason: str, expected: Mapping[str, str], kind: str = "record"
) -> dict[str, Any]:
    where = {} if place is None else {kind: place}
    return {**where, "reason": reason, "expected": expected.get(reason, "")}


def _records(found: Sequence[Any], expected: Mapping[str, str]) -> tuple[dict[str, Any], int, int]:
    """Rows of each record, or a reason."""
    rows = [one for one in found if isinstance(one, int)]
    reasons = [(place, one) for place, one in enumerate(found) if isinstance(one, str)]
    told = [_told(place, reason, expected) for place, reason in reasons[:MAX_TOLD]]
    summary = {"records": len(found), "accepted": len(rows), "rows": sum(rows), "refused": told}
    return summary, len(rows), len(reasons)


def _items(found: Sequence[Any], expected: Mapping[str, str]) -> tuple[dict[str, Any], int, int]:
    """Outcomes of each item: a word for one label, a list for several; or a reason, told with what was expected."""
    reasons = [(place, one) for place, one in enumerate(found) if isinstance(one, str)]
    told = [_told(place, reason, expected, "item") for place, reason in reasons[:MAX_TOLD]]
    counts = Counter(word for one in found if not isinstance(one, str) for word in one)
    if reasons:
        counts["invalid"] += len(reasons)
    outcomes = [
        "invalid" if isinstance(one, str) else one[0] if len(one) == 1 else list(one) for one in found
    ]
    summary = {"items": len(found), "counts": dict(counts), "outcomes": outcomes, "refused": told}
    return summary, len(found) - len(reasons), len(reasons)


def _event(body: bytes, fields: Mapping[str, str]) -> bytes:
    """A CloudEvent of binary mode, whose attributes are fields of the head, as one of structured mode."""
    version, time = fields.get("ce-specversion"), fields.get("ce-time")
    if version is None:
        return body
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return body  # which is refused as what it is
    return json.dumps({"specversion": version, "data": data} | ({"time": time} if time else {})).encode()


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
