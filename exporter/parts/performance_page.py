"""GET /v1/performance: what labels say of the predictions of each hour, day or of all time, as JSON. Reads only.

Straight from the store's cohorts, so it is the whole fleet's where the store is shared. It is made in a thread.
"""

import asyncio
import time
from typing import Final

import msgspec

from exporter.admin.json_page import BadQuery, JsonPage, Wanted
from exporter.analysis.performance.table import BY, table
from exporter.parts.labels import Labels

PATH: Final = "/v1/performance"
_FILTERS: Final = ("by", "model_name", "model_version", "role", "output")


def performance_page(labels: Labels) -> JsonPage:
    """The page."""

    async def make(wanted: Wanted) -> bytes:
        by = next(iter(wanted.get("by", ())), "day")
        if len(wanted.get("by", ())) > 1 or by not in BY:
            raise BadQuery(f"by: expected one of {', '.join(BY)}")
        found = await labels.reading(time.time())
        return await asyncio.to_thread(lambda: msgspec.json.encode(table(found, by, wanted)))

    return JsonPage(PATH, _FILTERS, make)
