"""A plane without any connection, for what needs no more than its bounds and its totals."""

import asyncio
import os
from typing import Any

from exporter.proxy.plane import Plane
from exporter.proxy.settings import Settings, Upstream
from exporter.records import totals


class Alone:
    """`plane` is a real one; `counts` what was counted in a group, zeros left out."""

    def __init__(self, **settings: Any) -> None:
        made = Settings(upstreams=(Upstream(host="127.0.0.1", port=1),), **settings)
        layout = totals.Layout(made.latency_buckets)
        fd = totals.create(layout)
        self._reader = totals.Reader(fd, layout)
        self._loop = asyncio.new_event_loop()
        self.plane = Plane(made, fd, self._loop)
        self._loop.close()
        os.close(fd)  # the maps have it

    def counts(self, group: str) -> dict[str, int]:
        return {reason: count for reason, count in self._reader.reasons(group).items() if count}
