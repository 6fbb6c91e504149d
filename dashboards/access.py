"""What becomes of the lines of the access log; panels of the row "Payload log", as another log of traffic.

Invariant: each says that there is no access log where there is none.
"""

from collections.abc import Sequence

from dashboards.panels import Panel, Query, empty, timeseries
from dashboards.queries import gauge, increase, total
from dashboards.variables import TARGET

NONE = "No access log"


def panels() -> Sequence[Panel]:
    """All of them."""
    chosen = total(increase("modeltap.access_log.selected", TARGET))
    written = total(increase("modeltap.access_log.written", TARGET))
    found = (
        timeseries(
            "Access log",
            "Lines chosen, written, and waiting.",
            "short",
            Query(chosen, "selected"),
            Query(written, "written"),
            Query(total(gauge("modeltap.access_log.queue.length", TARGET)), "waiting"),
        ),
        timeseries(
            "Access log lines lost",
            "By reason: a full queue because nobody reads, a reader that left, a full disk, the end.",
            "short",
            Query(total(increase("modeltap.access_log.dropped", TARGET), "reason"), "{{reason}}"),
        ),
    )
    return tuple(empty(panel, NONE) for panel in found)
