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
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from exporter.analysis.known import JOIN_KEYS, Known
from exporter.analysis.speakers import Speakers
from exporter.commands.observed import SHOWN, plain, report
from exporter.decode import DIALECTS, Dialect, observe
from exporter.records.exchange import UNKNOWN, Exchange, header
from exporter.records.observation import Observation, Undecodable
from exporter.records.stored import Message, stored
from exporter.settings import values
from exporter.settings.config import ConfigError, load, owner_paths
from exporter.wire.events import Data, Desync, End, Head, Tunnel
from exporter.wire.head import RequestHead, ResponseHead
from exporter.wire.http1 import RequestFollower, ResponseFollower

MAX_FILE: Final = 256 << 20
_FORM: Final = "expected an HTTP/1 request and its answer as they were on the wire, with line ends CR LF"

# What each reason means, and what was expected instead.
EXPLANATIONS: Final[dict[str, str]] = {
    "not_captured": "A body was not kept, or only in part; raise capture_bytes.",
    "not_2xx": "The answer is no success. Rows of 2xx answers alone are observed; a failed request counts as data.",
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
        metavar="NAMES",
        help="columns that identify a row",
    )
    add(
        *("--join-keys",),
        type=_told(values.labels(*JOIN_KEYS)),
        metavar="SOURCES",
        help=f"order of the rows' keys (default {','.join(JOIN_KEYS)})",
    )
    add(
        "--role-header",
        type=_told(values.field_name),
        metavar="NAME",
        help="field that tells the role",
    )
    add("--values", action="store_true", help=f"show the first {SHOWN} values of each column too")


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
        speakers, known = _settings(args)
        exchange = _routed(_exchange(args), speakers)
    except (ConfigError, InputError, OSError) as error:
        print(f"modeltap decode: error: {error}", file=sys.stderr)
        return 2
    dialects = speakers.dialects
    if args.dialect:
        dialects = tuple([Forced(dialect) for dialect in DIALECTS if args.dialect == dialect.NAME])
    print(f"{plain(exchange.method)} {plain(exchange.path)} -> {exchange.status}")
    try:
        found = observe(exchange, dialects)
    except Undecodable as refusal:
        print(_refusal(exchange, refusal.reason, dialects))
        return 1
    print(report(exchange, found, known, args.values))
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


def _settings(args: argparse.Namespace) -> tuple[Speakers, Known]:
    """Who reads exchanges, and what rows mean, where a sidecar has these settings; flags are stronger than the file.

    ConfigError for a file that cannot be used.
    """
    speakers, known = Speakers(), Known()
    if args.config:
        config = load({"config": args.config, "upstream": "http://localhost"}, {})
        speakers.use(config.custom, owner_paths(config))
        known = Known(**{field.name: getattr(config, field.name) for field in fields(Known)})
    given = {name: getattr(args, name) for name in ("id_columns", "join_keys", "role_header")}
    return speakers, replace(known, **{name: value for name, value in given.items() if value is not None})


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
    made = stored(
        method, target, Message(request.raw, request_body), Message(answer.raw, answer_body), answer.status
    )
    return msgspec.structs.replace(made, request_id=header(request.raw, b"x-request-id").decode("latin-1"))


# ---------------------------------------------------------------- reasons -> text


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
