"""Takes batches from the data planes, hands every exchange to one function, acknowledges what was processed.

Works in slices of at most 20 ms, so that a scrape or a beat never waits long behind a batch. What waits is bounded by
the senders: so many bytes without an acknowledgement.
"""

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import cast

from exporter.records.exchange import Exchange
from exporter.records.messages import Ack, Control, decode_batch, encode_control
from exporter.records.queue import Frames

SLICE_SECONDS = 0.02
ROUND_EXCHANGES = 512
# A round costs half a millisecond whatever is in it: after one, batches gather for a while, unless they become many.
REST_SECONDS = 0.05
REST_BYTES = 1 << 20
LARGE_BYTES = 1 << 20
_CODED = re.compile(rb"(?i)\ncontent-encoding:")

Handle = Callable[[Exchange], None]


class Link(asyncio.Protocol):
    """The analysis' end of the channel to one worker."""

    def __init__(self, consumer: "Consumer") -> None:
        self._consumer = consumer
        self._frames = Frames()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A worker is there."""
        # uvloop's transports derive from none of asyncio's.
        self._transport = cast(asyncio.WriteTransport, transport)
        self._consumer.connected(self)

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
    """`handle` gets every exchange in order of arrival, `large` instead those with more than 1 MiB of bodies.

    `flush` is called behind a round of batches, before they are acknowledged. None of them may raise.
    """

    def __init__(
        self, handle: Handle, large: Callable[[Exchange], Awaitable[None]], flush: Callable[[], None]
    ) -> None:
        self._handle = handle
        self._large = large
        self._flush = flush
        self._waiting: deque[tuple[Link, bytes]] = deque()
        self._waiting_bytes = 0
        self._resting = False
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._said: dict[type[Control], Control] = {}
        self.links: set[Link] = set()

    def connected(self, link: Link) -> None:
        """A worker, perhaps a new one: it hears what the others were told last."""
        self.links.add(link)
        for message in self._said.values():
            link.send(message)

    def offer(self, link: Link, payload: bytes) -> None:
        """A batch arrived."""
        self._waiting.append((link, payload))
        self._waiting_bytes += len(payload)
        self._idle.clear()
        if not self._resting or self._waiting_bytes > REST_BYTES:
            self._arrived.set()

    def tell(self, message: Control) -> None:
        """Something that every worker should know, and every one that comes later."""
        self._said[type(message)] = message
        for link in self.links:
            link.send(message)

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                await self._round()
                await asyncio.sleep(0)
            self._idle.set()
            self._resting = True
            asyncio.get_running_loop().call_later(REST_SECONDS, self._rested)

    def _rested(self) -> None:
        self._resting = False
        if self._waiting:
            self._arrived.set()

    async def _round(self) -> None:
        """Batches that wait, as far as they fit into a slice; counted together, for windows cost by the call."""
        started = paused = perf_counter()
        taken = 0
        done: dict[Link, int] = {}
        while self._waiting and taken < ROUND_EXCHANGES and perf_counter() - started < SLICE_SECONDS:
            link, payload = self._waiting.popleft()
            self._waiting_bytes -= len(payload)
            batch = decode_batch(payload)
            for exchange in batch.exchanges:
                if _large(exchange):
                    await self._large(exchange)
                else:
                    self._handle(exchange)
                if perf_counter() - paused > SLICE_SECONDS:
                    await asyncio.sleep(0)
                    paused = perf_counter()
            taken += len(batch.exchanges)
            done[link] = batch.number
        self._flush()
        # An acknowledgement holds for all batches before it.
        for link, number in done.items():
            link.send(Ack(number))

    async def drained(self, seconds: float) -> bool:
        """Wait until everything that arrived was processed, at most that long; whether it was."""
        self._rested()
        try:
            await asyncio.wait_for(self._idle.wait(), seconds)
        except TimeoutError:
            return False
        return True


def _large(exchange: Exchange) -> bool:
    """Whether decoding it may take longer than a slice of the loop: large bodies, and small ones that may inflate."""
    if exchange.aside:
        return False
    size = len(exchange.request_body) + len(exchange.response_body)
    return size > LARGE_BYTES or _CODED.search(exchange.request_head + exchange.response_head) is not None
