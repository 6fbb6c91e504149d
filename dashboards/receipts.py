"""Of the row "Labels": receipts that callers picked up, and what became of those that came back.

It knows which question each panel answers.
"""

from collections.abc import Sequence

from dashboards.panels import Panel, Query, empty, sized, timeseries
from dashboards.queries import increase, total
from dashboards.variables import TARGET


def panels() -> Sequence[Panel]:
    """All of them."""
    panel = timeseries(
        "Receipts",
        "Handed out (issued) or not (too large, not recent); labels that came back with one, counted or refused.",
        "short",
        Query(total(increase("modeltap.label_receipts", TARGET), "outcome"), "{{outcome}}"),
    )
    return (empty(sized(panel, 8, 8), "No label_receipts configured"),)
