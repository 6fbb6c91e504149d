"""Steady traffic from a few threads, each with a connection that it keeps, until the block ends."""

import http.client
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from tests.app.command import BODY, INFER
from tests.app.upstream import ANSWER
from tests.e2e.processes import LOOPBACK


class Load:
    """What came back: `answers` by status, `broken` for exchanges that were cut, `wrong` for any byte that differs."""

    def __init__(self, port: int, pause: float) -> None:
        self.answers: Counter[int] = Counter()
        self.broken = self.wrong = 0
        self._port, self._pause = port, pause
        self._over = threading.Event()
        self._lock = threading.Lock()

    @property
    def finished(self) -> int:
        """Exchanges that ended in any way."""
        return self.answers.total() + self.broken

    def run(self) -> None:
        """One thread's part."""
        while not self._over.is_set():
            connection = http.client.HTTPConnection(LOOPBACK, self._port, timeout=20)
            try:
                for _ in range(100):
                    connection.request("POST", INFER, BODY)
                    answer = connection.getresponse()
                    body = answer.read()
                    with self._lock:
                        self.answers[answer.status] += 1
                        self.wrong += body != ANSWER
                    if self._over.wait(self._pause):
                        break
            except (OSError, http.client.HTTPException):
                with self._lock:
                    self.broken += 1
            finally:
                connection.close()

    def stop(self) -> None:
        """No exchange is begun after this."""
        self._over.set()


@contextmanager
def load(port: int, threads: int = 4, pause: float = 0.0) -> Iterator[Load]:
    """Traffic within the block, with so many seconds between two exchanges; at its end every exchange is over."""
    traffic = Load(port, pause)
    started = [threading.Thread(target=traffic.run) for _ in range(threads)]
    for thread in started:
        thread.start()
    try:
        yield traffic
    finally:
        traffic.stop()
        for thread in started:
            thread.join()
