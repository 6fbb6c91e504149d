"""What traffic, faults and watchers of one soak share."""

import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.app.command import Sidecar
from tests.proxy import clients
from tests.proxy.clients import Peer
from tests.soak.ledger import Ledger

Address = tuple[str, int]
MOST_BROKEN = 50


@dataclass(slots=True)
class World:
    """`clean` leads to a model that never fails, `faulty` to one that does. `broken` is what must not happen."""

    sidecar: Sidecar
    clean: Address
    faulty: Address
    ledger: Ledger = field(default_factory=Ledger)
    over: bool = False  # no session is begun any more
    pressed: bool = False  # there may be no descriptor left for a new client
    telemetry_down: bool = False  # or busy: a scrape may fail
    faults: list[str] = field(default_factory=list)  # in force now
    faulted: Counter[str] = field(default_factory=Counter)  # so far
    broken: list[str] = field(default_factory=list)
    sessions: int = 0

    def breaks(self, what: str) -> None:
        """Something broke; the list is bounded, its first entries tell most."""
        if len(self.broken) < MOST_BROKEN:
            self.broken.append(what)

    @asynccontextmanager
    async def client(self, address: Address, draw: random.Random) -> AsyncIterator[Peer]:
        """A client that is closed after the block; some read little at a time."""
        peer = await clients.connect(address, receive_buffer=4096 if draw.random() < 0.1 else 0)
        try:
            yield peer
        finally:
            peer.close()
