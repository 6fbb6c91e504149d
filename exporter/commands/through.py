"""`modeltap profile --through URL`: the reference rows sent to the model, its answers as columns beside them.

The answers are read by the live decoders, so a prediction has the name and the kind here that it will have live. They
are kept in a temporary file, a line per part of the data, so that the model is asked once however often the rows are
read. Refuses to know bins. Invariants: at most ATTEMPTS requests per batch; a batch without an answer ends the command.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Final
from urllib.parse import quote, urlsplit

from exporter.commands.observing import Answer, Asked, observed
from exporter.commands.reading import DataError, Part, Source
from exporter.records.observation import Undecodable
from exporter.stats.profiles.survey import Plan
from exporter.stats.profiles.types import Cells, Typed, typed

ATTEMPTS: Final = 4
FIRST_PAUSE_SECONDS: Final = 0.5
MAX_ANSWER: Final = 256 << 20
PROTOCOLS: Final = ("v2", "v1")
_LOST: Final = (OSError, http.client.HTTPException)
_AGAIN: Final = frozenset((408, 429, 500, 502, 503, 504))


@dataclass(frozen=True, slots=True)
class Ask:
    """How the model is asked. `tensor`: all features as one V2 tensor of that name; `outputs`: those wanted."""

    url: str
    model: str
    protocol: str = "v2"
    batch: int = 64
    timeout: float = 30.0
    tensor: str | None = None
    outputs: tuple[str, ...] = ()

    def problems(self) -> list[str]:
        """All that is wrong, as sentences."""
        found = []
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            found.append(f"--through: {self.url!r}, expected http://HOST[:PORT] or https://HOST[:PORT]")
        if not self.model or set(self.model) & set("*?[]"):
            found.append(f"--through: model {self.model!r}, expected the model's own name as --model")
        if not 1 <= self.batch <= 10_000:
            found.append(f"--batch: {self.batch}, expected a whole number from 1 to 10000")
        return found

    @property
    def target(self) -> str:
        """The path of an inference."""
        base, name = urlsplit(self.url).path.rstrip("/"), quote(self.model, safe="")
        return (
            f"{base}/v2/models/{name}/infer" if self.protocol == "v2" else f"{base}/v1/models/{name}:predict"
        )


class Model:
    """A model over one kept connection."""

    def __init__(self, ask: Ask, pause: Callable[[float], None] = time.sleep) -> None:
        self.ask = ask
        self._pause = pause
        self._connection: http.client.HTTPConnection | None = None

    def answer(self, body: bytes) -> Answer:
        """The 2xx answer to a request. Raises DataError when the attempts are used up, or at once for a refusal."""
        problem = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                self._pause(FIRST_PAUSE_SECONDS * 2.0 ** (attempt - 1))
            try:
                found = self._once(body)
            except _LOST as error:
                self.close()
                problem = f"{type(error).__name__}: {error}"
                continue
            if 200 <= found.status < 300:
                return found
            problem = f"status {found.status}: {found.body[:200].decode('utf-8', 'replace')}"
            if found.status not in _AGAIN:
                break
        raise DataError(f"{self.ask.url}{self.ask.target}: {problem}; a 2xx answer was expected")

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _once(self, body: bytes) -> Answer:
        if self._connection is None:
            self._connection = self._connect()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        self._connection.request("POST", self.ask.target, body, headers)
        with self._connection.getresponse() as response:
            raw = response.read(MAX_ANSWER + 1)
            if len(raw) > MAX_ANSWER:
                raise DataError(f"{self.ask.url}: an answer of over {MAX_ANSWER >> 20} MiB")
            return Answer(response.status, response.getheader("Content-Type", ""), raw)

    def _connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.ask.url)
        host = parts.hostname or ""
        if parts.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(host, parts.port, timeout=self.ask.timeout, context=context)
        return http.client.HTTPConnection(host, parts.port, timeout=self.ask.timeout)


@dataclass(slots=True)
class AnsweredSource:
    """A source with the model's answers as further columns. An answer takes the place of a column of its name."""

    source: Source
    spool: IO[str]
    outputs: list[str] = field(default_factory=list)

    @property
    def path(self) -> str:
        return self.source.path

    @property
    def written(self) -> bool:
        return self.source.written

    @property
    def word(self) -> str:
        return self.source.word

    def names(self) -> list[str]:
        """The source's columns, then the answers'."""
        return [*(name for name in self.source.names() if name not in self.outputs), *self.outputs]

    def given(self) -> dict[str, str]:
        """Answers are predictions."""
        return self.source.given() | dict.fromkeys(self.outputs, "prediction")

    def late(self) -> Mapping[str, int]:
        """Those of the source."""
        return self.source.late()

    def parts(self) -> Iterator[Part]:
        """All rows with their answers."""
        self.spool.seek(0)
        for part, line in zip(self.source.parts(), self._lines(), strict=True):
            answers: dict[str, list[Any]] = json.loads(line)
            cells = {name: cells for name, cells in part.cells.items() if name not in self.outputs}
            for name in self.outputs:
                values = answers.get(name, [None] * len(part.lines))
                cells[name] = [_written(value) for value in values] if self.written else values
            yield Part(cells, part.lines)

    def _lines(self) -> Iterator[str]:
        # readline and no iteration: the file is read anew while an earlier pass may not have ended.
        return iter(self.spool.readline, "")


def _written(value: Any) -> str:
    """A value as CSV has it."""
    if value is None:
        return ""
    return value if isinstance(value, str) else repr(value)


@contextlib.contextmanager
def answered(source: Source, plans: Sequence[Plan], model: Model) -> Iterator[AnsweredSource]:
    """The source with the model's answers, all of them asked for now. Raises DataError and OSError."""
    features = [plan for plan in plans if plan.role == "feature"]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as spool, contextlib.closing(model):
        outputs: dict[str, None] = {}
        for part in source.parts():
            columns = {p.name: typed(part.cells[p.name], p.type, source.written, p.unit) for p in features}
            answers = _answers(model, part, features, columns)
            outputs.update(dict.fromkeys(answers))
            spool.write(json.dumps(answers) + "\n")
        if not outputs:
            raise DataError(f"{model.ask.url}: the answers hold no columns; at least one was expected")
        yield AnsweredSource(source, spool, list(outputs))


def _answers(
    model: Model, part: Part, features: Sequence[Plan], columns: Mapping[str, Typed]
) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    rows = len(part.lines)
    for start in range(0, rows, model.ask.batch):
        chosen = slice(start, min(rows, start + model.ask.batch))
        values = {
            plan.name: _plain(plan, part.cells[plan.name], columns[plan.name], chosen) for plan in features
        }
        body = _body(model.ask, features, values)
        answer = model.answer(body)
        where = f"{model.ask.url}, rows {part.lines[start]} to {part.lines[chosen.stop - 1]}"
        try:
            one = observed(Asked("POST", urlsplit(model.ask.target).path, "application/json", body), answer)
        except Undecodable as error:
            raise DataError(f"{where}: the answer cannot be decoded ({error.reason})") from None
        for column in one.outputs:
            if len(column.values) != chosen.stop - start:
                raise DataError(
                    f"{where}: {len(column.values)} values of {column.name}, expected {chosen.stop - start}"
                )
            found.setdefault(column.name, [None] * start).extend(column.values.tolist())
    return {name: values + [None] * (rows - len(values)) for name, values in found.items()}


def _plain(plan: Plan, cells: Cells, column: Typed, chosen: slice) -> list[Any]:
    """Cells as JSON has them: numbers as numbers, null for what is missing or not finite, texts as they stand."""
    if plan.type in ("numeric", "vector"):
        return [_finite(value) for value in column.values[chosen].tolist()]
    if plan.type == "boolean":
        return [None if value is None else value == "true" for value in column.values[chosen].tolist()]
    listed = [cells[place] for place in range(chosen.start, chosen.stop)]
    return [
        None if missing else str(cell) for cell, missing in zip(listed, column.missing[chosen], strict=True)
    ]


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value if abs(value) < float("inf") else None


def _body(ask: Ask, features: Sequence[Plan], values: Mapping[str, list[Any]]) -> bytes:
    rows = list(zip(*values.values(), strict=True))
    if ask.protocol == "v1":
        return json.dumps({"instances": rows}).encode()
    wanted = {"outputs": [{"name": name} for name in ask.outputs]} if ask.outputs else {}
    if ask.tensor is not None:
        shape = [len(rows), len(features)]
        tensor = {"name": ask.tensor, "shape": shape, "datatype": "FP64", "data": rows}
        return json.dumps({"inputs": [tensor], **wanted}).encode()
    inputs = [_tensor(plan, values[plan.name]) for plan in features]
    # MLServer reads named columns as a table only if it is told so; others ignore the parameter.
    return json.dumps({"parameters": {"content_type": "pd"}, "inputs": inputs, **wanted}).encode()


def _tensor(plan: Plan, values: list[Any]) -> dict[str, Any]:
    kind = {"numeric": "FP64", "vector": "FP64", "boolean": "BOOL"}.get(plan.type, "BYTES")
    width = len(values[0]) if plan.type == "vector" and values else 1
    return {"name": plan.name, "shape": [len(values), width], "datatype": kind, "data": values}
