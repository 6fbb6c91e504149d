"""`modeltap profile`: training data in, reference profile (JSON) out, with a table of what was guessed. Reads CSV,
JSON lines, Parquet, NumPy files and captured traffic.

Refuses to know models and bins: it reads cells, settles roles and types, and hands arrays to `stats`.
Invariants: the data is read three times in parts (types, bins, counts), so memory does not grow with it; bad input
ends with exit status 2, names file, line and what was expected, and writes nothing.
"""

from __future__ import annotations

import argparse
import functools
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from exporter.commands.late import late_notes, with_late
from exporter.commands.profile_plan import add_role_arguments, limited, plans_of, typed_parts
from exporter.commands.profile_report import report
from exporter.commands.reading import DataError, Limited, Source
from exporter.commands.sources import open_source
from exporter.commands.through import PROTOCOLS, Ask, Model, answered
from exporter.stats import STATISTICS, Bins
from exporter.stats.profiles.bands import TestRows
from exporter.stats.profiles.build import DEFAULT_BINS, MAX_BINS, ProfileConfig, build_from
from exporter.stats.profiles.joint import MAX_PAIRS
from exporter.stats.profiles.levels import LENGTHS
from exporter.stats.profiles.performance import Performance
from exporter.stats.profiles.profile import Profile, ProfileError, load, save
from exporter.stats.profiles.schema import TASKS
from exporter.stats.profiles.score_cells import CellsTally
from exporter.stats.profiles.survey import Plan
from exporter.stats.profiles.tally import Extras

_UNITS = {"m": 60, "h": 3600, "d": 86_400}
_LENGTH = re.compile(r"([1-9]\d{0,4})([mhd])")


@dataclass(frozen=True, slots=True)
class Options:
    """What the flags say besides roles and types. `split`: the column and the value that declare test rows."""

    config: ProfileConfig
    lengths: tuple[int, ...]
    split: tuple[str, str] | None
    problems: tuple[str, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `modeltap profile`."""
    add = parser.add_argument
    add("--data", required=True, metavar="FILE", help="CSV, JSON lines, Parquet, .npy, .npz; .gz is read too")
    add("--out", default="-", metavar="FILE|-", help="where the JSON goes (default: -, stdout)")
    add("--model", dest="model_name", default="*", metavar="NAME", help="model name or pattern (default: *)")
    add("--version", dest="model_version", default="*", metavar="PATTERN", help="model version (default: *)")
    add_role_arguments(parser)
    add_build_arguments(parser)
    add("--edges-from", metavar="PROFILE", help="take bins from an earlier profile where a column is there")
    add("--task", choices=TASKS, help="what the model's answers are")
    add(
        "--split",
        metavar="COL=VALUE",
        help="rows with this value are test rows: performance is taken of them",
    )
    add("--test-rows", metavar="FILE", help="a file of test rows: performance is taken of them")
    url = "send the rows to the model there, and take its answers as the reference of predictions"
    add("--through", metavar="URL", help=url)
    add("--protocol", choices=PROTOCOLS, default="v2", help="how it is asked: v2 (default) or KServe's v1")
    add("--batch", type=int, default=64, metavar="N", help="rows of one request (default: 64)")
    add("--tensor", metavar="NAME", help="all features as one v2 tensor (default: one for each)")
    add("--output", action="append", default=[], metavar="NAME", help="a v2 output to ask for")
    add("--positive", metavar="CLASS", help="the target's class that scores mean (default: 1, true or yes)")


def add_build_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that say how a profile is built, whoever asks for it."""
    add = parser.add_argument
    bins = f"quantile bins, 2 to {MAX_BINS} (default: {DEFAULT_BINS})"
    add("--bins", type=int, default=DEFAULT_BINS, metavar="N", help=bins)
    pair = f"two columns whose correlation is watched, at most {MAX_PAIRS} pairs (default: the strongest 5)"
    add("--pair", action="append", default=[], metavar="A,B", help=pair)
    length = "length of the periods compared with --time, as 6h or 30d (default: 1h, 24h, 7d)"
    add("--period", action="append", default=[], metavar="LENGTH", help=length)
    add("--hash-categories", action="store_true", help="write hashes instead of the features' categories")
    add("--hash-key", metavar="FILE", help="the key of those hashes (without one they can be guessed)")


def run(args: argparse.Namespace) -> int:
    """Build and write the profile; 0, or 2 with a message on stderr for input that cannot be used."""
    try:
        source = limited(open_source(args.data), args)
        profile = through_model(source, args) if args.through else build_profile(source, args)
        _write(profile, args.out)
    except (DataError, ProfileError, OSError) as error:
        print(f"modeltap profile: error: {error}", file=sys.stderr)
        return 2
    print(report(profile, args.bins), file=sys.stderr)
    for note in late_notes(source.late()):
        print(f"note: {source.path}: {note}", file=sys.stderr)
    if isinstance(source, Limited) and source.cut:
        print(f"note: stopped after {source.most} rows (--max-rows); the file has more", file=sys.stderr)
    return 0


def build_profile(source: Source, args: argparse.Namespace, through: bool = False) -> Profile:
    """The profile of a source, by the flags. Raises DataError, ProfileError and OSError."""
    options = options_of(args)
    column = options.split[0] if options.split is not None else None
    plans = plans_of(source, args, options.problems, column)
    config = replace(options.config, source="through") if through else options.config
    _check(source.path, plans, config)
    rows = functools.partial(typed_parts, source)
    extras = Extras(
        time=next((plan.name for plan in plans if plan.role == "time"), None),
        lengths=options.lengths,
        test=options.split is not None,
        split=options.split,
        positive=args.positive,
    )
    plans = [replace(plan, type="datetime") if plan.role == "time" else plan for plan in plans]
    profile = build_from(plans, rows, config, extras, STATISTICS)
    if not profile.columns:
        raise DataError(f"{source.path}: no column can be profiled: {_reasons(profile)}")
    profile = with_late(profile, source)
    if args.test_rows:
        bins = {column.name: column.bins for column in profile.columns}
        found = performance_of(open_source(args.test_rows), plans, args.positive, options.lengths, bins)
        profile = replace(profile, performance=found)
    return profile


def through_model(source: Source, args: argparse.Namespace) -> Profile:
    """The profile of a source with the answers of a model to its rows. Raises DataError, ProfileError, OSError."""
    ask = Ask(
        *(args.through.rstrip("/"), args.model_name, args.protocol, args.batch),
        tensor=args.tensor,
        outputs=tuple(args.output),
    )
    options = options_of(args)
    split = options.split[0] if options.split is not None else None
    plans = plans_of(source, args, [*options.problems, *ask.problems()], split)
    with answered(source, plans, Model(ask)) as known:
        # To ignore a column of the data is not to ignore the answer that takes its place.
        kept = [name for name in args.ignore if name not in known.outputs]
        return build_profile(known, argparse.Namespace(**vars(args) | {"ignore": kept}), through=True)


def options_of(args: argparse.Namespace) -> Options:
    """The flags; what is wrong with them is in `problems`."""
    problems: list[str] = []
    pairs = _pairs(args.pair, problems)
    lengths = tuple(
        sorted({seconds for text in args.period for seconds in seconds_of(text, "--period", problems)})
    )
    split = None
    if args.split is not None:
        name, equals, value = args.split.rpartition("=")
        split = (name, value)
        if not equals:
            problems.append(f"--split: {args.split!r}, expected COLUMN=VALUE")
            split = None
    if args.split and args.test_rows:
        problems.append("--split and --test-rows: expected one of the two")
    if (args.split or args.test_rows) and not args.target:
        problems.append("test rows: expected --target, and --prediction or --score, besides them")
    if args.hash_key and not args.hash_categories:
        problems.append("--hash-key: expected --hash-categories besides it")
    key = None
    if args.hash_categories:
        key = Path(args.hash_key).read_bytes().strip() if args.hash_key else b""
    config = ProfileConfig(
        *(args.model_name, args.model_version, args.bins),
        hash_key=key,
        pairs=pairs,
        edges_from=load(args.edges_from) if args.edges_from else None,
        task=args.task,
    )
    problems += config.validate()
    return Options(config, lengths or LENGTHS, split, tuple(problems))


def _pairs(texts: Sequence[str], problems: list[str]) -> tuple[tuple[str, str], ...]:
    found = []
    for text in texts:
        names = [name.strip() for name in text.split(",")]
        if len(names) != 2 or names[0] == names[1] or not all(names):
            problems.append(f"--pair: {text!r}, expected two columns as A,B")
        else:
            found.append((names[0], names[1]))
    if len(found) > MAX_PAIRS:
        problems.append(f"--pair: {len(found)} pairs, expected at most {MAX_PAIRS}")
    return tuple(found)


def seconds_of(text: str, flag: str, problems: list[str]) -> Iterator[int]:
    """A length such as 30m, 6h or 7d; nothing, and a problem, for what is none."""
    found = _LENGTH.fullmatch(text)
    if found is None:
        problems.append(f"{flag}: {text!r}, expected a length as 30m, 6h or 7d")
    else:
        yield int(found[1]) * _UNITS[found[2]]


def _check(path: str, plans: Sequence[Plan], config: ProfileConfig) -> None:
    numeric = [plan.name for plan in plans if plan.type == "numeric" and plan.counted]
    wrong = [name for pair in config.pairs for name in pair if name not in numeric]
    if wrong:
        shown = ", ".join(map(repr, wrong))
        raise DataError(
            f"{path}: --pair: {shown}, expected columns of numbers, such as {', '.join(numeric[:9])}"
        )
    time = next((plan for plan in plans if plan.role == "time"), None)
    if time is not None and time.type != "datetime":
        expected = "expected ISO 8601 times, or a --schema that says type datetime and a unit"
        raise DataError(f"{path}: --time {time.name}: its cells are {time.type}; {expected}")
    earlier = config.edges_from
    if earlier is not None and earlier.hashing is not None:
        raise DataError(
            f"{path}: --edges-from: its categories are hashes; a profile with readable ones was expected"
        )


def performance_of(
    source: Source,
    plans: Sequence[Plan],
    positive: str | None,
    lengths: tuple[int, ...] = (),
    bins: Mapping[str, Bins] = MappingProxyType({}),
) -> Performance | None:
    """What a file of test rows says; it has the target, and predictions or scores. Raises DataError.

    `bins`: of the profile's columns, by which scores are counted. Where it has the column of time too, its periods of
    `lengths` seconds give bands; where it has that of weights, its rows are weighted.
    """
    names = source.names()
    wanted = [plan for plan in plans if plan.role in ("target", "prediction", "score")]
    missing = [plan.name for plan in wanted if plan.name not in names]
    if missing:
        raise DataError(f"{source.path}: no column {', '.join(missing)}; there are {', '.join(names)}")
    by_role: dict[str, str] = {}
    wanted += [plan for plan in plans if plan.role in ("time", "weight") and plan.name in names]
    for plan in wanted:
        by_role.setdefault(plan.role, plan.name)
    tally = TestRows(positive, lengths if "time" in by_role else ())
    cells = CellsTally(wanted, bins, positive, "weight" in by_role)
    for chunk in typed_parts(source, wanted):
        roles = ("prediction", "score", "time", "weight")
        sides = [chunk[by_role[role]].values if role in by_role else None for role in roles]
        tally.update(chunk[by_role["target"]].values, *sides)
        cells.update(chunk, None, sides[-1])
    found = tally.result()
    return found and replace(found, cells=cells.result())


def _write(profile: Profile, out: str) -> None:
    if out == "-":
        sys.stdout.write(profile.to_json())
    else:
        save(profile, out)


def _reasons(profile: Profile) -> str:
    return "; ".join(f"{left.name!r} ({left.reason})" for left in profile.left_out)
