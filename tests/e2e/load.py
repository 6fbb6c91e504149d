"""Steady traffic from several kept connections, in threads: what was answered and what broke.

A request is either answered whole or broken: there is no third outcome, and nothing is sent twice.
"""

import http.client
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.client import Client, Ledger

# Between two requests of one connection: enough load to have exchanges in flight at every kill.
PAUSE_SECONDS = 0.004
BROKEN = (http.client.HTTPException, OSError)


class Load:
    """`connections` callers of one model until `stop`; read the counts after that."""

    def __init__(self, port: int, model: str, body: bytes, connections: int = 4) -> None:
        self._port, self._model, self._body = port, model, body
        self._stopped = threading.Event()
        self._ledgers = [Ledger() for _ in range(connections)]
        self._broken = [0] * connections
        self._threads = [
            threading.Thread(target=self._call, args=(n,), daemon=True) for n in range(connections)
        ]

    def start(self) -> None:
        """Begin calling."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let the requests in hand end, then end; safe twice."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    @property
    def answers(self) -> Counter[str]:
        """Requests answered whole, by code."""
        return sum((ledger.by_code() for ledger in self._ledgers), Counter())

    @property
    def broken(self) -> int:
        """Requests that got no whole answer."""
        return sum(self._broken)

    @property
    def finished(self) -> int:
        """Requests that ended, in either way."""
        return self.answers.total() + self.broken

    def _call(self, number: int) -> None:
        client = Client(self._port, self._ledgers[number], seed=number)
        while not self._stopped.wait(PAUSE_SECONDS):
            try:
                client.infer(self._model, self._body, sampled=False)
            except BROKEN:
                self._broken[number] += 1
                client.close()
        client.close()


@contextmanager
def calling(port: int, model: str, body: bytes) -> Iterator[Load]:
    """Traffic that ends with the block."""
    load = Load(port, model, body)
    load.start()
    try:
        yield load
    finally:
        load.stop()
