"""SpanPusher: the bounded queue that brings spans to an OTLP collector from a thread of its own.

Refuses to make spans.
"""

import time
from collections.abc import Callable

from exporter.publish.queued import Queued
from exporter.publish.sender import Connection
from exporter.publish.server_span import Span
from exporter.publish.settings import OtlpConfig


class SpanPusher(Queued[Span]):
    """See Queued."""

    def __init__(
        self, config: OtlpConfig, created: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        def connect() -> Connection[list[Span]]:
            from exporter.publish.exporters import connect_spans

            return connect_spans(config)

        super().__init__("traces", config.span_limits, created, connect, clock)
