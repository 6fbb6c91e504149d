"""A client of the model: real V2 requests over kept connections, and a ledger of what was sent and seen.

The ledger is the other side of every count that the exporter publishes; ids come from a seed.
"""

import csv
import http.client
import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.processes import LOOPBACK

Row = dict[str, float]
TIMEOUT_SECONDS = 60.0
CLASS_OUTPUT = "predict"


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller's span, as it goes into `traceparent`."""

    trace_id: str
    span_id: str
    sampled: bool

    @property
    def traceparent(self) -> str:
        """W3C trace context, version 00."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole."""

    code: int
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Ledger:
    """Answers by (model in the path, code), predicted rows by class, callers in order, and rows in all."""

    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    callers: list[Caller] = field(default_factory=list)
    rows: int = 0

    def sampled(self) -> dict[str, Caller]:
        """The callers that were sampled, by trace id."""
        return {caller.trace_id: caller for caller in self.callers if caller.sampled}

    def by_code(self) -> Counter[str]:
        """Answers by code, all models together."""
        total: Counter[str] = Counter()
        for (_, code), count in self.answers.items():
            total[code] += count
        return total


class Client:
    """One kept connection to the sidecar at `port`."""

    def __init__(self, port: int, ledger: Ledger, seed: int) -> None:
        self._connection = http.client.HTTPConnection(LOOPBACK, port, timeout=TIMEOUT_SECONDS)
        self._ledger = ledger
        self._random = random.Random(seed)

    def close(self) -> None:
        """End the connection; safe twice."""
        self._connection.close()

    def infer(self, model: str, body: bytes, sampled: bool = True, version: str = "") -> Answer:
        """POST one inference request with a caller's trace context of its own; of a version, if the path names one."""
        bits = self._random.getrandbits
        caller = Caller(f"{bits(128) | 1:032x}", f"{bits(64) | 1:016x}", sampled)
        headers = {"content-type": "application/json", "traceparent": caller.traceparent}
        path = f"/v2/models/{model}/versions/{version}" if version else f"/v2/models/{model}"
        self._connection.request("POST", f"{path}/infer", body, headers)
        response = self._connection.getresponse()
        fields = {name.lower(): value for name, value in response.getheaders()}
        answer = Answer(response.status, fields, response.read())
        self._note(model, caller, answer)
        return answer

    def _note(self, model: str, caller: Caller, answer: Answer) -> None:
        self._ledger.callers.append(caller)
        self._ledger.answers[model, str(answer.code)] += 1
        if answer.code == http.HTTPStatus.OK:
            output = next(out for out in json.loads(answer.body)["outputs"] if out["name"] == CLASS_OUTPUT)
            self._ledger.classes.update(str(value) for value in output["data"])
            self._ledger.rows += len(output["data"])


@contextmanager
def connected(port: int, ledger: Ledger, seed: int) -> Iterator[Client]:
    """A client whose connection is closed at the end."""
    client = Client(port, ledger, seed)
    try:
        yield client
    finally:
        client.close()


def read_rows(data: Path, leave_out: Sequence[str] = ()) -> list[Row]:
    """The CSV's rows as numbers, without the columns left out."""
    with data.open(newline="") as file:
        return [
            {name: float(value) for name, value in row.items() if name not in leave_out}
            for row in csv.DictReader(file)
        ]


def inference_request(rows: Sequence[Row], outputs: Sequence[str] = (CLASS_OUTPUT,)) -> bytes:
    """A V2 request of those rows, one named input per column, as MLServer's pandas content type wants it."""
    inputs = [
        {"name": name, "shape": [len(rows), 1], "datatype": "FP64", "data": [row[name] for row in rows]}
        for name in rows[0]
    ]
    wanted = [{"name": name} for name in outputs]
    return json.dumps({"parameters": {"content_type": "pd"}, "inputs": inputs, "outputs": wanted}).encode()
