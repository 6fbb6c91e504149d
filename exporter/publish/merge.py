"""Our exposition and the upstream's -> one that a scraper takes: every family once, every line of both. Pure.

Ours stays as it is. A family of the upstream that has a name in common with one of ours, whatever its type, is called
`upstream_…`: to drop it would lose it, to mix the two would mix what two processes measured. Names are compared with
all the suffixes that OpenMetrics gives a type, in both formats alike, so that a series has one name in both.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from exporter.publish.convert import plain, quoted, to_openmetrics, to_text
from exporter.publish.exposition import OPENMETRICS_SUFFIXES, Family, Line, scan

PREFIX = "upstream_"
_EOF = "# EOF\n"
_TYPE = re.compile(r"^# TYPE (\S+) (\S+)$", re.MULTILINE)


class Formats(NamedTuple):
    """Whether each is OpenMetrics, and whether the scraper takes names in quotes (`escaping=allow-utf-8`)."""

    ours: bool
    theirs: bool
    quoted_names: bool = False


class Merged(NamedTuple):
    """The text in our format. `series` are the upstream's, `renamed` its families, `duplicates` its lines left out."""

    text: str
    series: int
    renamed: int
    duplicates: int


def merge(ours: str, theirs: str, formats: Formats, names: frozenset[str] = frozenset()) -> Merged:
    """Both in our format. Malformed if `theirs` is not what its format demands.

    `names` limits the upstream's part to families of which it holds the family's or a sample's name; empty = all.
    """
    found = scan(theirs, formats.theirs)
    if formats.ours == formats.theirs:
        families: Iterable[Family] = found.families.values()
    else:
        families = (to_openmetrics(found) if formats.ours else to_text(found)).values()
    if not formats.quoted_names:
        families = plain(families)
    taken = {name for match in _TYPE.finditer(ours) for name in _claims(match[1], match[2])}
    theirs_too = frozenset(found.families)
    chunks, series, renamed = [ours.removesuffix(_EOF)], 0, 0
    for family in families:
        if (
            names
            and family.name not in names
            and names.isdisjoint(line.name for line in family.lines.values())
        ):
            continue
        prefix = _prefix(family, taken, theirs_too)
        if prefix:
            taken |= _claims(prefix + family.name, family.kind)
        chunks.append(_rendered(family, prefix, formats.ours))
        series += len(family.lines)
        renamed += prefix != ""
    if formats.ours:
        chunks.append(_EOF)
    return Merged("".join(chunks), series, renamed, found.duplicates)


def _claims(name: str, kind: str) -> set[str]:
    """Every name that a family of this name may give to a sample, or to itself, in either format."""
    base = name.removesuffix("_total") if kind == "counter" else name
    return {name, base, *(base + suffix for suffix in OPENMETRICS_SUFFIXES.get(kind, ()))}


def _prefix(family: Family, taken: set[str], theirs: frozenset[str]) -> str:
    """As often as it takes: the upstream may be another sidecar, that renamed already."""
    prefix, claims = "", _claims(family.name, family.kind)
    while not taken.isdisjoint(claims) or (prefix and not theirs.isdisjoint(claims)):
        prefix += PREFIX
        claims = _claims(prefix + family.name, family.kind)
    return prefix


def _rendered(family: Family, prefix: str, openmetrics: bool) -> str:
    name = quoted(prefix + family.name)
    kind = "untyped" if family.kind == "unknown" and not openmetrics else family.kind
    parts = [f"# HELP {name} {family.help}\n"] if family.help else []
    if family.typed:
        parts.append(f"# TYPE {name} {kind}\n")
    if openmetrics and family.unit and name.endswith(f"_{family.unit}"):
        parts.append(f"# UNIT {name} {family.unit}\n")
    if prefix:
        parts += [_renamed(line, prefix) for line in family.lines.values()]
    else:
        parts += [f"{line.text}\n" for line in family.lines.values()]
    return "".join(parts)


def _renamed(line: Line, prefix: str) -> str:
    quote = '{"' if line.text[0] == "{" else ""
    return f"{quote}{prefix}{line.text.removeprefix(quote)}\n"
