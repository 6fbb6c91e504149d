"""`modeltap feedback FILE`: send the labels of a file to a running sidecar, which joins them to what was predicted.

FILE is CSV, JSON lines or Parquet, a label on each line. The columns id, label (or label.OUTPUT), row, observed_at,
source, weight, group.NAME and outcome.NAME are taken, under other names by flags; all others are left out. A label that
was sent before is a duplicate and counts once, so a file may be sent again.
Exit status: 0 when all were taken, 1 if some were refused or lost or the sidecar could not be reached (it says from
which row on to go on), 2 for a wrong command line or file.
"""

import argparse
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from exporter.commands import handover
from exporter.commands.rowfiles import Columns, RowFile
from exporter.commands.sending import SendError

_ROWS: Final = 2000
_PLAIN: Final = ("row", "observed_at", "source", "weight")
_SIDES: Final = {"label": "labels", "group": "groups", "outcome": "outcomes"}
# Labels that were not taken.
_NOT_TAKEN: Final = ("invalid", "full", "lost")
_BAR: Final = 30


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
    handover.add_sending(parser, _ROWS)


class Errand(handover.Errand):
    """Labels, an item for each row. `total`: rows of the file for the bar, 0 where nobody looks."""

    path = "/v1/feedback"

    def __init__(self, roles: Roles, total: int = 0) -> None:
        super().__init__()
        self._roles, self._total = roles, total
        self.outcomes: Counter[str] = Counter()

    def said(self, columns: Columns) -> list[dict[str, Any]]:
        """An item for each row."""
        return self._roles.items(columns)

    def take(self, status: int, answer: dict[str, Any], rows: int) -> None:
        """Each item has an outcome of its own."""
        if status not in (200, 400):
            expected = answer.get("expected", "")
            if status == 404:
                expected = "a sidecar that joins labels: --label-store"
            raise SendError(f"it refuses with {status}: {expected or answer.get('reason', '')}")
        self.outcomes.update(answer.get("counts", {}))
        for one in answer.get("refused", []):
            reason = str(one.get("reason", status))
            self.refused[reason] += rows if "item" not in one else 1
            self.expected[reason] = str(one.get("expected", ""))

    def drawn(self) -> str:
        """A bar."""
        if not self._total:
            return ""
        done = min(_BAR, _BAR * self.read // self._total)
        bar = f"[{'#' * done}{'.' * (_BAR - done)}]"
        return f"{bar} {self.read} of {self._total} rows, {self.outcomes['joined']} joined"

    def summary(self) -> str:
        """Labels by outcome."""
        told = [f"{number} {word}" for word, number in self.outcomes.most_common() if number]
        return f": {', '.join(told) or 'none taken'}"

    @property
    def failed(self) -> bool:
        """Labels may be lost without being refused."""
        return super().failed or any(self.outcomes[one] for one in _NOT_TAKEN)


def run(args: argparse.Namespace) -> int:
    """Read, send, say how it ended."""
    return handover.run("feedback", args, _prepared)


def _prepared(args: argparse.Namespace, found: RowFile) -> Errand:
    roles = Roles(args.id, args.label, args.time, args.source)
    _check(args, roles, found)
    return Errand(roles, _total(args, found) if sys.stderr.isatty() else 0)


def _check(args: argparse.Namespace, roles: Roles, found: RowFile) -> None:
    """Every problem of flags and columns at once, as a ValueError."""
    problems = handover.problems_of(args)
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
