"""GET /v1/label-requests: rows whose label is wanted, by id and number, with the chance of being asked for. Opt-in.

Ids are callers' words, so it opens for who may write, not for who may read. Nothing of a payload is on it, and asking
changes nothing: `after` is the number behind which a caller goes on.
"""

from typing import Any, Final

import msgspec

from exporter.admin.door import Door
from exporter.admin.json_page import BadQuery, JsonPage, Wanted
from exporter.analysis.performance.requests import MOST, Request, Requests

PATH: Final = "/v1/label-requests"
_FILTERS: Final = ("after", "limit")
_LIMIT: Final = 100


def label_requests_page(requests: Requests, door: Door) -> JsonPage:
    """The page."""

    async def make(wanted: Wanted) -> bytes:
        after, limit = _number(wanted, "after", 0, 1 << 62), _number(wanted, "limit", _LIMIT, MOST)
        found = requests.wanted(after, limit)
        told: dict[str, Any] = {"requests": [_told(one) for one in found]}
        told |= {"after": found[-1].number if found else after, "open": requests.open()}
        told |= {"random": requests.shares.random, "uncertain": requests.shares.uncertain}
        return msgspec.json.encode(told)

    return JsonPage(PATH, _FILTERS, make, door)


def _told(one: Request) -> dict[str, Any]:
    what = one.what
    told = {"id": one.named.id, "row": one.named.row, "output": what.output}
    told |= {"model_name": what.model_name, "model_version": what.model_version, "role": one.role}
    return told | {"predicted_at": one.time, "probability": one.chance, "reason": one.reason}


def _number(wanted: Wanted, name: str, default: int, most: int) -> int:
    (text, *more) = wanted.get(name, {str(default)})
    if more or not (text.isascii() and text.isdecimal()) or len(text) > 19 or int(text) > most:
        raise BadQuery(f"{name}: expected a number from 0 to {most}")
    return int(text)
