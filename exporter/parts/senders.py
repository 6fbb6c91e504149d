"""What leaves the analysis by itself: OTLP metrics, traces and logs, the payload log, the access log.

Knows nothing of how an exchange was understood but what it is given. Invariant: whatever is not configured is absent,
and costs nothing.
"""

import asyncio
import os
from collections.abc import Iterator

from exporter.analysis.engine import became
from exporter.parts.access import access_log
from exporter.parts.payloads import payload_log
from exporter.parts.rendering import Source
from exporter.publish import Decoded, Late, LogPusher, Publisher, Pusher, SpanPusher, read_config
from exporter.records.event import Event
from exporter.records.exchange import Exchange
from exporter.records.observation import Observation
from exporter.settings.config import Config


class Senders:
    """`instance` names the sidecar where nothing else does; all count from `started`, seconds since the epoch."""

    def __init__(self, config: Config, instance: str, started: float) -> None:
        # Problems were told by `modeltap run`; here the default stands in for what is wrong.
        otlp, _ = read_config(os.environ, instance=instance)
        self._spans = SpanPusher(otlp, started) if otlp.traces else None
        self.metrics = Pusher(otlp, started) if otlp.metrics else None
        self._logs = LogPusher(otlp, started) if otlp.logs else None
        self._payloads = payload_log(config, started)
        self._access = access_log(config, started)
        self._late = Late(config.late_spans, started)
        found = (self._spans, self.metrics, self._logs, self._payloads, self._access)
        self._all: tuple[Publisher, ...] = tuple(sender for sender in found if sender is not None)
        for sender in self._all:
            sender.start()

    def configure(self, config: Config) -> None:
        """What may change while it runs."""
        if self._access is not None:
            self._access.configure(config.access_log_sample)

    def aside(self, exchange: Exchange) -> None:
        """An exchange that is none of the model's."""
        if self._access is not None:
            self._access.offer(exchange)

    def passed(self, exchange: Exchange, found: Observation | str, rows: int) -> None:
        """An exchange, what was understood of it or why nothing was, and its rows."""
        if self._spans is not None:
            generation = None if isinstance(found, str) else found.generation
            decoded = Decoded(became(found), rows, generation)
            if (span := self._late.span(exchange, decoded)) is not None:
                self._spans.offer(span)
        if self._payloads is not None:
            self._payloads.offer(exchange)
        if self._access is not None:
            self._access.offer(exchange, became(found), rows)

    def happened(self, event: Event) -> None:
        """An event, for whoever reads logs over OTLP."""
        if self._logs is not None:
            self._logs.offer(event)

    def sources(self) -> Iterator[Source]:
        """Of what each counts about itself."""
        yield from (sender.samples for sender in self._all)
        if self._spans is not None:
            yield self._late.samples

    async def stop(self, seconds: float) -> None:
        """Let each send what it has, all at once, within the time."""
        await asyncio.gather(*(asyncio.to_thread(sender.stop, seconds) for sender in self._all))
