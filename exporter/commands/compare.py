"""`modeltap compare A B`: what drifted between two profiles or data sets, as a table, JSON or a page with plots. A data
set is profiled first: the first by the flags of `modeltap profile`, the second over the bins of the first.

Refuses to know statistics: it asks those of `stats`. Exit status: 0, 1 with --fail-on-drift if a column drifted, 2 for
input that cannot be used.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from exporter.commands import compare_html, compare_table
from exporter.commands.late import with_late
from exporter.commands.profile import add_build_arguments, build_profile, seconds_of
from exporter.commands.profile_plan import Declared, add_role_arguments, limited, settle, typed_parts
from exporter.commands.reading import DataError, Source
from exporter.commands.sources import open_source
from exporter.stats import STATISTICS
from exporter.stats.profiles.build import Chunk, ProfileConfig, build_from
from exporter.stats.profiles.compare import CompareConfig, Differences, compare
from exporter.stats.profiles.privacy import hash_category, key_id
from exporter.stats.profiles.profile import PayloadColumn, Profile, ProfileError, load
from exporter.stats.profiles.survey import Plan
from exporter.stats.profiles.types import Typed

_LOOKED_AT = 64 << 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `modeltap compare`."""
    add = parser.add_argument
    add("a", metavar="A", help="the reference: a profile, or data as `modeltap profile` reads it")
    add("b", metavar="B", help="what is compared with it: a profile over the same bins, or data")
    add("--json", metavar="FILE|-", help="write the comparison as JSON")
    add("--html", metavar="FILE", help="write a page with plots, in one file")
    names = [statistic.name for statistic in STATISTICS]
    add("--statistic", choices=names, default="psi", help="by which the verdict is (default: psi)")
    effect = "the least value that matters (default: the statistic's own, 0.1 for psi)"
    add("--effect", type=float, metavar="VALUE", help=effect)
    level = "the reference's own level over periods of that length is a yardstick too, as 7d"
    add("--level", metavar="LENGTH", help=level)
    add("--fail-on-drift", action="store_true", help="exit with status 1 if a column drifted")
    add_role_arguments(parser)
    add_build_arguments(parser)
    defaults = {"model_name": "*", "model_version": "*", "edges_from": None, "task": None}
    parser.set_defaults(**defaults, split=None, test_rows=None, positive=None)


def run(args: argparse.Namespace) -> int:
    """Compare and print; the exit status."""
    try:
        config = _config(args)
        a = _reference(args)
        b = _compared(args, a)
        found = compare(a, b, STATISTICS, config)
        _write(args, a, b, found)
    except (DataError, ProfileError, OSError) as error:
        print(f"modeltap compare: error: {error}", file=sys.stderr)
        return 2
    return 1 if args.fail_on_drift and found.drifted else 0


def _config(args: argparse.Namespace) -> CompareConfig:
    problems: list[str] = []
    seconds = next(iter(seconds_of(args.level, "--level", problems)), None) if args.level else None
    if args.effect is not None and not 0.0 <= args.effect < float("inf"):
        problems.append(f"--effect: {args.effect}, expected a number from 0")
    if problems:
        raise DataError("; ".join(problems))
    return CompareConfig(args.statistic, args.effect, seconds)


def _write(args: argparse.Namespace, a: Profile, b: Profile, found: Differences) -> None:
    names = (Path(args.a).name, Path(args.b).name)
    if args.json:
        text = json.dumps(compare_table.document(names, (a, b), found), indent=1, ensure_ascii=False) + "\n"
        if args.json == "-":
            sys.stdout.write(text)
        else:
            Path(args.json).write_text(text, encoding="utf-8")
    if args.html:
        Path(args.html).write_text(compare_html.page(names, (a, b), found), encoding="utf-8")
    if args.json != "-":
        print(compare_table.report(names, (a, b), found))


def _reference(args: argparse.Namespace) -> Profile:
    if _is_profile(args.a):
        return load(args.a)
    return build_profile(limited(open_source(args.a), args), args)


def _compared(args: argparse.Namespace, a: Profile) -> Profile:
    if _is_profile(args.b):
        return load(args.b)
    return profile_like(limited(open_source(args.b), args), a, args.hash_key)


def _is_profile(path: str) -> bool:
    """Whether a file is a profile and no data: a JSON object that begins with the key `schema`, or has it in line 2."""
    if not Path(path).is_file():
        raise DataError(f"{path}: not a file; a profile or data that can be read several times was expected")
    with Path(path).open("rb") as file:
        start = file.read(_LOOKED_AT)
    if start.startswith(b"\x1f\x8b"):
        start = zlib.decompressobj(wbits=31).decompress(start, _LOOKED_AT) if _unpacks(start) else b""
    squeezed = b"".join(start[:4096].split())
    return squeezed.startswith(b"{") and b'"schema":' in squeezed and b'"specversion"' not in squeezed


def _unpacks(start: bytes) -> bool:
    try:
        zlib.decompressobj(wbits=31).decompress(start, _LOOKED_AT)
    except (zlib.error, gzip.BadGzipFile):
        return False
    return True


# ---------------------------------------------------------------- data over another profile's bins


def profile_like(source: Source, a: Profile, key_file: str | None = None) -> Profile:
    """The profile of data over the bins of `a`, with its roles, and its types where the cells can be read so."""
    known = {column.name: column for column in a.payload} or _from_columns(a)
    names = source.names()
    roles = {name: known[name].role if name in known else "feature" for name in names if name}
    roles |= {name: "feature" for name, role in roles.items() if role in ("split", "time")}
    declared = {
        name: Declared(known[name].type, known[name].unit)
        for name in names
        if name in known and known[name].type in ("text", "categorical")
    }
    settled = settle(source, roles, declared, {name: column.type for name, column in known.items()})
    plans = [_plan(name, settled[name], roles[name], known.get(name)) for name in names if name]
    dropped = {c.name for c in a.payload if c.role in ("split", "time", "id") or c.type == "identifier"}
    plans = [plan for plan in plans if plan.name not in dropped]
    hashed = {column.name for column in a.payload if column.hashed}
    key = _key(a, key_file) if hashed else b""

    def rows(wanted: Sequence[Plan]) -> Iterable[Chunk]:
        return _hashed(typed_parts(source, wanted), hashed, key)

    return with_late(build_from(plans, rows, ProfileConfig(edges_from=a)), source)


def _from_columns(a: Profile) -> dict[str, PayloadColumn]:
    """The payload of a profile of schema 1, which has none: its columns."""
    return {column.name: PayloadColumn(column.name, column.role, column.kind) for column in a.columns}


def _plan(name: str, kind: str, role: str, known: PayloadColumn | None) -> Plan:
    same = known is not None
    return Plan(name, role, kind, keep=same, private=not same)


def _key(a: Profile, key_file: str | None) -> bytes:
    key = Path(key_file).read_bytes().strip() if key_file else b""
    assert a.hashing is not None
    if key_id(key) != a.hashing.key_id:
        raise DataError(
            "--hash-key: the first profile's categories were hashed with another key; expected that one"
        )
    return key


def _hashed(chunks: Iterable[Chunk], names: set[str], key: bytes) -> Iterable[Chunk]:
    known: dict[str, str] = {}
    for chunk in chunks:
        yield {name: _hash(cells, key, known) if name in names else cells for name, cells in chunk.items()}


def _hash(cells: Typed, key: bytes, known: dict[str, str]) -> Typed:
    if len(known) > 100_000:
        known.clear()
    for cell in set(cells.values.tolist()) - {None} - known.keys():
        known[cell] = hash_category(cell, key)
    values = [None if cell is None else known[cell] for cell in cells.values.tolist()]
    return replace(cells, values=np.fromiter(values, object, len(values)))
