"""Families of one exposition format -> the same families in the other. Values, labels and help stay what they were.

Text -> OpenMetrics: `_total` leaves the name of a counter, `…_created` gauges return to what they tell of, the lines of
one metric stand together, milliseconds become seconds. A counter without `_total` cannot be said in OpenMetrics: it
keeps its name and becomes `unknown`, as Go's expfmt has it. OpenMetrics -> text: what text has no type for becomes the
gauges and histograms that prometheus_client makes of it; exemplars and units are left out.
"""

import re
from collections.abc import Iterable, Iterator

from exporter.publish.exposition import Exposition, Family, Line, Parts, parts

_WITH_CREATED = ("counter", "histogram", "summary")
_BY_BUCKET = {"histogram": "le", "gaugehistogram": "le", "summary": "quantile"}
# Kinds of OpenMetrics -> suffix of a sample -> what follows the family's name in text, and the kind there.
_GAUGES = {"_created": ("_created", "gauge"), "_gsum": ("_gsum", "gauge"), "_gcount": ("_gcount", "gauge")}
_AS_TEXT: dict[str, dict[str, tuple[str, str]]] = {
    "counter": {"_total": ("_total", "counter"), **_GAUGES},
    "gauge": {"": ("", "gauge")},
    "histogram": {**dict.fromkeys(("_bucket", "_sum", "_count"), ("", "histogram")), **_GAUGES},
    "gaugehistogram": {"_bucket": ("", "histogram"), **_GAUGES},
    "summary": {**dict.fromkeys(("", "_sum", "_count"), ("", "summary")), **_GAUGES},
    "info": {"_info": ("_info", "gauge")},
    "stateset": {"": ("", "gauge")},
    "unknown": {"": ("", "unknown")},
}
_HELP = re.compile(r'\\.|\\|"', re.DOTALL)


def to_openmetrics(found: Exposition) -> dict[str, Family]:
    """Families of text 0.0.4 by their names in OpenMetrics."""
    families = found.families
    converted: dict[str, Family] = {}
    for family in families.values():
        name, kind = family.name, family.kind
        if kind == "counter":
            base = name.removesuffix("_total")
            # A base that is another family's name would make two of one name.
            name, kind = (name, "unknown") if base == name or base in families else (base, kind)
        help_text = _HELP.sub(_help_of_text, family.help)
        converted[name] = Family(name, kind, help_text, "", family.typed, dict(family.lines))
    for name in [name for name in converted if name.endswith("_created")]:
        owner = converted.get(name.removesuffix("_created"))
        if owner is not None and owner.kind in _WITH_CREATED:
            owner.lines |= converted.pop(name).lines
    for family in converted.values():
        family.lines = {key: _in_seconds(key, line) for key, line in family.lines.items()}
        if family.kind in _WITH_CREATED:
            family.lines = _together(family)
    return converted


def to_text(found: Exposition) -> dict[str, Family]:
    """Families of OpenMetrics by their names in text 0.0.4."""
    converted: dict[str, Family] = {}
    for family in found.families.values():
        places = _AS_TEXT[family.kind]
        help_text = _HELP.sub(_help_of_openmetrics, family.help)
        first = next(iter(places.values()))
        if family.typed and not family.lines:
            _family(converted, family.name + first[0], first[1], help_text)
        for key, line in family.lines.items():
            suffix, kind = places.get(line.name.removeprefix(family.name), (None, "unknown"))
            name = line.name if suffix is None else family.name + suffix
            into = _family(converted, name, kind, help_text, family.typed and suffix is not None)
            into.lines[key] = _in_milliseconds(line)
    return converted


def _family(into: dict[str, Family], name: str, kind: str, help_text: str, typed: bool = True) -> Family:
    found = into.get(name)
    if found is None:
        found = into[name] = Family(name, kind, help_text, "", typed)
    return found


def _together(family: Family) -> dict[str, Line]:
    """The lines with those of one metric side by side, metrics in the order of their first line."""
    but = _BY_BUCKET.get(family.kind, "")
    metrics: dict[tuple[tuple[str, str], ...], dict[str, Line]] = {}
    for key, line in family.lines.items():
        labels = tuple(sorted(pair for pair in parts(line.text).labels if pair[0] != but))
        metrics.setdefault(labels, {})[key] = line
    return {key: line for lines in metrics.values() for key, line in lines.items()}


def _in_seconds(key: str, line: Line) -> Line:
    if key[-1] == " ":
        return line  # it has no timestamp
    found = parts(line.text)
    milliseconds = int(found.timestamp)
    sign, rest = "-" if milliseconds < 0 else "", abs(milliseconds)
    return Line(line.name, written(found._replace(timestamp=f"{sign}{rest // 1000}.{rest % 1000:03d}")))


def _in_milliseconds(line: Line) -> Line:
    """Without its exemplar, too."""
    if line.text.count(" ") < 2:
        return line  # only a value behind the series
    found = parts(line.text)
    if not found.timestamp and not found.exemplar:
        return line
    timestamp = str(round(float(found.timestamp) * 1000)) if found.timestamp else ""
    return Line(line.name, written(found._replace(timestamp=timestamp, exemplar="")))


def written(found: Parts) -> str:
    """The line of these parts; a name that is no plain one in quotes."""
    pairs = [f"{key}={value}" for key, value in found.labels]
    name = quoted(found.name)
    if name[0] == '"':
        where = "{" + ",".join([name, *pairs]) + "}"
    else:
        where = f"{name}{{{','.join(pairs)}}}" if pairs else name
    timestamp = f" {found.timestamp}" if found.timestamp else ""
    return f"{where} {found.value}{timestamp}{found.exemplar}"


_LEGACY = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def quoted(name: str) -> str:
    """A family's or sample's name as an exposition spells it."""
    if _LEGACY.fullmatch(name):
        return name
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
    return f'"{escaped}"'


def plain(families: Iterable[Family]) -> Iterator[Family]:
    """The families with names and label names that every Prometheus reads: what is no such character becomes `_`."""
    for family in families:
        if _LEGACY.fullmatch(family.name) and not any(_quotes(line.text) for line in family.lines.values()):
            yield family
            continue
        lines = {}
        for line in family.lines.values():
            text = written(_plain_parts(parts(line.text)))
            lines[text] = Line(_underscored(line.name), text)
        yield Family(_underscored(family.name), family.kind, family.help, family.unit, family.typed, lines)


def _quotes(text: str) -> bool:
    """Whether there may be a name in quotes."""
    return text[0] == "{" or '"=' in text


def _plain_parts(found: Parts) -> Parts:
    labels: dict[str, str] = {}
    for key, value in found.labels:
        name = _underscored(key.strip('"'), ":") if key[0] == '"' else key
        while name in labels:
            name += "_"
        labels[name] = value
    return found._replace(name=_underscored(found.name), labels=list(labels.items()))


def _underscored(name: str, but: str = "") -> str:
    found = re.sub(r"[^a-zA-Z0-9_:]", "_", name).replace(but or "\0", "_")
    return found if found[:1] and not found[0].isdigit() else "_" + found


def _help_of_text(found: re.Match[str]) -> str:
    # Of a backslash text 0.0.4 knows two escapes, and a quote stands for itself there.
    escape = found[0]
    if escape in ("\\\\", "\\n"):
        return escape
    return escape.replace("\\", "\\\\").replace('"', '\\"')


def _help_of_openmetrics(found: re.Match[str]) -> str:
    escape = found[0]
    if escape in ("\\\\", "\\n"):
        return escape
    return '"' if escape in ('\\"', '"') else escape.replace("\\", "\\\\")
