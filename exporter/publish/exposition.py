"""Anybody's exposition, text 0.0.4 or OpenMetrics 1.0 -> families with their sample lines.

Nothing is lost: a line stays as it was written but for white space, and what has no type is a family of its own.
prometheus_client's parsers are what the tests compare with; here they would lose exemplars and rename counters.
Invariant: what is accepted, a Prometheus accepts; one bad line refuses the whole body, since it would spoil the scrape
that the body is merged into.
"""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from exporter.records.reading import Malformed, Reading

# Possessive throughout: a line is read once, whatever is in it. A quoted name (Prometheus 3) stands in the braces.
_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*+"
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_PAIR = rf"(?:[a-zA-Z_][a-zA-Z0-9_]*+|{_STRING})={_STRING}"
_NUMBER = r"(?:[+-]?(?:[0-9]++\.?[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?+|[+-]Inf|NaN)"
_LABELS = f"{_PAIR}(?:,{_PAIR})*+"
_SERIES = rf"(?:({_NAME})(?:\{{((?:{_LABELS})?+)\}})?+|\{{({_STRING})(?:,({_LABELS}))?+\}})"
_EXEMPLAR = rf" # \{{(?:{_LABELS})?+\}} {_NUMBER}(?: {_NUMBER})?+"
_TEXT = re.compile(rf"{_SERIES} ({_NUMBER})(?: (-?[0-9]++))?+")
_OPENMETRICS = re.compile(rf"{_SERIES} ({_NUMBER})(?: ({_NUMBER}))?+({_EXEMPLAR})?+")
# The same with the white space, the trailing comma and the spellings of infinity that text 0.0.4 allows.
_S = r"[ \t]*+"
_LOOSE_PAIR = rf"{_S}[a-zA-Z_][a-zA-Z0-9_]*+{_S}={_S}{_STRING}{_S}"
_LOOSE = re.compile(
    rf"{_S}({_NAME}){_S}(?:\{{((?:{_LOOSE_PAIR}(?:,{_LOOSE_PAIR})*+)?+,?{_S})\}})?+{_S}"
    rf"([^ \t\r]++)(?:[ \t]++(-?[0-9]++))?+[ \t\r]*+"
)
_PAIRS = re.compile(rf"([a-zA-Z_][a-zA-Z0-9_]*+|{_STRING}){_S}={_S}({_STRING})")
_META = re.compile(rf"#[ \t]++(HELP|TYPE|UNIT)[ \t]++({_NAME}|{_STRING})(?:[ \t]++(.*))?+", re.DOTALL)
_INFINITE = {"inf": "+Inf", "+inf": "+Inf", "-inf": "-Inf", "infinity": "+Inf", "nan": "NaN"}
_ESCAPED = re.compile(r'\\[\\n"]')
_PLAIN = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
_SHOWN = 60  # characters of a bad line

KINDS = frozenset(
    ("counter", "gauge", "histogram", "summary", "info", "stateset", "gaugehistogram", "unknown")
)
# What the samples of a family are called behind its name; just its name where the kind is not here.
TEXT_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("", "_sum", "_count")}
OPENMETRICS_SUFFIXES = {
    "counter": ("_total", "_created"),
    "histogram": ("_bucket", "_sum", "_count", "_created"),
    "summary": ("", "_sum", "_count", "_created"),
    "gaugehistogram": ("_bucket", "_gsum", "_gcount"),
    "info": ("_info",),
}


class Line(NamedTuple):
    """One sample line. `name` is without quotes."""

    name: str
    text: str


class Parts(NamedTuple):
    """A line taken apart. Keys and values of `labels` are as they are written, quotes included."""

    name: str
    labels: list[tuple[str, str]]
    value: str
    timestamp: str
    exemplar: str


@dataclass(slots=True)
class Family:
    """`help` is escaped as in its format; `kind` is OpenMetrics' word; `lines` are by series and timestamp."""

    name: str
    kind: str = "unknown"
    help: str = ""
    unit: str = ""
    typed: bool = False
    lines: dict[str, Line] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Exposition:
    """All families of a body in the order of their first line. `duplicates` counts lines that were left out."""

    openmetrics: bool
    families: dict[str, Family]
    duplicates: int


def is_openmetrics(content_type: str) -> bool:
    """Whether a body of that type is OpenMetrics; everything else is taken for text 0.0.4."""
    return content_type.partition(";")[0].strip().lower() == "application/openmetrics-text"


def scan(body: str, openmetrics: bool) -> Exposition:
    """Every line of a body. Malformed for the first one that is none, and for OpenMetrics without its end."""
    return _Scan(openmetrics).run(body)


def readings(body: bytes, content_type: str, names: frozenset[str]) -> list[Reading]:
    """The samples of those names; all of the body has to be well formed."""
    found = scan(decoded(body), is_openmetrics(content_type))
    return [
        _reading(parts(line.text))
        for family in found.families.values()
        for line in family.lines.values()
        if line.name in names
    ]


def decoded(body: bytes) -> str:
    """The text of a body; Malformed if it is not UTF-8."""
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"byte {error.start} is not UTF-8; expected an exposition in UTF-8") from error


def parts(text: str) -> Parts:
    """A sample line taken apart, of either format."""
    match = _OPENMETRICS.fullmatch(text)
    assert match is not None, text
    labels = _PAIRS.findall(match[2] or match[4] or "")
    return Parts(match[1] or unquoted(match[3]), labels, match[5], match[6] or "", match[7] or "")


def unquoted(text: str) -> str:
    """What a string in quotes stands for."""
    return _ESCAPED.sub(lambda found: _PLAIN[found[0]], text[1:-1]) if "\\" in text else text[1:-1]


def _reading(found: Parts) -> Reading:
    labels = {unquoted(key) if key[0] == '"' else key: unquoted(value) for key, value in found.labels}
    return Reading(found.name, labels, float(found.value))


class _Scan:
    """One pass over one body."""

    def __init__(self, openmetrics: bool) -> None:
        self._openmetrics = openmetrics
        self._match = (_OPENMETRICS if openmetrics else _TEXT).fullmatch
        self._suffixes = OPENMETRICS_SUFFIXES if openmetrics else TEXT_SUFFIXES
        self._families: dict[str, Family] = {}
        self._owners: dict[str, Family] = {}  # by sample name
        self._duplicates = 0

    def run(self, body: str) -> Exposition:
        ended = False
        # Not splitlines: a label value may hold what that takes for the end of a line.
        for number, line in enumerate(body.split("\n"), 1):
            if not line or line == "\r":
                continue
            if ended:
                raise Malformed(f"line {number}: {line[:_SHOWN]!r}: expected nothing behind # EOF")
            if line[0] == "#":
                ended = self._openmetrics and line.rstrip("\r") == "# EOF"
                self._comment(line.rstrip("\r"))
            elif not self._sample(line):
                raise Malformed(
                    f"line {number}: {line[:_SHOWN]!r}: expected NAME{{LABELS}} VALUE [TIMESTAMP]"
                )
        if self._openmetrics and not ended:
            raise Malformed("the end is missing: expected # EOF on the last line")
        shown = {name: family for name, family in self._families.items() if family.lines or family.typed}
        return Exposition(self._openmetrics, shown, self._duplicates)

    def _family(self, name: str) -> Family:
        found = self._families.get(name)
        if found is None:
            found = self._families[name] = Family(name)
        return found

    def _comment(self, line: str) -> None:
        match = _META.fullmatch(line)
        if match is None:
            return
        word, name, rest = match[1], match[2], match[3] or ""
        family = self._family(unquoted(name) if name[0] == '"' else name)
        if word == "HELP":
            family.help = family.help or rest
        elif word == "UNIT":
            family.unit = rest.strip()
        elif not family.typed:
            self._type(family, rest.strip())

    def _type(self, family: Family, kind: str) -> None:
        # What Prometheus does not know as a type would spoil the scrape; its samples need not go with it.
        family.kind = kind if kind in KINDS else "unknown"
        family.typed = True
        for suffix in self._suffixes.get(family.kind, ("",)):
            self._owners.setdefault(family.name + suffix, family)

    def _sample(self, line: str) -> bool:
        match = self._match(line)
        if match is None:
            line = _tidied(line)
            match = self._match(line)
            if match is None:
                return False
        name = match[1] or unquoted(match[3])
        owner = self._owners.get(name)
        if owner is None:
            owner = self._owners[name] = self._family(name)
        series = f"{line[: match.start(5)]}{match[6] or ''}"
        if series in owner.lines:
            self._duplicates += 1
        else:
            owner.lines[series] = Line(name, line)
        return True


def _tidied(line: str) -> str:
    """The line in the one spelling that both formats share, or as it came if it is no sample."""
    match = _LOOSE.fullmatch(line)
    if match is None:
        return line
    name, labels, value, timestamp = match[1], match[2], match[3], match[4]
    pairs = ",".join(f"{key}={text}" for key, text in _PAIRS.findall(labels or ""))
    where = f"{{{pairs}}}" if pairs else ""
    value = _INFINITE.get(value.lower(), value)
    return f"{name}{where} {value} {timestamp}" if timestamp else f"{name}{where} {value}"
