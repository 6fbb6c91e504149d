"""Captured traffic: CloudEvents as JSON lines, requests and answers of a model -> rows, by the live decoders.

An event of type `….request` and one of type `….response` with the same id are one exchange. Its inputs are the
features and its outputs the predictions, as the sidecar would have seen them. Invariant: whatever a line holds, it
becomes rows, or is counted with the reason why not; at most PENDING requests wait for their answers.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import itertools
import json
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from exporter.commands.late import count_late
from exporter.commands.observing import Answer, Asked, observed
from exporter.commands.read_json import json_lines
from exporter.commands.reading import MAX_COLUMNS, NAMING_ROWS, PART_ROWS, DataError, Part
from exporter.decode import kserve_v1, open_inference_v2
from exporter.records.observation import Observation, Undecodable

PENDING: Final = 10_000


@dataclass(slots=True)
class TrafficSource:
    """The rows of captured traffic. `unread`: exchanges of the last pass without rows, by reason."""

    path: str
    written: bool = False
    word: str = "line"
    unread: Counter[str] = field(default_factory=Counter)
    _late: Counter[str] = field(default_factory=Counter)
    _names: dict[str, str] | None = None

    def names(self) -> list[str]:
        """Names of inputs and outputs in the first 100,000 rows. An input with an output's name is no column."""
        return list(self.given())

    def given(self) -> dict[str, str]:
        """feature or prediction, by column."""
        if self._names is not None:
            return self._names
        inputs: dict[str, str] = {}
        outputs: dict[str, str] = {}
        rows = 0
        with contextlib.closing(self._observations()) as observations:
            for _, one in observations:
                inputs.update(dict.fromkeys((column.name for column in one.inputs), "feature"))
                outputs.update(dict.fromkeys((column.name for column in one.outputs), "prediction"))
                rows += one.rows
                if rows >= NAMING_ROWS:
                    break
        found = dict((inputs | outputs).items())
        if not found or len(found) > MAX_COLUMNS:
            reasons = ", ".join(f"{reason} {n}" for reason, n in self.unread.items()) or "no events"
            raise DataError(
                f"{self.path}: 1 to {MAX_COLUMNS} columns expected, found {len(found)} ({reasons})"
            )
        self._names = found
        return found

    def late(self) -> Mapping[str, int]:
        """Names of inputs and outputs after the first 100,000 rows, by exchanges."""
        return self._late

    def parts(self) -> Iterator[Part]:
        """All rows, those of whole exchanges together."""
        roles = self.given()
        cells: dict[str, list[Any]] = {name: [] for name in roles}
        lines: list[int] = []
        self._late = Counter()
        for line, one in self._observations():
            count_late(self._late, [[column.name for column in (*one.inputs, *one.outputs)]], roles)
            columns = {c.name: c for c in one.inputs if roles.get(c.name) == "feature"}
            columns |= {c.name: c for c in one.outputs}
            for name, column in cells.items():
                values = columns[name].values.tolist() if name in columns else []
                column.extend(values if len(values) == one.rows else itertools.repeat(None, one.rows))
            lines.extend(itertools.repeat(line, one.rows))
            if len(lines) >= PART_ROWS:
                yield Part(dict(cells), lines)
                cells, lines = {name: [] for name in roles}, []
        if lines:
            yield Part(dict(cells), lines)

    def _observations(self) -> Generator[tuple[int, Observation], None, None]:
        self.unread = Counter()
        pending: dict[str, dict[str, Any]] = {}
        for line, event in json_lines(self.path):
            pair = self._paired(pending, event)
            if pair is None:
                continue
            try:
                request, answer = pair
                found = _observed(request, answer)
            except Undecodable as error:
                self.unread[error.reason] += 1
                continue
            yield line, found
        if pending:
            self.unread["no_pair"] += len(pending)

    def _paired(
        self, pending: dict[str, dict[str, Any]], event: Any
    ) -> tuple[dict[str, Any], dict[str, Any]] | None:
        kind = event.get("type") if isinstance(event, dict) else None
        if not isinstance(kind, str) or not isinstance(event.get("id"), str):
            self.unread["no_event"] += 1
            return None
        if not kind.endswith((".request", ".response")):
            self.unread["other_event"] += 1
            return None
        other = pending.pop(event["id"], None)
        if other is None or other["type"] == kind:
            if len(pending) >= PENDING:
                pending.pop(next(iter(pending)))
                self.unread["no_pair"] += 1
            pending[event["id"]] = event
            return None
        return (event, other) if kind.endswith(".request") else (other, event)


def _observed(request: dict[str, Any], answer: dict[str, Any]) -> Observation:
    body, target = _body(request), _text(request, "path")
    asked = Asked(
        *("POST", target if target.startswith("/") else "", _text(request, "datacontenttype"), body),
        protocol=_text(request, "protocol") or ("" if target else _protocol(body, _body(answer))),
        model_name=_text(request, "modelid", "inferenceservicename"),
        id=str(request["id"]),
        coding=_text(request, "contentencoding"),
    )
    kind, coding = _text(answer, "datacontenttype"), _text(answer, "contentencoding")
    return observed(asked, Answer(_status(answer), kind, _body(answer), coding))


def _protocol(request: bytes, answer: bytes) -> str:
    """Of events that say neither path nor protocol, such as those of KServe's agent: by the bodies' own keys."""
    first = b'"instances"' in request or b'"predictions"' in answer
    return kserve_v1.NAME if first else open_inference_v2.NAME


def _text(event: dict[str, Any], *keys: str) -> str:
    return next((event[key] for key in keys if isinstance(event.get(key), str) and event[key]), "")


def _status(event: dict[str, Any]) -> int:
    found = str(event.get("statuscode", 200))
    return int(found) if found.isascii() and found.isdecimal() and len(found) == 3 else 0


def _body(event: dict[str, Any]) -> bytes:
    """The data: base64, text, or JSON that stands in the event itself."""
    packed = event.get("data_base64")
    if isinstance(packed, str):
        try:
            return base64.b64decode(packed, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Undecodable("not_captured") from error
    if event.get("data") is None:
        raise Undecodable("not_captured")
    data = event["data"]
    return data.encode() if isinstance(data, str) else json.dumps(data).encode()
