"""`modeltap decode FILE`: what the sidecar understands of a stored exchange, or why it cannot. FILE holds the raw
bytes of an HTTP/1 request and of its answer behind it; the two may also be files of their own.

Shows counts and summaries, never values unless asked for. Exit status: 0 decoded, 1 not decoded (with the reason and
what was expected), 2 no exchange to read.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from exporter import values
from exporter.analysis.aspects import sighted
from exporter.analysis.keys import row_keys
from exporter.analysis.known import JOIN_KEYS, Known
from exporter.analysis.names import told_name
from exporter.analysis.role import Sorter
from exporter.analysis.speakers import Speakers
from exporter.config import ConfigError, load, owner_paths
from exporter.decode import DIALECTS, Dialect, observe
from exporter.records.exchange import UNKNOWN, Exchange, header
from exporter.records.observation import Column, Generation, Observation, Undecodable
from exporter.records.routes import match, path_of
from exporter.wire.events import Data, Desync, End, Head, Tunnel
from exporter.wire.head import RequestHead, ResponseHead
from exporter.wire.http1 import RequestFollower, ResponseFollower

MAX_FILE: Final = 256 << 20
_KEYED: Final = 3  # rows whose keys are shown
_SHOWN: Final = 20  # values of a column
_FORM: Final = "expected an HTTP/1 request and its answer as they were on the wire, with line ends CR LF"

# What each reason means, and what was expected instead.
EXPLANATIONS: Final[dict[str, str]] = {
    "not_captured": "A body was not kept, or only in part; raise capture_bytes.",
    "not_2xx": "The answer is no success. Only rows of 2xx answers are observed.",
    "no_dialect": "No dialect claims the exchange: its method and path are none that modeltap knows as an inference.",
    "content_coding": "A body does not hold what its Content-Encoding says.",
    "coding_unsupported": "A body has a Content-Encoding that modeltap cannot undo.",
    "coding_bomb": "A body grows far beyond its size on the wire when its Content-Encoding is undone.",
    "not_json": "A body is not JSON in UTF-8. A body that was cut off is none either.",
    "not_csv": "A body is not CSV in UTF-8: commas, double quotes around cells that need them, at least a header.",
    "content_type": "A body has a Content-Type that the dialect does not read.",
    "opaque_body": "A body holds bytes, or a message within the message, that say nothing about columns.",
    "too_deep": "Lists or objects are nested deeper than any table is.",
    "too_many_values": "A body has more values than are read of one exchange.",
    "missing_field": "A field that the dialect needs is absent or null.",
    "ambiguous_field": "Two fields are there of which the dialect allows one.",
    "wrong_type": "A field or a value has another type than it must have, such as text where a number belongs.",
    "bad_name": "A column's name is empty, or no text.",
    "names_differ": "The names that stand beside the rows are more or fewer than the values in a row.",
    "unknown_datatype": "A tensor has a datatype that the protocol does not list.",
    "bad_shape": "A tensor's shape is no list of sizes: integers from 0, from 1 after the first.",
    "shape_mismatch": "A tensor has more or fewer values than its shape says.",
    "ragged": "Rows that must be alike in length are not.",
    "number_range": "A number is beyond what a 64-bit float holds.",
    "binary_mismatch": "Binary tensors are longer or shorter than the message says.",
    "raw_tensor": "The body is one tensor without a message around it, so it has neither shape nor name.",
    "shared_memory": "Tensors travelled through shared memory, so there is nothing on the wire to read.",
    "mixed_rows": "Some rows are lists or objects and some are not, or are both.",
    "rows_differ": "The answer has another number of rows than the request, or a column than its neighbour.",
    "ambiguous_rows": "Request and answer can be read as one row of several values, and as several rows of one.",
    "too_sparse": "Rows have so little in common that a table of them would be mostly empty.",
    "too_many_columns": "There are more columns than are read of one exchange.",
    "duplicate_column": "Two columns have the same name.",
    "feedback": "Feedback carries labels of earlier predictions, and predicts nothing itself.",
    "error_answer": "The answer has a 2xx status and says in its body that it failed.",
    "no_events": "The answer is a stream of events without a single event.",
    "expression": "An expression of the custom dialect fails on this body, or picks what is no JSON value.",
}


class InputError(ValueError):
    """A file that holds no exchange; the message says which file, what was found and what was expected."""


@dataclass(frozen=True, slots=True)
class Forced:
    """A dialect that claims whatever it is given."""

    dialect: Dialect

    @property
    def NAME(self) -> str:
        """The protocol label."""
        return self.dialect.NAME

    def claims(self, exchange: Exchange) -> bool:
        """True."""
        return True

    def decode(self, exchange: Exchange) -> Observation:
        """As the dialect does."""
        return self.dialect.decode(exchange)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `modeltap decode`."""
    add = parser.add_argument
    add("file", nargs="?", metavar="FILE", help="a request and, behind it, its answer")
    add("--request", metavar="FILE", help="the request alone")
    add("--answer", metavar="FILE", help="its answer alone")
    names = [dialect.NAME for dialect in DIALECTS]
    add("--dialect", choices=names, help="read the bodies as this dialect, whatever the path is")
    add(
        "--config",
        metavar="FILE",
        help="YAML file of the sidecar's settings: its custom dialects and protocols",
    )
    add(
        "--id-columns",
        type=_told(values.labels()),
        default=(),
        metavar="NAMES",
        help="columns that identify a row",
    )
    add(
        *("--join-keys",),
        type=_told(values.labels(*JOIN_KEYS)),
        default=JOIN_KEYS,
        metavar="SOURCES",
        help=f"order of the rows' keys (default {','.join(JOIN_KEYS)})",
    )
    add(
        "--role-header",
        type=_told(values.field_name),
        default="",
        metavar="NAME",
        help="field that tells the role",
    )
    add("--values", action="store_true", help=f"show the first {_SHOWN} values of each column too")


def _told(parse: Callable[[Any], Any]) -> Callable[[str], Any]:
    """A reader of a setting whose complaint argparse shows as it stands."""

    def read(given: str) -> Any:
        try:
            return parse(given)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{given!r}: {error}") from error

    return read


def run(args: argparse.Namespace) -> int:
    """Print what was understood; 0, 1 with the reason why nothing was, or 2 with a message on stderr."""
    try:
        speakers = _speakers(args.config)
        exchange = _routed(_exchange(args), speakers)
    except (ConfigError, InputError, OSError) as error:
        print(f"modeltap decode: error: {error}", file=sys.stderr)
        return 2
    dialects = speakers.dialects
    if args.dialect:
        dialects = tuple([Forced(dialect) for dialect in DIALECTS if args.dialect == dialect.NAME])
    print(f"{_plain(exchange.method)} {_plain(exchange.path)} -> {exchange.status}")
    try:
        found = observe(exchange, dialects)
    except Undecodable as refusal:
        print(_refusal(exchange, refusal.reason, dialects))
        return 1
    known = Known(id_columns=args.id_columns, join_keys=args.join_keys, role_header=args.role_header)
    print(_report(exchange, found, known, args.values))
    return 0


# ---------------------------------------------------------------- files -> exchange


def _exchange(args: argparse.Namespace) -> Exchange:
    apart = args.request is not None and args.answer is not None
    if (args.file is None) != apart or (args.file is not None and (args.request or args.answer)):
        raise InputError("expected one FILE, or both --request FILE and --answer FILE")
    raw = _read(args.request if apart else args.file)
    request, request_body, end = _message(args.request if apart else args.file, RequestFollower(), raw, 0)
    answers = ResponseFollower()
    answers.expect(cast(RequestHead, request).method)
    if apart:
        _refuse_rest(args.request, raw, end)
        raw, end = _read(args.answer), 0
    else:
        while raw[end : end + 1] in (b"\r", b"\n"):
            end += 1
    place = args.answer if apart else args.file
    answer, answer_body, end = _message(place, answers, raw, end)
    _refuse_rest(place, raw, end)
    return _made(cast(RequestHead, request), request_body, cast(ResponseHead, answer), answer_body)


def _speakers(file: str | None) -> Speakers:
    """Who reads exchanges where a sidecar has these settings. ConfigError for a file that cannot be used."""
    found = Speakers()
    if file:
        config = load({"config": file, "upstream": "http://localhost"}, {})
        found.use(config.custom, owner_paths(config))
    return found


def _routed(exchange: Exchange, speakers: Speakers) -> Exchange:
    """With the labels that the data plane gives it."""
    route = speakers.route(exchange)
    names = {"model_name": route.model_name, "model_version": route.model_version}
    return msgspec.structs.replace(exchange, operation=route.operation, protocol=route.protocol, **names)


def _read(path: str) -> bytes:
    with Path(path).open("rb") as file:
        raw = file.read(MAX_FILE + 1)
    if len(raw) > MAX_FILE:
        raise InputError(f"{path}: over {MAX_FILE >> 20} MiB, expected one exchange")
    return raw


def _message(
    path: str, follower: RequestFollower | ResponseFollower, raw: bytes, start: int
) -> tuple[RequestHead | ResponseHead, bytes, int]:
    """The head, the body without transfer coding, and where the message ends."""
    kind = "request" if isinstance(follower, RequestFollower) else "answer"
    head: RequestHead | ResponseHead | None = None
    parts: list[bytes] = []
    position = start
    while position < len(raw):
        events, position = follower.feed_message(raw, position)
        for event in events:
            if isinstance(event, Head):
                head = event.head
            elif isinstance(event, Data):
                parts.append(raw[event.start : event.end])
            elif isinstance(event, End) and head is not None:
                return head, b"".join(parts), event.at
            elif isinstance(event, Desync):
                raise InputError(f"{path}: no {kind} at byte {event.at} ({event.reason}); {_FORM}")
            elif isinstance(event, Tunnel):
                raise InputError(f"{path}: the {kind} leaves HTTP; {_FORM}")
    if head is not None and isinstance(follower, ResponseFollower) and follower.eof():
        return head, b"".join(parts), len(raw)
    what = f"the {kind}'s body ends after {sum(map(len, parts))} bytes" if head else f"no whole {kind}"
    raise InputError(f"{path}: {what}, before its end; {_FORM}")


def _refuse_rest(path: str, raw: bytes, end: int) -> None:
    rest = raw[end:].strip(b"\r\n")
    if rest:
        raise InputError(f"{path}: {len(rest)} bytes more behind the end, expected one exchange")


def _made(request: RequestHead, request_body: bytes, answer: ResponseHead, answer_body: bytes) -> Exchange:
    method, target = request.method.decode("latin-1"), request.target.decode("latin-1")
    route = match(method, target)
    return Exchange(
        request_head=request.raw,
        response_head=answer.raw,
        request_body=request_body,
        response_body=answer_body,
        method=method,
        path=path_of(target),
        operation=route.operation,
        protocol=route.protocol,
        model_name=route.model_name,
        model_version=route.model_version,
        status=answer.status,
        error_type="",
        start=0,
        duration=0,
        time_to_first_byte=0,
        queue_wait=0,
        client_wait=0,
        request_size=len(request.raw) + len(request_body),
        response_size=len(answer.raw) + len(answer_body),
        request_captured=True,
        response_captured=True,
        request_id=header(request.raw, b"x-request-id").decode("latin-1"),
        rate=1.0,
    )


# ---------------------------------------------------------------- outcome -> text


def _refusal(exchange: Exchange, reason: str, dialects: tuple[Dialect, ...]) -> str:
    lines = [
        f"operation   {exchange.operation}",
        f"protocol    {exchange.protocol or UNKNOWN}, as the path tells",
        f"not decoded: {reason}",
        f"    {EXPLANATIONS.get(reason, 'No more is known about this reason.')}",
    ]
    claimed = [dialect for dialect in dialects if dialect.claims(exchange)][:1]
    lines += ["expected:" if claimed else "expected one of:"]
    lines += [f"    {dialect.NAME}: {_first_line(dialect)}" for dialect in claimed or dialects]
    return "\n".join(lines)


def _first_line(dialect: Dialect) -> str:
    inner = dialect.dialect if isinstance(dialect, Forced) else dialect
    return (inspect.getdoc(inner) or "").partition("\n\n")[0].replace("\n", " ")


def _report(exchange: Exchange, found: Observation, known: Known, shown: bool) -> str:
    sorter = Sorter(known)
    lines = [
        f"operation   {exchange.operation}",
        f"dialect     {found.protocol}",
        f"model       {_plain(exchange.model_name or told_name(exchange, found)) or UNKNOWN}",
        f"version     {_plain(exchange.model_version or found.model_version) or UNKNOWN}",
        f"request id  {_plain(found.request_id or exchange.request_id) or 'none'}",
        f"role        {sorter.role(exchange)}",
        f"task        {_task(found)}",
        f"rows        {found.rows}",
        *_keys(exchange, found, known),
    ]
    if found.generation is not None:
        lines += ["", *_generation(found.generation)]
    for side, columns in (("inputs", found.inputs), ("outputs", found.outputs)):
        lines += ["", *_table(side, columns, known.id_columns)]
        if shown:
            lines += [f"    {_plain(column.name)}: {_first_values(column)}" for column in columns]
    return "\n".join(lines)


def _generation(made: Generation) -> list[str]:
    """What was told of a generation, one line each; names are a payload's."""
    fields = {name: getattr(made, name) for name in made.__struct_fields__ if name != "parameters"}
    shown = {name: value for name, value in fields.items() if value not in (None, "", ())}
    return ["generation", *[f"    {name:<22} {_plain(str(value))}" for name, value in shown.items()]]


def _task(found: Observation) -> str:
    return f"{found.task}, as the server tells" if found.task else "not told by the server; guessed from rows"


def _keys(exchange: Exchange, found: Observation, known: Known) -> list[str]:
    """The keys of the first rows, the sources of all: by these a label finds its row."""
    rows = row_keys(exchange, found, known.id_columns, known.join_keys)
    if not any(rows):
        return ["keys        none: a label that comes later finds no row of this exchange"]
    lines = [
        f"keys        row {number}: "
        + ", ".join(f"{key.source} {_plain(key.id)} #{key.number}" for key in keys)
        for number, keys in enumerate(rows[:_KEYED])
    ]
    more = len(rows) - _KEYED
    return [*lines, f"            and those of {more} more rows"] if more > 0 else lines


def _table(side: str, columns: tuple[Column, ...], ids: tuple[str, ...]) -> list[str]:
    if not columns:
        return [f"{side}: no columns (bytes, no rows, or wide rows that are no numbers)"]
    head = (side, "kind", "counted as", "count", "nulls", "absent", "min", "mean", "max", "")
    table = [head, *[_row(column, column.name in ids) for column in columns]]
    widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place < 3 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()
        for cells in table
    ]


def _row(column: Column, identifies: bool) -> tuple[str, ...]:
    counted_as = "id" if identifies else sighted([column]).type
    counts = len(column.values), column.nulls, column.absent
    head = (_plain(column.name), column.kind, counted_as, *map(str, counts))
    if column.kind == "categorical":
        distinct = len(set(column.values.tolist()) - {None})
        return *head, "", "", "", f"{distinct} distinct"
    numbers = cast("NDArray[np.float64]", column.values)
    width = numbers.shape[1] if column.kind == "vector" else 1
    there = numbers[~np.isnan(numbers)]
    nans = numbers.size - len(there) - column.nulls * width
    notes = [f"{width} wide"] * (column.kind == "vector") + [f"{nans} NaN"] * (nans > 0)
    if not len(there):
        return *head, "", "", "", ", ".join(notes)
    with np.errstate(all="ignore"):  # infinities have a mean too
        shown = tuple(f"{number:.6g}" for number in (there.min(), there.mean(), there.max()))
    return *head, *shown, ", ".join(notes)


def _first_values(column: Column) -> str:
    shown = ", ".join(_value(value) for value in column.values[:_SHOWN].tolist())
    more = len(column.values) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _value(value: Any) -> str:
    return ascii(value) if isinstance(value, str) and not value.isprintable() else str(value)


def _plain(text: str) -> str:
    """Text from a payload as it may go to a terminal."""
    return text if text.isprintable() else ascii(text)
