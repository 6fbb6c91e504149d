"""`modeltap observe FILE`: send the rows of a file to a running sidecar, which counts them as it counts exchanges: in
windows, bins and drift. For features and predictions that never cross the wire.

FILE is CSV, JSON lines or Parquet. What a column holds is told by flags; the others are features. Where the sidecar is
busy it is asked again.
Exit status: 0 when all rows were counted, 1 if some were refused or the sidecar could not be reached (it says from
which row on to go on), 2 for a wrong command line or file.
"""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TextIO

from exporter.commands.posting import add_place, headers, tls
from exporter.config import ConfigError
from exporter.reach import places
from exporter.rowfiles import Columns, FileError, RowFile, open_rows
from exporter.sending import Sender, SendError

_PATH: Final = "/v1/observations"
MAX_BODY: Final = 1 << 20  # of the sidecar's
_ROWS: Final = 1000


@dataclass(slots=True)
class Count:
    """Rows as they were read, counted and refused, the latter by reason."""

    read: int = 0
    counted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    expected: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Roles:
    """What the columns hold; "" for what no column does."""

    predictions: tuple[str, ...]
    categorical: tuple[str, ...]
    ignored: tuple[str, ...]
    id: str
    time: str
    names: dict[str, str]  # model_name and model_version, where they are told

    def record(self, columns: Columns) -> dict[str, Any]:
        """The record of a batch."""
        others = {*self.predictions, *self.ignored, self.id, self.time}
        sides = {
            "features": {name: cells for name, cells in columns.items() if name not in others},
            "predictions": {name: columns[name] for name in self.predictions if name in columns},
        }
        found: dict[str, Any] = {**self.names, **{side: table for side, table in sides.items() if table}}
        kinds = {
            name: "categorical" for name in self.categorical if any(name in table for table in sides.values())
        }
        if kinds:
            found["kinds"] = kinds
        if self.id in columns:
            found["ids"] = [str(cell) for cell in columns[self.id]]
        if self.time in columns:
            found["times"] = columns[self.time]
        return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `modeltap observe`."""
    add = parser.add_argument
    add("file", metavar="FILE", help="CSV, JSON lines (.jsonl, .ndjson; both also .gz) or Parquet")
    add("--model", metavar="NAME", default="", help="model name (default: as the sidecar has it)")
    add("--version", metavar="VERSION", default="", help="model version (default: as the sidecar has it)")
    add("--prediction", action="append", default=[], metavar="COL", help="a column that the model answered")
    add(
        "--categorical",
        action="append",
        default=[],
        metavar="COL",
        help="a column of classes, though of numbers",
    )
    add("--ignore", action="append", default=[], metavar="COL", help="a column to leave out")
    add("--id", metavar="COL", default="", help="the column that names each row")
    add(
        "--time", metavar="COL", default="", help="the column of times: unix seconds, or RFC 3339 with a zone"
    )
    add("--batch", type=int, default=_ROWS, metavar="N", help=f"rows sent at once (default {_ROWS})")
    add("--skip", type=int, default=0, metavar="N", help="rows to leave out at the beginning")
    add(
        "--patience",
        type=float,
        default=60.0,
        metavar="S",
        help="seconds to wait for a busy sidecar (default 60)",
    )
    add_place(parser)


def run(args: argparse.Namespace) -> int:
    """Read, send, say how it ended."""
    try:
        roles = _roles(args)
        found = open_rows(args.file)
        _check(args, roles, found)
        found_at = places("admin", vars(args), os.environ)
        sender = Sender(found_at, _PATH, headers(args), args.patience, tls(args))
    except (ConfigError, ValueError, OSError) as error:
        return _problem(error, 2)
    count = Count()
    try:
        for body, rows in bodies(found, roles, args.batch, args.skip):
            _send(sender, body, rows, count)
            _progress(sys.stderr, args.file, count)
    except SendError as error:
        _summary(args.file, count)
        return _problem(
            f"{error}\nrows before {args.skip + count.read} were handed over: go on with --skip", 1
        )
    except (FileError, OSError) as error:
        _summary(args.file, count)
        return _problem(error, 2)
    finally:
        sender.close()
    _summary(args.file, count)
    return 1 if count.refused else 0


def bodies(found: RowFile, roles: Roles, size: int, skip: int = 0) -> Iterator[tuple[bytes, int]]:
    """(body, rows) of each batch; one over the sidecar's bound is halved until it fits, or is a single row."""
    for columns in found.batches(size):
        rows = len(next(iter(columns.values())))
        passed = min(skip, rows)
        skip -= passed
        if passed < rows:
            yield from _halved(
                {name: cells[passed:] for name, cells in columns.items()}, rows - passed, roles
            )


def _halved(columns: Columns, rows: int, roles: Roles) -> Iterator[tuple[bytes, int]]:
    body = json.dumps(roles.record(columns), separators=(",", ":")).encode()
    if len(body) <= MAX_BODY or rows == 1:
        yield body, rows
        return
    half = rows // 2
    yield from _halved({name: cells[:half] for name, cells in columns.items()}, half, roles)
    yield from _halved({name: cells[half:] for name, cells in columns.items()}, rows - half, roles)


def _send(sender: Sender, body: bytes, rows: int, count: Count) -> None:
    status, said = sender.send(body)
    if status == 200:
        count.counted += rows
    else:
        listed = said.get("refused") or [said]
        reason = str(listed[0].get("reason", status))
        count.refused[reason] += rows
        count.expected[reason] = str(listed[0].get("expected", ""))
        if status in (401, 403, 404, 415):
            raise SendError(f"it refuses with {status}: {count.expected[reason] or reason}")
    count.read += rows


def _roles(args: argparse.Namespace) -> Roles:
    names = {"model_name": args.model, "model_version": args.version}
    return Roles(
        tuple(args.prediction),
        tuple(args.categorical),
        tuple(args.ignore),
        args.id,
        args.time,
        {key: value for key, value in names.items() if value},
    )


def _check(args: argparse.Namespace, roles: Roles, found: RowFile) -> None:
    """Every problem of flags and columns at once, as a ValueError."""
    problems = []
    for name, value, least in (
        ("batch", args.batch, 1),
        ("skip", args.skip, 0),
        ("patience", args.patience, 0),
    ):
        if not value >= least:
            problems.append(f"--{name}: {value}: expected at least {least}")
    given = {
        "--prediction": roles.predictions,
        "--categorical": roles.categorical,
        "--ignore": roles.ignored,
        "--id": (roles.id,) if roles.id else (),
        "--time": (roles.time,) if roles.time else (),
    }
    for flag, columns in given.items():
        unknown = [name for name in columns if found.names and name not in found.names]
        if unknown:
            problems.append(f"{flag}: no column {', '.join(unknown)}; expected of {', '.join(found.names)}")
    times = Counter(name for flag, columns in given.items() if flag != "--categorical" for name in columns)
    problems += [f"{name!r} is given {n} roles, expected one" for name, n in times.items() if n > 1]
    if problems:
        raise ValueError("\n".join(problems))


def _problem(error: object, status: int) -> int:
    for line in str(error).splitlines():
        print(f"modeltap observe: {line}", file=sys.stderr)
    return status


def _progress(stream: TextIO, file: str, count: Count) -> None:
    """One line, drawn over, for a person; nothing in a log."""
    if stream.isatty():
        print(f"\r{file}: {count.read} rows", end="", file=stream, flush=True)


def _summary(file: str, count: Count) -> None:
    if sys.stderr.isatty():
        print("\r", end="", file=sys.stderr)
    refused = sum(count.refused.values())
    print(f"{file}: {count.read} rows, {count.counted} counted, {refused} refused")
    for reason, rows in count.refused.most_common():
        print(f"  {rows} rows: {reason}, expected {count.expected[reason]}")
