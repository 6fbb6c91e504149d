"""consumer.py: batches in, exchanges handed on, acknowledgements back."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from exporter.analysis import consumer
from exporter.analysis.consumer import LARGE_BYTES, Consumer, Link
from exporter.records import totals
from exporter.records.exchange import Exchange
from exporter.records.messages import Ack, Learned, Sampling, decode_control
from exporter.records.queue import Frames, Sender
from exporter.records.totals import Writer
from tests.analysis.world import layout, v2

ONE = v2({"x": [1.0]}, {"y": [0.5]})
LARGE = v2({}, {}, response_body=b" " * (LARGE_BYTES + 1))


class Case:
    """A consumer behind a real socket, with the data plane's own sender in front."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.consumer = Consumer(self._handle, self._large, lambda: self.events.append("flush"))
        self.writer = Writer(totals.create(layout()), layout())
        self.sender = Sender(self.writer)
        self.heard: list[object] = []
        self.loop = asyncio.get_running_loop()

    def _handle(self, exchange: Exchange) -> None:
        self.events.append("one")

    async def _large(self, exchange: Exchange) -> None:
        await asyncio.sleep(0)
        self.events.append("large")

    def batches(self, count: int) -> None:
        """So many, of one exchange each."""
        for _ in range(count):
            self.sender.put(ONE)
            self.sender.flush()

    async def link(self) -> None:
        ours, theirs = socket.socketpair()
        for sock in (ours, theirs):
            sock.setblocking(False)
        await self.loop.create_connection(lambda: Link(self.consumer), sock=theirs)
        reader, self.stream = await asyncio.open_connection(sock=ours)
        self.sender.connect(self.stream.write)
        self.listener = asyncio.create_task(self._listen(reader))

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        frames = Frames()
        while data := await reader.read(1 << 16):
            for payload in frames.feed(data):
                message = decode_control(payload)
                self.heard.append(message)
                if isinstance(message, Ack):
                    self.sender.acknowledge(message.number)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0.001)


def scenario(body: Callable[[Case], Awaitable[None]]) -> None:
    async def main() -> None:
        case = Case()
        await case.link()
        running = asyncio.create_task(case.consumer.run())
        await body(case)
        running.cancel()
        case.stream.close()
        await case.listener

    asyncio.run(main())


def test_batches_gather_after_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a round it rests: what comes then is counted together and acknowledged once, or when it must."""
    monkeypatch.setattr(consumer, "REST_SECONDS", 3600.0)

    async def body(case: Case) -> None:
        case.batches(1)
        await case.until(lambda: case.heard == [Ack(1)])
        case.batches(3)
        await case.until(lambda: len(case.consumer._waiting) == 3)
        assert case.events == ["one", "flush"]
        assert await case.consumer.drained(5)
        await case.until(lambda: case.heard == [Ack(1), Ack(4)])
        assert case.events == ["one", "flush", "one", "one", "one", "flush"]

    scenario(body)


def test_many_bytes_are_not_kept_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a bound of bytes the rest is over."""
    monkeypatch.setattr(consumer, "REST_SECONDS", 3600.0)

    async def body(case: Case) -> None:
        case.batches(1)
        await case.until(lambda: case.heard == [Ack(1)])
        case.sender.put(LARGE)
        case.sender.flush()
        await case.until(lambda: case.heard == [Ack(1), Ack(2)])
        assert case.consumer._waiting_bytes == 0

    scenario(body)


def test_ledger_closes() -> None:
    """Every exchange is handed on once, in order, and acknowledged behind the flush that counted it."""

    async def body(case: Case) -> None:
        for _ in range(200):
            case.sender.put(ONE)
        case.sender.flush()
        await case.until(lambda: case.writer.slots[case.writer.scalar("acknowledged")] == 200)
        assert case.events.count("one") == 200
        assert case.events[-1] == "flush"
        assert case.writer.slots[case.writer.scalar("unacknowledged")] == 0

    scenario(body)


def test_batches_that_wait_are_counted_together() -> None:
    """Batches that are there already share a flush."""

    async def body(case: Case) -> None:
        for _ in range(256):
            case.sender.put(ONE)
        await case.until(lambda: case.events.count("one") == 256 and case.events[-1] == "flush")
        assert case.events.count("flush") < 4

    scenario(body)


def test_large_bodies_go_another_way_in_their_turn() -> None:
    """An exchange of more than 1 MiB does not hold up the loop, and keeps its place."""

    async def body(case: Case) -> None:
        for one in (ONE, LARGE, ONE):
            case.sender.put(one)
        case.sender.flush()
        await case.until(lambda: case.events.count("one") == 2 and case.events[-1] == "flush")
        assert [event for event in case.events if event != "flush"] == ["one", "large", "one"]

    scenario(body)


def test_what_was_said_is_said_again_to_a_new_worker() -> None:
    """A worker that starts later hears the last of each message."""

    async def body(case: Case) -> None:
        for message in (Sampling(0.5), Sampling(0.25), Learned({"iris": "1"})):
            case.consumer.tell(message)
        await case.until(lambda: len(case.heard) == 3)
        first, case.heard = case.stream, []
        await case.link()
        await case.until(lambda: len(case.heard) == 2)
        assert case.heard == [Sampling(0.25), Learned({"iris": "1"})]
        first.close()
        await case.until(lambda: len(case.consumer.links) == 1)

    scenario(body)


def test_drained_waits_for_the_batch_in_hand() -> None:
    """It is over when the last batch was counted; without an end it gives up in time."""

    async def body(case: Case) -> None:
        for _ in range(64):
            case.sender.put(LARGE if _ == 0 else ONE)
        case.sender.flush()
        await case.until(lambda: bool(case.events))
        assert await case.consumer.drained(5)
        assert case.events[-1] == "flush"

    scenario(body)


def test_drained_gives_up_in_time() -> None:
    """A consumer that does not run is not waited for beyond the time given."""

    async def main() -> bool:
        case = Case()
        link = Link(case.consumer)
        case.consumer.offer(link, b"")
        return await case.consumer.drained(0.0)

    assert asyncio.run(main()) is False
