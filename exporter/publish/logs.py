"""LogPusher: the bounded queue that brings events to an OTLP collector, as log records, from a thread of its own.

Refuses to notice events, and to carry the sidecar's own log: that is for stderr.
"""

import time
from collections.abc import Callable

from exporter.publish.queued import Queued
from exporter.publish.sender import Connection
from exporter.publish.settings import OtlpConfig
from exporter.records.event import Event


class LogPusher(Queued[Event]):
    """See Queued."""

    def __init__(
        self, config: OtlpConfig, created: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        def connect() -> Connection[list[Event]]:
            from exporter.publish.exporters import connect_logs

            return connect_logs(config)

        super().__init__("logs", config.log_limits, created, connect, clock)
