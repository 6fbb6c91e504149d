"""What each column of the data is: roles from flags, types from a schema file or from all of its cells.

Refuses to know bins. Invariants: all problems of flags and schema are told at once; a guessed type fits every cell,
so that the passes that follow never meet a cell that does not.
"""

from __future__ import annotations

import argparse
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from exporter.commands.reading import DataError, Limited, Part, Source
from exporter.stats.profiles.column import TYPES
from exporter.stats.profiles.survey import Plan
from exporter.stats.profiles.types import (
    UNITS,
    Cells,
    Typed,
    WrongCell,
    guessed,
    is_text,
    typed,
    word_count,
)
from exporter.stats.profiles.weights import unfit

GUESSABLE = tuple(kind for kind in TYPES if kind != "image")
_SINGLE = (("--target", "target"), ("--time", "time"), ("--weight", "weight"))
_MANY = (("--prediction", "prediction"), ("--score", "score"), ("--id", "id"), ("--ignore", "ignored"))


@dataclass(frozen=True, slots=True)
class Declared:
    """What a schema file says of a column: its type, and of times their unit."""

    type: str
    unit: str | None = None


def add_role_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that say what columns are."""
    add = parser.add_argument
    add("--features", metavar="A,B,C", help="the model's inputs in payload order (default: all the rest)")
    add("--prediction", action="append", default=[], metavar="COL", help="a column that the model answered")
    add("--score", action="append", default=[], metavar="COL", help="a score that the model answered")
    add("--target", metavar="COL", help="the column that the model is meant to predict")
    add("--time", metavar="COL", help="when each row happened; gives the reference's own level by period")
    add("--id", action="append", default=[], metavar="COL", help="a column that names rows; never counted")
    add(
        "--group",
        action="append",
        default=[],
        metavar="COL",
        help="a group that rows belong to; a feature may be one",
    )
    add("--weight", metavar="COL", help="a column of weights of rows, numbers from 0")
    add("--ignore", action="append", default=[], metavar="COL", help="a column to leave out")
    add("--schema", metavar="FILE", help="types of columns, YAML or JSON (default: guessed, and printed)")
    add("--max-rows", type=int, metavar="N", help="rows read at most (default: all)")


def limited(source: Source, args: argparse.Namespace) -> Source:
    """The source, with --max-rows if that is a limit."""
    return source if (args.max_rows or 0) < 1 else Limited(source, args.max_rows)


def plans_of(
    source: Source, args: argparse.Namespace, problems: Sequence[str] = (), split: str | None = None
) -> list[Plan]:
    """Role and type of every column, in the profile's order. Raises DataError with all problems at once.

    `problems`: those of other flags. `split`: a column that only tells which rows are test rows.
    """
    names = source.names()
    found = list(problems)
    if args.max_rows is not None and args.max_rows < 1:
        found.append(f"--max-rows: {args.max_rows}, expected at least 1")
    chosen = _chosen(args)
    for flag, wanted in [*chosen.items(), ("--split", [split] if split else []), ("--group", args.group)]:
        unknown = [name for name in wanted if name not in names]
        if unknown:
            found.append(f"{flag}: no column {', '.join(map(repr, unknown))}; there are {', '.join(names)}")
    times = Counter(itertools.chain.from_iterable(chosen.values()))
    found += [f"{name!r} is given {n} roles, expected one" for name, n in times.items() if n > 1]
    declared, wrong = _schema(args.schema, names)
    found += wrong
    if found:
        raise DataError(f"{source.path}: " + "; ".join(found))
    roles = _roles(source, names, args, chosen, split)
    order = [*chosen["--features"], *(name for name in names if name not in chosen["--features"])]
    settled = settle(source, {n: r for n, r in roles.items() if r != "ignored"}, declared)
    named = set(itertools.chain.from_iterable(chosen.values())) | set(args.group)
    plans = [_plan(name, roles[name], settled.get(name), declared, name in named) for name in order]
    return [replace(plan, group=plan.name in args.group) for plan in plans]


def _chosen(args: argparse.Namespace) -> dict[str, list[str]]:
    features = [name.strip() for name in args.features.split(",")] if args.features else []
    chosen = {"--features": features}
    for flag, _ in _SINGLE:
        value = getattr(args, flag[2:])
        chosen[flag] = [value] if value else []
    for flag, _ in _MANY:
        chosen[flag] = getattr(args, flag[2:])
    return chosen


def _roles(
    source: Source,
    names: Sequence[str],
    args: argparse.Namespace,
    chosen: Mapping[str, list[str]],
    split: str | None,
) -> dict[str, str]:
    roles = dict.fromkeys(names, "ignored" if chosen["--features"] else "feature")
    roles |= {name: role for name, role in source.given().items() if role != "feature"}
    roles |= {name: "group" for name in args.group if roles[name] == "ignored"}
    for flag, role in (("--features", "feature"), *_SINGLE, *_MANY):
        roles |= dict.fromkeys(chosen[flag], role)
    if split is not None and roles[split] in ("feature", "ignored") and split not in chosen["--features"]:
        roles[split] = "split"
    return roles | {name: "ignored" for name in names if not name}


def _plan(name: str, role: str, kind: str | None, declared: Mapping[str, Declared], named: bool) -> Plan:
    own = declared.get(name)
    keep = named or role != "feature" or own is not None
    unit = own.unit if own is not None else None
    return Plan(name, role, kind or "categorical", keep, unit, private=own is None)


# ---------------------------------------------------------------- types


@dataclass(slots=True)
class _Guess:
    """The type of one column so far."""

    written: bool
    kind: str | None = None
    _words: int = 0
    _cells: int = 0
    _longest: int = 0
    _width: int = 0

    def update(self, cells: Cells) -> None:
        if self.kind in ("categorical", "text"):
            self._read(cells)
            return
        if self.kind is not None and self._fits(cells, self.kind):
            self._cells += len(cells)
            return
        had = self.kind
        if had is None:
            self.kind = guessed(cells, self.written)
            if self.kind == "vector":
                self._fits(cells, "vector")
        elif had == "boolean" and not self.written and self._fits(cells, "numeric"):
            self.kind = "numeric"  # true among numbers is 1
        else:
            # What was a number or a time before is a word now; lists and words together are words.
            self.kind = "categorical"
        if self.kind in ("categorical", "text"):
            self._words += self._cells
            self._read(cells)
        else:
            self._cells += len(cells)

    def _fits(self, cells: Cells, kind: str) -> bool:
        try:
            found = typed(cells, kind, self.written)
        except WrongCell:
            return False
        if kind == "vector":
            width = found.values.shape[1] or self._width
            self._width, same = width, self._width in (0, width)
            return same
        return True

    def _read(self, cells: Cells) -> None:
        texts = [cell if isinstance(cell, str) else "" for cell in cells if cell is not None]
        self._cells += len(texts)
        self._words += sum(map(word_count, texts))
        self._longest = max(self._longest, max(map(len, texts), default=0))
        self.kind = "text" if is_text(self._words, self._cells, self._longest) else "categorical"


def settle(
    source: Source,
    roles: Mapping[str, str],
    declared: Mapping[str, Declared],
    otherwise: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The type of every column with a role: as declared, or the narrowest that all its cells can be read as.

    `otherwise`: of columns in which no cell holds anything.
    """
    types = {name: own.type for name, own in declared.items() if name in roles}
    guesses = {name: _Guess(source.written) for name in roles if name not in types}
    if not guesses:
        return types
    for part in source.parts():
        for name, guess in guesses.items():
            guess.update(part.cells[name])
    for name, guess in guesses.items():
        types[name] = guess.kind or (otherwise or {}).get(name, "categorical")
    return types


def typed_parts(source: Source, plans: Sequence[Plan]) -> Iterator[dict[str, Typed]]:
    """All rows, typed as the plans say. Raises DataError for a cell that is not what it was declared to be."""
    rows = 0
    weight = next((plan for plan in plans if plan.role == "weight"), None)
    for part in source.parts():
        part = part if weight is None else _weighted(source, weight, part)
        if weight is not None and not part.lines:
            continue
        rows += len(part.lines)
        yield {plan.name: _column(source, plan, part.cells[plan.name], part.lines) for plan in plans}
    if not rows:
        found = "a header and no rows" if source.written else "no rows"
        found = found if weight is None else f"no rows of a weight above 0 in {weight.name!r}"
        raise DataError(f"{source.path}: {found}; at least one row was expected")


def _weighted(source: Source, plan: Plan, part: Part) -> Part:
    """The rows that weigh something. Raises DataError for what is no weight, with its line and cell."""
    cells = part.cells[plan.name]
    weights = _column(source, plan, cells, part.lines).values
    if weights.dtype.kind != "f" or len(wrong := unfit(weights)):
        row = 0 if weights.dtype.kind != "f" else int(wrong[0])
        where = f"{source.path}, {source.word} {part.lines[row]}, column {plan.name!r}"
        raise DataError(f"{where}: weight {cells[row]!r}, expected 0 or a number from 1e-12 to 1e12")
    if weights.all():
        return part
    kept = np.flatnonzero(weights).tolist()
    chosen = {name: [own[row] for row in kept] for name, own in part.cells.items()}
    return Part(chosen, [part.lines[row] for row in kept])


def _column(source: Source, plan: Plan, cells: Cells, lines: Sequence[int]) -> Typed:
    kind = "categorical" if plan.type == "identifier" else plan.type
    where = f"{source.path}, {source.word} {lines[0]}, column {plan.name!r}"
    try:
        found = typed(cells, kind, source.written, plan.unit)
    except WrongCell as error:
        where = f"{source.path}, {source.word} {lines[error.row]}, column {plan.name!r}"
        raise DataError(f"{where}: {error}") from None
    if plan.centroid and found.values.shape[1] != len(plan.centroid):
        expected = f"expected {len(plan.centroid)} as the others have"
        raise DataError(f"{where}: vectors of {found.values.shape[1]} places, {expected}")
    return found


# ---------------------------------------------------------------- schema file


def _schema(path: str | None, names: Sequence[str]) -> tuple[dict[str, Declared], list[str]]:
    """What a schema file declares, and all that is wrong with it."""
    if path is None:
        return {}, []
    form = "expected `columns:` with a type for each name"
    try:
        document = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        return {}, [f"--schema {path}: {error}"]
    columns = document.get("columns") if isinstance(document, dict) else None
    if not isinstance(columns, dict) or set(document) != {"columns"}:
        return {}, [f"--schema {path}: {form}"]
    found: dict[str, Declared] = {}
    problems = []
    for name, value in columns.items():
        try:
            found[str(name)] = _declared(value)
        except ValueError as error:
            problems.append(f"--schema {path}: columns.{name}: {error}")
        if str(name) not in names:
            problems.append(f"--schema {path}: columns.{name}: no such column; there are {', '.join(names)}")
    return found, problems


def _declared(value: Any) -> Declared:
    own = {"type": value} if isinstance(value, str) else value
    if not isinstance(own, dict) or not set(own) <= {"type", "unit"} or own.get("type") not in GUESSABLE:
        raise ValueError(f"{value!r}, expected one of {', '.join(GUESSABLE)}, or type and unit")
    unit = own.get("unit")
    if unit is not None and (unit not in (*UNITS, "iso") or own["type"] != "datetime"):
        raise ValueError(f"unit {unit!r}, expected iso, {', '.join(UNITS)} of a datetime")
    return Declared(own["type"], unit)
