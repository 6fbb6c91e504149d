"""The row "Payload log" of the dashboard: what becomes of the events chosen for it.

It knows which question each panel answers. Invariant: each says that there is no payload log where there is none.
"""

from collections.abc import Sequence

from dashboards.panels import Panel, Query, empty, timeseries
from dashboards.queries import gauge, increase, latency, quantiles, rate, total
from dashboards.variables import TARGET

NONE = "No payload log"


def panels() -> Sequence[Panel]:
    """All of them."""
    return tuple(empty(panel, NONE) for panel in (*_events(), *_delivery()))


def _events() -> Sequence[Panel]:
    chosen = total(increase("modeltap.payload_log.selected", TARGET))
    sent = total(increase("modeltap.payload_log.sent", TARGET))
    return (
        timeseries(
            "Payload events",
            "Events chosen, and those that the sink or a file took.",
            "short",
            Query(chosen, "selected"),
            Query(sent, "sent"),
        ),
        timeseries(
            "Payload events lost",
            "By reason: a full queue, a sink that refuses, attempts that came to an end, a full disk, the end.",
            "short",
            Query(total(increase("modeltap.payload_log.dropped", TARGET), "reason"), "{{reason}}"),
        ),
        timeseries(
            "Payload bodies left out",
            "Events made without their body, by reason.",
            "short",
            Query(total(increase("modeltap.payload_log.bodies.omitted", TARGET), "reason"), "{{reason}}"),
        ),
    )


def _delivery() -> Sequence[Panel]:
    return (
        timeseries(
            "Payload deliveries that failed",
            "Attempts by what went wrong; most are made again.",
            "short",
            Query(total(increase("modeltap.payload_log.failures", TARGET), "reason"), "{{reason}}"),
        ),
        timeseries(
            "Payload queue",
            "Events that wait or are being sent.",
            "short",
            Query(total(gauge("modeltap.payload_log.queue.length", TARGET)), "events"),
        ),
        timeseries(
            "Payload bytes",
            "Bytes per second that were sent or written, and bytes that wait.",
            "bytes",
            Query(total(rate("modeltap.payload_log.written", TARGET)), "written per second"),
            Query(total(gauge("modeltap.payload_log.queue.usage", TARGET)), "waiting"),
        ),
        latency(
            "Payload delivery",
            "From the offer of an exchange until its event was taken.",
            quantiles("modeltap.payload_log.delivery.duration", TARGET),
        ),
    )
