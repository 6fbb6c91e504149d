"""`modeltap observe FILE`: send the rows of a file to a running sidecar, which counts them as it counts exchanges: in
windows, bins and drift. For features and predictions that never cross the wire.

FILE is CSV, JSON lines or Parquet. What a column holds is told by flags; the others are features. Where the sidecar is
busy it is asked again.
Exit status: 0 when all rows were counted, 1 if some were refused or the sidecar could not be reached (it says from
which row on to go on), 2 for a wrong command line or file.
"""

import argparse
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from exporter.commands import handover
from exporter.commands.rowfiles import Columns, RowFile
from exporter.commands.sending import SendError

_ROWS: Final = 1000
# Going on would be refused again.
_FINAL: Final = (401, 403, 404, 415)


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
    handover.add_sending(parser, _ROWS)


class Errand(handover.Errand):
    """Rows, in records of columns."""

    path = "/v1/observations"

    def __init__(self, roles: Roles) -> None:
        super().__init__()
        self._roles = roles
        self._counted = 0

    def said(self, columns: Columns) -> dict[str, Any]:
        """A record of all rows."""
        return self._roles.record(columns)

    def take(self, status: int, answer: dict[str, Any], rows: int) -> None:
        """A record is counted or refused as a whole."""
        if status == 200:
            self._counted += rows
            return
        listed = answer.get("refused") or [answer]
        reason = str(listed[0].get("reason", status))
        self.refused[reason] += rows
        self.expected[reason] = str(listed[0].get("expected", ""))
        if status in _FINAL:
            raise SendError(f"it refuses with {status}: {self.expected[reason] or reason}")

    def drawn(self) -> str:
        """Rows so far."""
        return f"{self.read} rows"

    def summary(self) -> str:
        """Rows that were counted, and refused."""
        return f", {self._counted} counted, {self.refused.total()} refused"


def run(args: argparse.Namespace) -> int:
    """Read, send, say how it ended."""
    return handover.run("observe", args, _prepared)


def _prepared(args: argparse.Namespace, found: RowFile) -> Errand:
    roles = _roles(args)
    _check(args, roles, found)
    return Errand(roles)


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
    problems = handover.problems_of(args)
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
