"""Late: columns that first appear after the rows that name them. They are no columns, and are told with their rows.

A file without a header can name a column in its last row, and all before would have to be kept to count it. Refuses to
know formats. Invariant: what is kept is bounded, whatever keys a file has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from typing import Final

from exporter.commands.reading import NAMING_ROWS, Source
from exporter.stats.profiles.profile import LeftOut, Profile

MAX_NAMES: Final = 100
MAX_CHARACTERS: Final = 128
OTHER: Final = "<other>"
REASON: Final = f"first seen after {NAMING_ROWS:,} rows"


def count_late(late: Counter[str], rows: Iterable[Iterable[str]], known: Container[str]) -> None:
    """Count the rows of each key that is not `known`; those over the bounds together."""
    for row in rows:
        seen: set[str] = set()
        for name in row:
            if name not in known and (own := _bounded(late, name)) not in seen:
                seen.add(own)
                late[own] += 1


def _bounded(late: Mapping[str, int], name: str) -> str:
    room = name in late or (len(late) < MAX_NAMES and len(name) <= MAX_CHARACTERS)
    return name if room else OTHER


def with_late(profile: Profile, source: Source) -> Profile:
    """The profile that names, among what it left out, what came too late to be a column."""
    late = source.late()
    known = {*(one.name for one in profile.payload), *(one.name for one in profile.left_out)}
    left = [LeftOut(name, f"{REASON}, in {_rows(rows)}") for name, rows in late.items() if name not in known]
    return replace(profile, left_out=(*profile.left_out, *left)) if left else profile


def late_notes(late: Mapping[str, int]) -> list[str]:
    """A line for a log where there is something to tell."""
    if not late:
        return []
    names = ", ".join(f"{name!r} in {_rows(rows)}" for name, rows in list(late.items())[:5])
    more = f" and {len(late) - 5} more" if len(late) > 5 else ""
    return [f"no columns, {REASON}: {names}{more}; columns are the keys of the first {NAMING_ROWS:,} rows"]


def _rows(rows: int) -> str:
    return f"{rows:,} row" + ("s" if rows != 1 else "")
