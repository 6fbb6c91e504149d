"""GET /v1/receipts: what a caller keeps of its predictions to send their labels with, by id. Opt-in.

For who may write: a receipt can be read by whoever has it. A request that is not decoded yet, or among the latest no
more, has none: `null`.
"""

from typing import Final

import msgspec

from exporter.admin.door import Door
from exporter.admin.json_page import BadQuery, JsonPage, Wanted
from exporter.parts.labels import Labels
from exporter.parts.receipts import Desk

PATH: Final = "/v1/receipts"
MOST: Final = 100
_FILTERS: Final = ("id", "output")


def receipts_page(labels: Labels, desk: Desk, door: Door) -> JsonPage:
    """The page."""

    async def make(wanted: Wanted) -> bytes:
        ids, outputs = wanted.get("id", frozenset()), wanted.get("output", frozenset(("",)))
        if not 0 < len(ids) <= MOST:
            raise BadQuery(f"id: expected 1 to {MOST} of them")
        if len(outputs) != 1:
            raise BadQuery("output: expected one at most")
        (output,) = outputs
        # A label that came back before its row was in the store would count twice.
        await labels.settled()
        return msgspec.json.encode({"receipts": {one: desk.token(one, output) for one in sorted(ids)}})

    return JsonPage(PATH, _FILTERS, make, door)
