"""A worker between a scripted model and raw clients, with its totals read back and its exchanges received.

Leaving the lab asserts what must hold after every case: nothing in flight, no connection, no descriptor of a pair, no
captured byte, no exception in any callback or task, and a queue ledger that adds up.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic_ns
from typing import Any, Self

from exporter.proxy import settings as proxy
from exporter.proxy.settings import Settings
from exporter.proxy.worker import Worker
from exporter.records import messages, queue, totals
from exporter.records.catalogue import SIZE_BUCKETS
from exporter.records.exchange import ERROR_TYPES, Exchange
from tests.proxy import clients
from tests.proxy.clients import Peer
from tests.proxy.upstreams import Script, Upstream, closed_port, listener


@dataclass(frozen=True, slots=True)
class Row:
    """One label set of the totals. Times in nanoseconds, sizes in bytes; a family is (count, sum)."""

    model_name: str
    model_version: str
    operation: str
    protocol: str
    code: str
    families: dict[str, tuple[int, int]]
    errors: dict[str, int]

    @property
    def count(self) -> int:
        return self.families["duration"][0]


class Analysis(asyncio.Protocol):
    """The other end of the link: keeps what comes and acknowledges it."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self._frames = queue.Frames()
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        for payload in self._frames.feed(data):
            batch = messages.decode_batch(payload)
            self.exchanges += batch.exchanges
            self.tell(messages.Ack(batch.number))

    def tell(self, message: messages.Control) -> None:
        self.transport.write(messages.encode_control(message))


class Lab:
    """`start`, then `client`; entered and left by the fixture."""

    def __init__(self) -> None:
        self.errors: list[dict[str, Any]] = []
        self.analysis = Analysis()
        self.upstream: Upstream | None = None
        self._peers: list[Peer] = []
        self._later = 0

    async def __aenter__(self) -> Self:
        self.loop = asyncio.get_running_loop()
        self.loop.set_exception_handler(lambda _loop, context: self.errors.append(context))
        self.worker: Worker | None = None
        return self

    async def start(
        self,
        script: Script | None = None,
        *,
        send_buffer: int = 0,
        listen: str = "127.0.0.1",
        host: str = "127.0.0.1",
        port: int = 0,
        opaque: bool = False,
        **changes: Any,
    ) -> None:
        """A model that follows the script (None: nobody listens) and a worker with these settings in front of it."""
        if script is not None:
            self.upstream = Upstream(script, send_buffer=send_buffer)
            self.upstream.start()
        port = port or (self.upstream.address[1] if self.upstream else closed_port())
        if changes.get("max_concurrency"):
            changes = {"mode": "gate", **changes}
        settings = Settings(
            **{"upstreams": (proxy.Upstream(host=host, port=port, opaque=opaque),), **changes}
        )
        self._layout = totals.Layout(settings.latency_buckets)
        self._totals_fd = totals.create(self._layout)
        self.reader = totals.Reader(self._totals_fd, self._layout)
        self.worker = Worker(settings, self._totals_fd, self.loop)
        self._listener = listener(listen)
        if send_buffer:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        await self.worker.start([self._listener])
        ours, theirs = socket.socketpair()
        for sock in (ours, theirs):
            sock.setblocking(False)
        await self.loop.create_connection(lambda: self.analysis, sock=theirs)
        await self.worker.attach(ours)

    @property
    def plane(self) -> Any:
        assert self.worker is not None
        return self.worker.plane

    @property
    def model(self) -> Upstream:
        assert self.upstream is not None
        return self.upstream

    async def client(self, host: str = "", receive_buffer: int = 0) -> Peer:
        peer = await clients.connect((host or self.address[0], self.address[1]), receive_buffer)
        self._peers.append(peer)
        return peer

    async def ask(self, data: bytes, bodiless: bool = False) -> clients.Message:
        """One request on a connection of its own; closes it."""
        peer = await self.client()
        await peer.send(data)
        message = await peer.read_message(bodiless)
        peer.close()
        return message

    # ---------------------------------------------------------------- what the worker tells

    def rows(self) -> list[Row]:
        """Every label set of finished exchanges."""
        found = []
        for number, labels in enumerate(self.reader.label_sets()):
            if len(labels) == 5:
                found.append(self._row(labels, [int(slot) for slot in self.reader.block(number)]))
        return found

    def _row(self, labels: tuple[str, ...], slots: list[int]) -> Row:
        bounds, at = len(self._layout.latency_bounds) + 1, 0
        families: dict[str, tuple[int, int]] = {}
        for name in totals.LATENCY_FAMILIES:
            width = self._layout.latency_slots
            count = sum(slots[at : at + bounds])
            assert count == sum(slots[at + bounds : at + width - 1]), "both bucket arrays count the same"
            families[name] = (count, slots[at + width - 1])
            at += width
        for name in totals.SIZE_FAMILIES:
            width = len(SIZE_BUCKETS) + 2
            families[name] = (sum(slots[at : at + width - 1]), slots[at + width - 1])
            at += width
        errors = {kind: slots[at + index] for index, kind in enumerate(ERROR_TYPES) if slots[at + index]}
        return Row(*labels, families, errors)

    def outcomes(self) -> dict[tuple[str, str], int]:
        """(code, error type or "") -> finished exchanges, over all other labels."""
        found: dict[tuple[str, str], int] = {}
        for row in self.rows():
            for error, count in (*row.errors.items(), ("", row.count - sum(row.errors.values()))):
                if count:
                    found[row.code, error] = found.get((row.code, error), 0) + count
        return found

    def total(self, family: str) -> tuple[int, int]:
        """(count, sum) of a family over all label sets."""
        pairs = [row.families[family] for row in self.rows()]
        return sum(count for count, _ in pairs), sum(value for _, value in pairs)

    def in_flight(self) -> int:
        return sum(self.reader.in_flight(number) for number in range(len(self.reader.label_sets())))

    def connections(self) -> dict[str, tuple[int, int, int]]:
        """Protocol -> (ended, bytes from clients, bytes to clients)."""
        found = {}
        for protocol in totals.CONNECTION_PROTOCOLS:
            count, received, sent, *_ = (int(slot) for slot in self.reader.connections(protocol))
            if count:
                found[protocol] = (count, received, sent)
        return found

    def reasons(self, *groups: str) -> dict[str, int]:
        """What was counted in these groups, by reason; zeros left out."""
        return {
            reason: count for group in groups for reason, count in self.reader.reasons(group).items() if count
        }

    def desyncs(self) -> dict[str, int]:
        return self.reasons("desync_request", "desync_response")

    # ---------------------------------------------------------------- waiting and ending

    async def until(self, holds: Callable[[], object], seconds: float = clients.DEADLINE) -> None:
        """Poll, with a deadline."""
        deadline = self.loop.time() + seconds
        while not holds():
            assert self.loop.time() < deadline, "what was waited for did not come"
            await asyncio.sleep(0.002)

    def later(self, seconds: float) -> None:
        """As if so much time had gone by for the bounds on time."""
        self._later += round(seconds * 1e9)
        self.plane.deadlines.run(monotonic_ns() + self._later)

    async def finished(self, count: int) -> None:
        """So many exchanges are counted."""
        await self.until(lambda: sum(row.count for row in self.rows()) >= count)

    async def received(self, count: int) -> list[Exchange]:
        """So many exchanges reached the analysis."""
        await self.until(lambda: len(self.analysis.exchanges) >= count)
        return self.analysis.exchanges

    async def idle(self) -> None:
        """No connection is left."""
        await self.until(lambda: not self.plane.pairs and self.reader.scalar("connections_open") == 0)

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        for peer in self._peers:
            peer.close()
        if self.worker is not None:
            try:
                if kind is None:
                    await self._check()
            finally:
                self.worker.stop()
                self.analysis.transport.abort()
                if self.plane.link is not None:
                    self.plane.link.close()
                for _ in range(5):  # callbacks of what was just closed
                    await asyncio.sleep(0)
                os.close(self._totals_fd)
        if self.upstream is not None:
            await self.upstream.stop()
        if kind is None:
            assert self.errors == []

    async def _check(self) -> None:
        await self.idle()
        assert self.in_flight() == 0
        assert self.reader.scalar("queue_length") == 0
        assert self.plane.captured == 0
        assert self.plane.admission._used == 0
        self.plane.sender.flush()
        await self.until(lambda: self.reader.scalar("unacknowledged") == 0)
        offered, acknowledged = self.reader.scalar("offered"), self.reader.scalar("acknowledged")
        assert offered == acknowledged + sum(self.reasons("dropped").values())
        assert acknowledged == len(self.analysis.exchanges)
