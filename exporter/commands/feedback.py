"""`modeltap feedback FILE`: send the labels of a file to a running sidecar, which joins them to what was predicted.

FILE is CSV, JSON lines or Parquet, a label on each line. The columns id, label (or label.OUTPUT), row, observed_at,
source, weight, group.NAME and outcome.NAME are taken, under other names by flags; all others are left out. A label that
was sent before is a duplicate and counts once, so a file may be sent again.
Exit status: 0 when all were taken, 1 if some were refused or lost or the sidecar could not be reached (it says from
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

_PATH: Final = "/v1/feedback"
MAX_BODY: Final = 1 << 20  # of the sidecar's
_ROWS: Final = 2000
_PLAIN: Final = ("row", "observed_at", "source", "weight")
_SIDES: Final = {"label": "labels", "group": "groups", "outcome": "outcomes"}
# Labels that were not taken.
_NOT_TAKEN: Final = ("invalid", "full", "lost")
_BAR: Final = 30


@dataclass(slots=True)
class Count:
    """Rows read, and labels by what became of them; `refused`: by reason."""

    read: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    expected: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Roles:
    """What columns are called in the file."""

    id: str = "id"
    label: str = "label"
    time: str = "observed_at"
    source: str = ""

    def items(self, columns: Columns) -> list[dict[str, Any]]:
        """The items of a batch."""
        names = {self.id: "id", self.label: "label", self.time: "observed_at"}
        told = {name: names.get(name, name) for name in columns}
        rows = zip(*columns.values(), strict=True)
        return [self._item(dict(zip(told.values(), row, strict=True))) for row in rows]

    def _item(self, row: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {"source": self.source} if self.source else {}
        for name, cell in row.items():
            if cell is None:
                continue
            side, dot, rest = name.partition(".")
            if dot and side in _SIDES:
                found.setdefault(_SIDES[side], {})[rest] = str(cell) if side == "group" else cell
            elif name == "id":
                found["id"] = cell if isinstance(cell, int) else str(cell)
            elif name in ("label", "labels", "groups", "outcomes", *_PLAIN):
                found[name] = cell
        return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `modeltap feedback`."""
    add = parser.add_argument
    add("file", metavar="FILE", help="CSV, JSON lines (.jsonl, .ndjson; both also .gz) or Parquet")
    add("--id", metavar="COL", default="id", help="the column that names the prediction (default id)")
    add("--label", metavar="COL", default="label", help="the column of labels (default label)")
    add("--time", metavar="COL", default="observed_at", help="the column of times (default observed_at)")
    add("--source", metavar="NAME", default="", help="who says so, where no column does")
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
        roles = Roles(args.id, args.label, args.time, args.source)
        found = open_rows(args.file)
        _check(args, roles, found)
        sender = Sender(
            places("admin", vars(args), os.environ), _PATH, headers(args), args.patience, tls(args)
        )
        total = _total(args, found) if sys.stderr.isatty() else 0
    except (ConfigError, ValueError, OSError) as error:
        return _problem(error, 2)
    count = Count()
    try:
        for body, rows in bodies(found, roles, args.batch, args.skip):
            _send(sender, body, rows, count)
            _progress(sys.stderr, args.file, count, total)
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
    return 1 if count.refused or any(count.outcomes[one] for one in _NOT_TAKEN) else 0


def bodies(found: RowFile, roles: Roles, size: int, skip: int = 0) -> Iterator[tuple[bytes, int]]:
    """(body, rows) of each batch; one over the sidecar's bound is halved until it fits, or is a single row."""
    for columns in found.batches(size):
        items = roles.items(columns)
        passed = min(skip, len(items))
        skip -= passed
        if passed < len(items):
            yield from _halved(items[passed:])


def _halved(items: list[dict[str, Any]]) -> Iterator[tuple[bytes, int]]:
    body = json.dumps(items, separators=(",", ":")).encode()
    if len(body) <= MAX_BODY or len(items) == 1:
        yield body, len(items)
        return
    half = len(items) // 2
    yield from _halved(items[:half])
    yield from _halved(items[half:])


def _send(sender: Sender, body: bytes, rows: int, count: Count) -> None:
    status, said = sender.send(body)
    if status not in (200, 400):
        expected = said.get("expected", "")
        if status == 404:
            expected = "a sidecar that joins labels: --label-store"
        raise SendError(f"it refuses with {status}: {expected or said.get('reason', '')}")
    count.outcomes.update(said.get("counts", {}))
    for one in said.get("refused", []):
        reason = str(one.get("reason", status))
        count.refused[reason] += rows if "item" not in one else 1
        count.expected[reason] = str(one.get("expected", ""))
    count.read += rows


def _check(args: argparse.Namespace, roles: Roles, found: RowFile) -> None:
    """Every problem of flags and columns at once, as a ValueError."""
    problems = [
        f"--{name}: {value}: expected at least {least}"
        for name, value, least in (
            ("batch", args.batch, 1),
            ("skip", args.skip, 0),
            ("patience", args.patience, 0),
        )
        if not value >= least
    ]
    if found.names:
        if roles.id not in found.names:
            problems.append(f"--id: no column {roles.id}; expected of {', '.join(found.names)}")
        if roles.label not in found.names and not any(name.startswith("label.") for name in found.names):
            problems.append(f"--label: no column {roles.label}; expected of {', '.join(found.names)}")
    if problems:
        raise ValueError("\n".join(problems))


def _total(args: argparse.Namespace, found: RowFile) -> int:
    """Rows of the file, for the bar: reading is cheap beside joining."""
    rows = sum(len(next(iter(columns.values()))) for columns in found.batches(50_000))
    return max(1, rows - int(args.skip))


def _problem(error: object, status: int) -> int:
    for line in str(error).splitlines():
        print(f"modeltap feedback: {line}", file=sys.stderr)
    return status


def _progress(stream: TextIO, file: str, count: Count, total: int) -> None:
    """One line, drawn over, for a person; nothing in a log."""
    if total and stream.isatty():
        done = min(_BAR, _BAR * count.read // total)
        bar = f"[{'#' * done}{'.' * (_BAR - done)}]"
        joined = count.outcomes["joined"]
        print(
            f"\r{file}: {bar} {count.read} of {total} rows, {joined} joined", end="", file=stream, flush=True
        )


def _summary(file: str, count: Count) -> None:
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    told = (
        ", ".join(f"{number} {word}" for word, number in count.outcomes.most_common() if number)
        or "none taken"
    )
    print(f"{file}: {count.read} rows: {told}")
    for reason, rows in count.refused.most_common():
        print(f"  {rows} rows: {reason}, expected {count.expected[reason]}")
