"""Samples -> Prometheus text 0.0.4, OpenMetrics 1.0 or protobuf, by content negotiation; here the texts are written.

Refuses to know where samples come from. Invariant: equal samples give equal bytes, in catalogue order, series sorted
by label values; a number reads back as the same number; `le` is written the same in both texts.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from math import isfinite, isnan

from exporter.publish import protobuf
from exporter.publish.negotiation import OPENMETRICS, PROTOBUF, negotiate
from exporter.publish.series_cache import SeriesCache
from exporter.records.catalogue import CATALOGUE, Metric, metric, prometheus_name
from exporter.records.sample import Exemplar, Histogram, Sample

# OpenMetrics 1.0, section "Exemplars": characters of all names and values of one exemplar's labels together.
EXEMPLAR_LABEL_LENGTH = 128
_ORDER = {row.name: place for place, row in enumerate(CATALOGUE)}
_SUFFIXES = {
    "counter": ("_total", "_created"),
    "gauge": (),
    "histogram": ("_bucket", "_count", "_sum", "_created"),
    "info": ("_info",),
}


class Caches:
    """What is kept of series from one scrape to the next, for the texts and for protobuf; not for two threads."""

    def __init__(self, capacity: int = 20_000) -> None:
        self.text = SeriesCache(_lines, capacity)
        self.protobuf = SeriesCache(protobuf.kept, capacity)


def render(
    samples: Iterable[Sample],
    accept: str,
    names: frozenset[str] = frozenset(),
    caches: Caches | None = None,
) -> tuple[bytes, str]:
    """Body and content type for an Accept header ("" = none was sent).

    `names` limits the output to families of which it holds the family's or a sample's name; empty = all. Of two
    samples with the same name and labels the last one counts, since a duplicate spoils a whole scrape. Raises
    KeyError for a name that the catalogue does not have, ValueError for a wrong number of labels or counts.
    """
    kind = negotiate(accept)
    caches = Caches() if caches is None else caches
    families: dict[str, dict[tuple[str, ...], Sample]] = {}
    for sample in samples:
        families.setdefault(sample.name, {})[sample.labels] = sample
    parts: list[bytes] = []
    for name in sorted(families, key=_ORDER.__getitem__):
        row, series = metric(name), families[name]
        if names and names.isdisjoint(_names(row)):
            continue
        ordered = [series[labels] for labels in sorted(series)]
        if kind == PROTOBUF:
            parts.append(protobuf.family(row, ordered, caches.protobuf))
        else:
            parts.append(_family_text(row, ordered, kind == OPENMETRICS, caches.text))
    if kind == OPENMETRICS:
        parts.append(b"# EOF\n")
    return b"".join(parts), kind


@dataclass(frozen=True, slots=True)
class _Lines:
    """The lines of one series as %-templates: labels are escaped once, a scrape only fills in numbers.

    `value` is the one line of a scalar, or all bucket lines of a histogram.
    """

    value: str
    created: str = ""
    count: str = ""
    sum: str = ""


def _lines(row: Metric, labels: tuple[str, ...], bounds: tuple[float, ...]) -> _Lines:
    name = prometheus_name(row)
    present = ((key, value) for key, value in zip(row.labels, labels, strict=True) if value != "")
    pairs = ",".join(f'{key}="{_escape(value)}"' for key, value in present).replace("%", "%%")
    where = f"{{{pairs}}}" if pairs else ""
    created = f"{_family_name(row)}_created{where} %s\n"
    if row.kind != "histogram":
        return _Lines(f"{name}{where} %s\n", created)
    others = f"{pairs}," if pairs else ""
    edges = (*map(go_float, bounds), "+Inf")
    buckets = "".join(f'{name}_bucket{{{others}le="{edge}"}} %s\n' for edge in edges)
    return _Lines(buckets, created, f"{name}_count{where} %s\n", f"{name}_sum{where} %s\n")


def _family_text(row: Metric, samples: list[Sample], openmetrics: bool, cache: SeriesCache[_Lines]) -> bytes:
    parts = [_metadata(row, openmetrics), *(_series(row, one, openmetrics, cache) for one in samples)]
    # Lone surrogates can come out of a JSON body; one bad label value must not cost the scrape.
    return "".join(parts).encode("utf-8", "replace")


def _series(row: Metric, sample: Sample, openmetrics: bool, cache: SeriesCache[_Lines]) -> str:
    value = sample.value
    if isinstance(value, Histogram):
        lines = cache.get(row, sample.labels, value.bounds)
        text = _histogram(lines, value, openmetrics)
    else:
        lines = cache.get(row, sample.labels, ())
        text = lines.value % number(value)
    if openmetrics and sample.created > 0.0 and row.kind in ("counter", "histogram"):
        return text + lines.created % number(sample.created)
    return text


def _histogram(lines: _Lines, value: Histogram, openmetrics: bool) -> str:
    if len(value.counts) != len(value.bounds) + 1:
        raise ValueError(
            f"{len(value.counts)} counts for {len(value.bounds)} bounds in {lines.count.split()[0]}"
        )
    cumulative = tuple(accumulate(value.counts))
    template = _with_exemplars(lines.value, value) if openmetrics and value.exemplars else lines.value
    buckets = template % cumulative
    if value.sum is not None:
        return buckets + lines.sum % number(value.sum) + lines.count % cumulative[-1]
    # OpenMetrics 1.0 has _count if and only if it has _sum; text 0.0.4 always has _count.
    return buckets if openmetrics else buckets + lines.count % cumulative[-1]


def _with_exemplars(template: str, value: Histogram) -> str:
    lines = template.split("\n")
    for place, (count, exemplar) in enumerate(zip(value.counts, value.exemplars, strict=False)):
        if count > 0 and exemplar is not None:
            lines[place] += _exemplar(exemplar).replace("%", "%%")
    return "\n".join(lines)


def _exemplar(exemplar: Exemplar) -> str:
    ids = (("trace_id", exemplar.trace_id), ("span_id", exemplar.span_id))
    labels = [(key, value) for key, value in ids if value]
    if not labels or sum(len(key) + len(value) for key, value in labels) > EXEMPLAR_LABEL_LENGTH:
        return ""
    pairs = ",".join(f'{key}="{_escape(value)}"' for key, value in labels)
    return f" # {{{pairs}}} {number(exemplar.value)} {number(exemplar.timestamp)}"


def _metadata(row: Metric, openmetrics: bool) -> str:
    if not openmetrics:
        name = prometheus_name(row)
        kind = "gauge" if row.kind == "info" else row.kind
        return f"# HELP {name} {_escape_help(row.help)}\n# TYPE {name} {kind}\n"
    name = _family_name(row)
    unit = f"# UNIT {name} {_unit(row)}\n" if _unit(row) else ""
    return f"# HELP {name} {_escape(row.help)}\n# TYPE {name} {row.kind}\n{unit}"


def _family_name(row: Metric) -> str:
    """The family's name in OpenMetrics, which bears no type suffix."""
    return prometheus_name(row).removesuffix("_total").removesuffix("_info")


def _names(row: Metric) -> frozenset[str]:
    family = _family_name(row)
    return frozenset((family, prometheus_name(row), *(family + suffix for suffix in _SUFFIXES[row.kind])))


def _unit(row: Metric) -> str:
    """The unit's word, with which `prometheus_name` ends the family's name; "" for annotations and bare numbers."""
    if row.unit == "1" or row.unit.startswith("{"):
        return ""
    words = 3 if row.unit.endswith("/s") else 1  # bytes_per_second
    return "_".join(_family_name(row).split("_")[-words:])


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _escape_help(text: str) -> str:
    # In text 0.0.4 a quote in HELP stands for itself, and a backslash before it would be shown.
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def number(value: float) -> str:
    """The shortest text that reads back as the same number, in the spelling that both formats share."""
    if isinstance(value, int):
        return str(int(value))
    if isfinite(value):
        return repr(float(value))
    if isnan(value):
        return "NaN"
    return "+Inf" if value > 0 else "-Inf"


def go_float(value: float) -> str:
    """A bucket bound as Go spells floats, with ".0" on whole numbers: 0.005, 1.0, 1e-05, 1.048576e+06.

    This is what OpenMetrics calls canonical and what Prometheus 3 turns every `le` into; Prometheus 2 takes `le` as it
    comes, so any other spelling would give the same bucket two series across an upgrade. Go changes to an exponent
    from 1e+06 on, Python's repr from 1e+16 on; below 1e-04 both do.
    """
    text = repr(float(value))
    digits = text.lstrip("-")
    whole, _, fraction = digits.partition(".")
    if "e" in text or len(whole) < 7:
        return text
    mantissa = f"{whole[0]}.{whole[1:]}{fraction}".rstrip("0").rstrip(".")
    return f"{'-' if value < 0 else ''}{mantissa}e+{len(whole) - 1:02d}"
