"""`modeltap profile`: training data (CSV) in, reference profile (JSON) out, with a table of what was guessed.

Refuses to know models and bins: it reads cells, settles roles and kinds, and hands arrays to `stats`.
Invariants: the file is read twice in chunks (kinds first, values second), so a column is numeric only if all
its cells are; bad input ends with exit status 2, names file, line and what was expected, and writes nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import gzip
import io
import itertools
import math
import re
import sys
import zlib
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np

from exporter.stats.bins import NAN, BoolArray, NumericBins, Values
from exporter.stats.profile import Profile, ProfileColumn, save
from exporter.stats.profile_build import DEFAULT_BINS, MAX_BINS, Column, ProfileConfig, build

CHUNK_ROWS = 8192
# Nine bytes per cell stay in memory until the quantiles are taken: a million rows of 50 columns are 450 MB.
MAX_ROWS = 1_000_000
# Spellings of a missing number. In a text column only the empty cell is missing: `NA` may be a country there.
MISSING_NUMBERS = frozenset(("", "null", "NULL", "None", "NA", "N/A"))
# `float` reads 1_000, and reads 01234 as 1234; both are codes, not numbers.
_CODE = re.compile(r"_|^\s*[+-]?0\d", re.MULTILINE)

Row = list[str]


class DataError(ValueError):
    """Input that cannot be used; the message says where, what was found and what was expected."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is read: the file, all its columns (name to place in a row), their roles, a row limit."""

    path: str
    places: dict[str, int]
    roles: dict[str, str]
    max_rows: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `modeltap profile`."""
    add = parser.add_argument
    add("--data", required=True, metavar="FILE.csv", help="rows under a header line; .gz is read too")
    add("--out", default="-", metavar="FILE|-", help="where the JSON goes (default: -, stdout)")
    add("--model", dest="model_name", default="*", metavar="NAME", help="model name or pattern (default: *)")
    add("--version", dest="model_version", default="*", metavar="PATTERN", help="model version (default: *)")
    add("--target", metavar="COL", help="the column that the model is meant to predict")
    add("--prediction", action="append", default=[], metavar="COL", help="a column that the model answered")
    add("--features", metavar="A,B,C", help="the model's inputs in payload order (default: all the rest)")
    add("--ignore", action="append", default=[], metavar="COL", help="a column to leave out")
    bins = f"quantile bins, 2 to {MAX_BINS} (default: {DEFAULT_BINS})"
    add("--bins", type=int, default=DEFAULT_BINS, metavar="N", help=bins)
    rows = f"rows read at most (default: {MAX_ROWS})"
    add("--max-rows", type=int, default=MAX_ROWS, metavar="N", help=rows)


def run(args: argparse.Namespace) -> int:
    """Build and write the profile; 0, or 2 with a message on stderr for input that cannot be used."""
    try:
        plan = _plan(args)
        named = [*_listed(args.features), *args.prediction, *([args.target] if args.target else [])]
        config = ProfileConfig(args.model_name, args.model_version, args.bins, frozenset(named))
        columns, truncated = read_columns(plan)
        profile = build(columns, config)
        if not profile.columns:
            raise DataError(f"{args.data}: no column can be profiled: {_reasons(profile)}")
        _write(profile, args.out)
    except (DataError, OSError) as error:
        print(f"modeltap profile: error: {error}", file=sys.stderr)
        return 2
    print(report(profile, args.bins), file=sys.stderr)
    if truncated:
        print(f"note: stopped after {plan.max_rows} rows (--max-rows); the file has more", file=sys.stderr)
    return 0


def _write(profile: Profile, out: str) -> None:
    if out == "-":
        sys.stdout.write(profile.to_json())
    else:
        save(profile, out)


def _listed(features: str | None) -> list[str]:
    return [name.strip() for name in features.split(",")] if features else []


def _plan(args: argparse.Namespace) -> Plan:
    """Check flags against the header; every problem at once."""
    header = _header(args.data)
    problems = ProfileConfig(bins=args.bins).validate()
    if args.max_rows < 1:
        problems.append(f"--max-rows: {args.max_rows}, expected at least 1")
    chosen = {
        "--features": _listed(args.features),
        "--prediction": args.prediction,
        "--target": [args.target] if args.target else [],
        "--ignore": args.ignore,
    }
    for flag, names in chosen.items():
        unknown = [name for name in names if name not in header]
        if unknown:
            problems.append(
                f"{flag}: no column {', '.join(map(repr, unknown))}; there are {', '.join(header)}"
            )
    times = Counter(itertools.chain.from_iterable(chosen.values()))
    problems += [f"{name!r} is given {n} roles, expected one" for name, n in times.items() if n > 1]
    if problems:
        raise DataError(f"{args.data}: " + "; ".join(problems))
    return _ordered_plan(args, header, chosen)


def _ordered_plan(args: argparse.Namespace, header: Row, chosen: dict[str, list[str]]) -> Plan:
    roles = dict.fromkeys(header, "ignored" if chosen["--features"] else "feature")
    for flag, role in (("--features", "feature"), ("--prediction", "prediction"), ("--target", "target")):
        roles.update(dict.fromkeys(chosen[flag], role))
    roles.update(dict.fromkeys(chosen["--ignore"], "ignored"))
    roles.update({name: "ignored" for name in header if not name})
    order = [*chosen["--features"], *(name for name in header if name not in chosen["--features"])]
    return Plan(args.data, {name: header.index(name) for name in order}, roles, args.max_rows)


def _open(path: str) -> IO[bytes]:
    if not Path(path).is_file():
        raise DataError(f"{path}: not a file; a CSV file that can be read twice was expected")
    with Path(path).open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.open(path)) if packed else Path(path).open("rb")


def _rows(path: str) -> Generator[tuple[int, Row], None, None]:
    """(line number, cells) of every record, the header first; blank lines are passed over."""
    line = 0
    try:
        with _open(path) as raw, io.TextIOWrapper(raw, "utf-8-sig", newline="") as text:
            reader = csv.reader(text, strict=True)
            for row in reader:
                line = reader.line_num
                if row:
                    yield line, row
    except csv.Error as error:
        raise DataError(f"{path}, line {line + 1}: not CSV: {error}; CSV was expected") from error
    except UnicodeDecodeError as error:
        # The decoder reads ahead by blocks, so no more can be said than which lines were fine.
        raise DataError(f"{path}, after line {line}: {error.reason}; UTF-8 text was expected") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}, after line {line}: damaged gzip data: {error}") from error


def _header(path: str) -> Row:
    with contextlib.closing(_rows(path)) as rows:
        _, header = next(rows, (0, []))
    if not header:
        raise DataError(f"{path}: empty; a header line with column names was expected")
    names = [name.strip() for name in header]
    repeated = [repr(name) for name, times in Counter(names).items() if times > 1]
    if repeated:
        expected = "distinct column names were expected"
        raise DataError(f"{path}, line 1: {expected}, repeated: {', '.join(repeated)}")
    return names


def _chunks(plan: Plan) -> Iterator[list[Row]]:
    """Data rows, up to the limit, by chunk. Raises DataError for a row whose length is not the header's."""
    rows = itertools.islice(_rows(plan.path), 1, plan.max_rows + 1)
    width = len(plan.places)
    while chunk := list(itertools.islice(rows, CHUNK_ROWS)):
        for line, row in chunk:
            if len(row) != width:
                found = f"{len(row)} field{'s' if len(row) != 1 else ''}"
                raise DataError(f"{plan.path}, line {line}: {found}, expected {width} as in the header")
        yield [row for _, row in chunk]


def read_columns(plan: Plan) -> tuple[dict[str, Column], bool]:
    """The columns as arrays (float64, or text and None as objects); whether the row limit cut them short."""
    numeric = _numeric_columns(plan)
    observed = [name for name in plan.places if plan.roles[name] != "ignored"]
    parts: dict[str, list[Values]] = {name: [] for name in plan.places}
    masks: dict[str, list[BoolArray]] = {name: [] for name in plan.places}
    texts: dict[str, str] = {}
    total = 0
    for chunk in _chunks(plan):
        total += len(chunk)
        for name in observed:
            cells = [row[plan.places[name]] for row in chunk]
            if name in numeric:
                values, mask = _numbers(cells)
                masks[name].append(mask)
            else:
                values = _texts(cells, texts)
            parts[name].append(values)
    if not total:
        raise DataError(f"{plan.path}: a header and no rows; at least one row was expected")
    columns = {name: _column(parts[name], masks[name], plan.roles[name]) for name in plan.places}
    return columns, total == plan.max_rows and _has_more(plan)


def _numbers(cells: Row) -> tuple[Values, BoolArray]:
    missing = [cell.strip() in MISSING_NUMBERS for cell in cells]
    values = [math.nan if null else float(cell) for cell, null in zip(cells, missing, strict=True)]
    return np.array(values, np.float64), np.array(missing, np.bool_)


def _texts(cells: Row, texts: dict[str, str]) -> Values:
    # Equal texts share one object: a million rows of three categories would cost 60 MB otherwise.
    shared = [texts.setdefault(cell, cell) if cell.strip() else None for cell in cells]
    return np.array(shared, object)


def _column(parts: list[Values], masks: list[BoolArray], role: str) -> Column:
    values = np.concatenate(parts) if parts else np.zeros(0, object)
    return Column(values, role, np.concatenate(masks) if masks else None)


def _has_more(plan: Plan) -> bool:
    with contextlib.closing(_rows(plan.path)) as rows:
        return next(itertools.islice(rows, plan.max_rows + 1, None), None) is not None


def _numeric_columns(plan: Plan) -> set[str]:
    """Columns with at least one number and no cell that is neither a number nor missing."""
    candidates = {name for name, role in plan.roles.items() if role != "ignored"}
    filled: set[str] = set()
    for chunk in _chunks(plan):
        for name in list(candidates):
            place = plan.places[name]
            present = [cell for row in chunk if (cell := row[place]).strip() not in MISSING_NUMBERS]
            if not _all_numbers(present):
                candidates.discard(name)
            elif present:
                filled.add(name)
    return candidates & filled


def _all_numbers(cells: list[str]) -> bool:
    try:
        for cell in cells:
            float(cell)
    except ValueError:
        return False
    return not _CODE.search("\n".join(cells))


def report(profile: Profile, bins: int) -> str:
    """The table of what was guessed, and of what was left out."""
    lines: list[tuple[str, ...]] = [("column", "role", "kind", "bins", "missing", "notes")]
    for column in profile.columns:
        lines.append(
            (
                column.name,
                column.role,
                column.kind,
                str(column.bins.size),
                _percent(column.missing, column.rows),
                "; ".join(_notes(column, bins)),
            )
        )
    blank = ("-",) * 4
    lines += [(left.name or "(no name)", *blank, f"left out: {left.reason}") for left in profile.left_out]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
    table = ["  ".join(line).rstrip() for line in padded]
    head = f"{profile.rows} rows, reference {profile.reference}, for model {profile.model_name}"
    return "\n".join([f"{head}, version {profile.model_version}", *table])


def _notes(column: ProfileColumn, bins: int) -> list[str]:
    notes = []
    if isinstance(column.bins, NumericBins):
        if column.min == column.max:
            notes.append("constant")
        elif column.bins.discrete:
            notes.append("one bin per value")
        elif column.bins.ranges < bins:
            notes.append(f"ties merged, {column.bins.ranges} of {bins} bins")
        if nan := column.counts[column.bins.labels.index(NAN)]:
            notes.append(f"{nan} NaN")
    else:
        if pooled := column.counts[len(column.bins.categories)]:
            notes.append(f"{_percent(pooled, column.rows)} pooled in {column.bins.rest}")
    return notes


def _percent(part: int, whole: int) -> str:
    return "0" if not part else f"{100 * part / whole:.2g} %"


def _reasons(profile: Profile) -> str:
    return "; ".join(f"{left.name!r} ({left.reason})" for left in profile.left_out)
