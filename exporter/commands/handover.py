"""The rows of a file -> a running sidecar, batch by batch: what `observe` and `feedback` have in common.

Knows the bound on a body and how to go on after a failure; what a body says is the errand's. Each row is handed
over once, and the exit status tells where it ended.
"""

import argparse
import json
import os
import sys
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Final

from exporter.commands.posting import add_place, headers, tls
from exporter.commands.reach import places
from exporter.commands.rowfiles import Columns, FileError, RowFile, open_rows
from exporter.commands.sending import Sender, SendError
from exporter.settings.config import ConfigError

MAX_BODY: Final = 1 << 20  # of the sidecar's


class Errand(ABC):
    """What is sent of a file and what came of it. `read`: rows handed over; `refused`: by reason."""

    path: ClassVar[str]

    def __init__(self) -> None:
        self.read = 0
        self.refused: Counter[str] = Counter()
        self.expected: dict[str, str] = {}

    @abstractmethod
    def said(self, columns: Columns) -> Any:
        """What the body of some rows says, as JSON takes it."""

    @abstractmethod
    def take(self, status: int, answer: dict[str, Any], rows: int) -> None:
        """Count an answer. Raises SendError where going on makes no sense."""

    @abstractmethod
    def drawn(self) -> str:
        """How far it is, in a line drawn over for a person; "" for nothing."""

    @abstractmethod
    def summary(self) -> str:
        """How it ended, behind the file's name."""

    @property
    def failed(self) -> bool:
        """Whether rows were not taken."""
        return bool(self.refused)


Prepare = Callable[[argparse.Namespace, RowFile], Errand]


def add_sending(parser: argparse.ArgumentParser, rows: int) -> None:
    """The flags of how a file is sent; `rows` at once by default."""
    add = parser.add_argument
    add("--batch", type=int, default=rows, metavar="N", help=f"rows sent at once (default {rows})")
    add("--skip", type=int, default=0, metavar="N", help="rows to leave out at the beginning")
    add(
        "--patience",
        type=float,
        default=60.0,
        metavar="S",
        help="seconds to wait for a busy sidecar (default 60)",
    )
    add_place(parser)


def problems_of(args: argparse.Namespace) -> list[str]:
    """Those of the flags of `add_sending`."""
    bounds = (("batch", 1), ("skip", 0), ("patience", 0))
    given = [(name, getattr(args, name), least) for name, least in bounds]
    return [
        f"--{name}: {value}: expected at least {least}" for name, value, least in given if not value >= least
    ]


def run(command: str, args: argparse.Namespace, prepare: Prepare) -> int:
    """Read, send, say how it ended: 0, 1 for rows that were not taken or could not be sent, 2 for flags and files.

    `prepare` raises ValueError for every problem of flags and columns at once.
    """
    try:
        found = open_rows(args.file)
        errand = prepare(args, found)
        found_at = places("admin", vars(args), os.environ)
        sender = Sender(found_at, errand.path, headers(args), args.patience, tls(args))
    except (ConfigError, ValueError, OSError) as error:
        return _problem(command, error, 2)
    status, problem = 0, ""
    try:
        for body, rows in bodies(found, errand.said, args.batch, args.skip):
            errand.take(*sender.send(body), rows)
            errand.read += rows
            _draw(f"{args.file}: {errand.drawn()}" if errand.drawn() else "")
    except SendError as error:
        handed = args.skip + errand.read
        status, problem = 1, f"{error}\nrows before {handed} were handed over: go on with --skip"
    except (FileError, OSError) as error:
        status, problem = 2, str(error)
    finally:
        sender.close()
    _draw("\033[K")
    print(f"{args.file}: {errand.read} rows{errand.summary()}")
    for reason, rows in errand.refused.most_common():
        print(f"  {rows} rows: {reason}, expected {errand.expected[reason]}")
    return _problem(command, problem, status) if status else int(errand.failed)


def bodies(
    found: RowFile, said: Callable[[Columns], Any], size: int, skip: int = 0
) -> Iterator[tuple[bytes, int]]:
    """(body, rows) of each batch; one over the sidecar's bound is halved until it fits, or is a single row."""
    for columns in found.batches(size):
        rows = len(next(iter(columns.values())))
        passed = min(skip, rows)
        skip -= passed
        if passed < rows:
            yield from _halved(_part(columns, passed, rows), rows - passed, said)


def _halved(columns: Columns, rows: int, said: Callable[[Columns], Any]) -> Iterator[tuple[bytes, int]]:
    body = json.dumps(said(columns), separators=(",", ":")).encode()
    if len(body) <= MAX_BODY or rows == 1:
        yield body, rows
        return
    half = rows // 2
    yield from _halved(_part(columns, 0, half), half, said)
    yield from _halved(_part(columns, half, rows), rows - half, said)


def _part(columns: Columns, start: int, end: int) -> Columns:
    return {name: cells[start:end] for name, cells in columns.items()}


def _problem(command: str, error: object, status: int) -> int:
    for line in str(error).splitlines():
        print(f"modeltap {command}: {line}", file=sys.stderr)
    return status


def _draw(line: str) -> None:
    """Over the last one, for a person; nothing in a log."""
    if line and sys.stderr.isatty():
        print(f"\r{line}", end="", file=sys.stderr, flush=True)
