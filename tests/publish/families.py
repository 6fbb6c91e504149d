"""Expositions of a stranger: any families that prometheus_client can write, in both formats, by its own hand."""

import math
from collections.abc import Iterator

from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeHistogramMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    StateSetMetricFamily,
    SummaryMetricFamily,
    UnknownMetricFamily,
)
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import Collector

Series = dict[tuple[str, tuple[tuple[str, str], ...]], str]
# No suffix that a type would give: two families of one name are nobody's valid exposition.
NAMES = st.from_regex(r"[a-z_:][a-z0-9_:]{0,6}x", fullmatch=True)
VALUES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NUMBERS = st.floats(0, 1e12) | st.integers(0, 1 << 40).map(float) | st.just(math.inf)
HELPS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=12).map(str.strip)


class Given(Collector):
    """A collector of what it is given."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


@st.composite
def family(draw: st.DrawFn, name: str) -> Metric:
    """One family of any type with up to three metrics."""
    keys = draw(st.lists(st.sampled_from(["a", "b_2", "model_name"]), max_size=2, unique=True))
    sets = draw(
        st.lists(st.lists(VALUES, min_size=len(keys), max_size=len(keys)), max_size=3, unique_by=tuple)
    )
    kind = draw(st.sampled_from(sorted(_MAKERS)))
    made = _MAKERS[kind](name, draw(HELPS), keys)
    for labels in sets:
        _add(draw, kind, made, labels)
    return made


_MAKERS = {
    "counter": lambda name, text, keys: CounterMetricFamily(name, text, labels=keys),
    "gauge": lambda name, text, keys: GaugeMetricFamily(name, text, labels=keys),
    "histogram": lambda name, text, keys: HistogramMetricFamily(name, text, labels=keys),
    "gaugehistogram": lambda name, text, keys: GaugeHistogramMetricFamily(name, text, labels=keys),
    "summary": lambda name, text, keys: SummaryMetricFamily(name, text, labels=keys),
    "info": lambda name, text, keys: InfoMetricFamily(name, text, labels=keys),
    # Its name is a label name, too.
    "stateset": lambda name, text, keys: StateSetMetricFamily(name.replace(":", "s"), text, labels=keys),
    "unknown": lambda name, text, keys: UnknownMetricFamily(name, text, labels=keys),
}


def _add(draw: st.DrawFn, kind: str, made: Metric, labels: list[str]) -> None:
    number = draw(NUMBERS)
    if kind == "counter":
        made.add_metric(labels, number, created=draw(st.none() | st.floats(1e9, 2e9)))
    elif kind in ("gauge", "unknown"):
        made.add_metric(labels, draw(st.just(number) | st.just(-number) | st.just(math.nan)))
    elif kind in ("histogram", "gaugehistogram"):
        counts = sorted(draw(st.lists(st.integers(0, 1000), min_size=3, max_size=3)))
        buckets = list(zip(("0.5", "1.0", "+Inf"), map(float, counts), strict=True))
        made.add_metric(labels, buckets, draw(st.floats(0, 1e6)))
    elif kind == "summary":
        made.add_metric(labels, draw(st.integers(0, 1000)), draw(st.floats(0, 1e6)))
    elif kind == "info":
        made.add_metric(labels, {"version": draw(VALUES)})
    else:
        made.add_metric(labels, {"on": draw(st.booleans()), "off": False})


@st.composite
def registries(draw: st.DrawFn) -> CollectorRegistry:
    """Up to four families of different names."""
    names = draw(st.lists(NAMES, max_size=4, unique=True))
    registry = CollectorRegistry()
    registry.register(Given([draw(family(name)) for name in names]))
    return registry


def written(registry: CollectorRegistry, openmetrics: bool) -> str:
    """The exposition as the library writes it."""
    if openmetrics:
        return generate_openmetrics(registry, escaping="allow-utf-8").decode()
    return generate_latest(registry, escaping="allow-utf-8").decode()


def parsed(text: str, openmetrics: bool) -> Series:
    """Every sample by name and labels, as the library reads it; fails for two of one series."""
    found: Series = {}
    for each in (parse_openmetrics if openmetrics else parse_text)(text):
        for sample in each.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            assert key not in found, f"twice: {key}"
            found[key] = repr(float(sample.value))  # NaN is equal to itself that way
    return found


def typed(text: str, openmetrics: bool) -> dict[str, tuple[str, str]]:
    """Type and help of every family."""
    parse = parse_openmetrics if openmetrics else parse_text
    return {each.name: (each.type, each.documentation) for each in parse(text)}
