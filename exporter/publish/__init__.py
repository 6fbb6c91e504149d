"""Samples -> Prometheus, OTLP; exchanges -> spans, payload and access log; events -> log records. Knows no models.

To add a publisher: one file whose class has the methods of `Publisher`, and one line in `PUBLISHERS`.
"""

from collections.abc import Iterable
from typing import Protocol

from exporter.publish.access_log import AccessLog
from exporter.publish.late import Late
from exporter.publish.logs import LogPusher
from exporter.publish.otlp import Pusher
from exporter.publish.payload_log import PayloadLog, PayloadLogConfig
from exporter.publish.server_span import Decoded, Span, server_span
from exporter.publish.settings import OtlpConfig, read_config
from exporter.publish.spans import SpanPusher
from exporter.records.sample import Sample


class Publisher(Protocol):
    """A publisher that delivers from a thread of its own. Its `offer` differs by what it takes, and never blocks.

    `start` comes before `stop`; `stop` is safe twice and without `start`, and keeps to its timeout in seconds.
    """

    def start(self) -> None:
        """Start the thread; connects to nobody and imports no SDK before the first batch."""

    def stop(self, timeout: float) -> bool:
        """Deliver what is waiting, then end; False if that took longer and the rest was given up."""

    def samples(self) -> Iterable[Sample]:
        """What this publisher counted; from any thread, at any time."""


PUBLISHERS: tuple[type[Publisher], ...] = (Pusher, SpanPusher, LogPusher, PayloadLog, AccessLog)

__all__ = [
    "PUBLISHERS",
    "AccessLog",
    "Decoded",
    "Late",
    "LogPusher",
    "OtlpConfig",
    "PayloadLog",
    "PayloadLogConfig",
    "Publisher",
    "Pusher",
    "Span",
    "SpanPusher",
    "read_config",
    "server_span",
]
