"""Steady traffic of real rows through the sidecar, whose mood a scene sets: healthy, failing now and then, drifted.

One caller in a thread, one request at a time. Invariant: `sent` counts answers by code, and nothing is sent twice.
"""

import http.client
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from exporter.demo.data import FEATURES
from exporter.demo.model import NAME
from exporter.demo.server import FAULTS_PATH

PACE_SECONDS = 0.05
ROWS = 5
HEADERS = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Mood:
    """How requests are made.

    `rows`: of a request, 0 for no request at all; `fails`: every how many of them the model fails, 0 for never;
    `people`: the share of Population that is left.
    """

    pace_seconds: float = PACE_SECONDS
    rows: int = ROWS
    fails: int = 0
    people: float = 1.0


HEALTHY = Mood()
PAUSED = Mood(rows=0)


class Traffic:
    """Calls the sidecar until `stop`; `mood` may be set at any time."""

    def __init__(self, sidecar: str, model: str, rows: NDArray[np.float64]) -> None:
        self.mood = HEALTHY
        self.sent: Counter[int] = Counter()
        self._sidecar, self._model = (urlsplit(url).netloc for url in (sidecar, model))
        self._rows = rows
        self._stopped = threading.Event()
        # Held while a request is in hand.
        self._busy = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def pause(self) -> None:
        """No request is in hand or begins, until a scene sets another mood."""
        self.mood = PAUSED
        with self._busy:
            pass

    def stop(self) -> None:
        """Let the request in hand end; safe twice."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        number = 0
        while not self._stopped.wait(self.mood.pace_seconds):
            with self._busy:
                number += 1
                self._turn(number, self.mood)

    def _turn(self, number: int, mood: Mood) -> None:
        if not mood.rows:
            return
        fails = bool(mood.fails) and number % mood.fails == 0
        if fails:
            self._faults(1.0)
        self._call(number, mood)
        if fails:
            self._faults(0.0)

    def _call(self, number: int, mood: Mood) -> None:
        first = number * mood.rows % (len(self._rows) - mood.rows)
        rows = self._rows[first : first + mood.rows].copy()
        people = rows[:, FEATURES.index("Population")]
        # Whole, and no fewer than there ever were: values that cannot be right are another alert, which inhibits drift.
        people[:] = np.maximum(
            np.ceil(people * mood.people), self._rows[:, FEATURES.index("Population")].min()
        )
        instances = [dict(zip(FEATURES, row, strict=True)) for row in rows.tolist()]
        code = _ask(self._sidecar, "POST", f"/v1/models/{NAME}:predict", {"instances": instances})
        self.sent[code] += 1

    def _faults(self, ratio: float) -> None:
        _ask(self._model, "PUT", FAULTS_PATH, {"error_ratio": ratio})


def _ask(address: str, method: str, path: str, body: object) -> int:
    """The code of the answer, 0 if there was none."""
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        connection.request(method, path, json.dumps(body), HEADERS)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except OSError:
        return 0
    finally:
        connection.close()


@contextmanager
def flowing(traffic: Traffic) -> Iterator[Traffic]:
    traffic.start()
    try:
        yield traffic
    finally:
        traffic.stop()
