"""Clients of the model: some keep their connection, the others open one for each request; every failure is kept."""

from __future__ import annotations

import http.client
import json
import threading
import time
from dataclasses import dataclass, field

from exporter.demo.data import FEATURES
from tests.e2e.processes import LOOPBACK

PATH = "/v2/models/housing/infer"
ROW = dict(zip(FEATURES, (3.5, 28.0, 5.4, 1.1, 1425.0, 2.9, 35.6, -119.6), strict=True))
BODY = json.dumps(
    {
        "inputs": [
            {"name": name, "shape": [1], "datatype": "FP64", "data": [value]} for name, value in ROW.items()
        ]
    }
).encode()
PAUSE_SECONDS = 0.02


def infer(connection: http.client.HTTPConnection) -> bytes:
    """One inference; anything but a whole 200 raises."""
    connection.request("POST", PATH, BODY, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise http.client.HTTPException(f"{answer.status} {body[:200]!r}")
    return body


@dataclass(slots=True)
class Load:
    """So many clients at one port until `stop`; `answered` and `failed` are whole after it."""

    port: int
    clients: int = 8
    answered: int = 0
    failed: list[str] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> Load:
        """Begin; every second client keeps its connection."""
        self._threads = [
            threading.Thread(target=self._client, args=(number % 2 == 0,)) for number in range(self.clients)
        ]
        for each in self._threads:
            each.start()
        return self

    def stop(self) -> None:
        """End after the request that each has in hand."""
        self._ended.set()
        for each in self._threads:
            each.join(60)

    def _client(self, keeps: bool) -> None:
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=30)
        while not self._ended.is_set():
            try:
                infer(connection)
            except (OSError, http.client.HTTPException) as error:
                with self._lock:
                    self.failed.append(f"{time.strftime('%X')} {error!r}")
                connection.close()
            else:
                with self._lock:
                    self.answered += 1
            if not keeps:
                connection.close()
            self._ended.wait(PAUSE_SECONDS)
        connection.close()
