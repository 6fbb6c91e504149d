"""Takes batches from the data planes, hands every exchange to one function, acknowledges what was processed.

Works in slices of at most 20 ms, so that a scrape or a beat never waits long behind a batch.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import cast

from exporter.records.exchange import Exchange
from exporter.records.queue import Ack, Control, Frames, decode_batch, encode_control

log = logging.getLogger(__name__)
SLICE_SECONDS = 0.02


class Link(asyncio.Protocol):
    """The analysis' end of the channel to one worker."""

    def __init__(self, consumer: "Consumer") -> None:
        self._consumer = consumer
        self._frames = Frames()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A worker is there."""
        self._transport = cast(
            asyncio.WriteTransport, transport
        )  # uvloop's transports derive from none of asyncio's
        self._consumer.links.add(self)

    def data_received(self, data: bytes) -> None:
        """Frames of batches."""
        for payload in self._frames.feed(data):
            self._consumer.offer(self, payload)

    def connection_lost(self, exc: Exception | None) -> None:
        """The worker is gone; what it sent is still processed."""
        self._consumer.links.discard(self)
        self._transport = None

    def send(self, message: Control) -> None:
        """To the worker, if it is still there."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(encode_control(message))


class Consumer:
    """`handle` gets every exchange in order of arrival, `flush` is called behind each batch; they must not raise."""

    def __init__(self, handle: Callable[[Exchange], None], flush: Callable[[], None]) -> None:
        self._handle = handle
        self._flush = flush
        self._waiting: deque[tuple[Link, bytes]] = deque()
        self._arrived = asyncio.Event()
        self.links: set[Link] = set()

    def offer(self, link: Link, payload: bytes) -> None:
        """A batch arrived. The senders' bound on what is unacknowledged is the bound here."""
        self._waiting.append((link, payload))
        self._arrived.set()

    def tell(self, message: Control) -> None:
        """Something that every worker should know."""
        for link in self.links:
            link.send(message)

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._arrived.wait()
            started = perf_counter()
            while self._waiting:
                link, payload = self._waiting.popleft()
                batch = decode_batch(payload)
                for exchange in batch.exchanges:
                    self._handle(exchange)
                    if perf_counter() - started > SLICE_SECONDS:
                        await asyncio.sleep(0)
                        started = perf_counter()
                self._flush()
                link.send(Ack(batch.number))
            self._arrived.clear()

    async def drained(self, seconds: float) -> None:
        """Wait until nothing waits, at most that long."""
        deadline = asyncio.get_running_loop().time() + seconds
        while self._waiting and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
