"""Exposition: golden scrapes, promtool, and every output read back by prometheus_client's two parsers."""

import math
import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.publish import prometheus
from exporter.publish.negotiation import OPENMETRICS, PROTOBUF, TEXT, negotiate
from exporter.publish.prometheus import Caches, go_float, number, render
from exporter.records.catalogue import CATALOGUE, metric, prometheus_name
from exporter.records.sample import Exemplar, Histogram, Sample
from tests.environments.tools import tools

from .everything import CREATED, everything

GOLDEN = Path(__file__).parent.parent / "golden"
WANT_OPENMETRICS = "application/openmetrics-text;version=1.0.0"
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_2_NATIVE = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,"
    f"{PROMETHEUS_2}"
)
PROMETHEUS_3_NATIVE = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,"
    f"{PROMETHEUS_3}"
)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
# promtool's lint -> why the name stands all the same.
LINT_ACCEPTED = {
    'process_thread_count non-histogram and non-summary metrics should not have "_count" suffix': (
        "OpenTelemetry's name"
    ),
    'process_unix_file_descriptor_count non-histogram and non-summary metrics should not have "_count" suffix': (
        "OpenTelemetry's name"
    ),
    'container_pids_count non-histogram and non-summary metrics should not have "_count" suffix': (
        "beside container_pids_limit, as process_thread_count"
    ),
    'system_cpu_logical_count non-histogram and non-summary metrics should not have "_count" suffix': (
        "OpenTelemetry's name"
    ),
}
Parsed = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(body: bytes, openmetrics: bool) -> Parsed:
    """Every sample line of a body by name and labels; the parser raises on what is invalid."""
    parse = parse_openmetrics if openmetrics else parse_text
    found: Parsed = {}
    for family in parse(body.decode()):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, f"twice: {key}"
            found[key] = sample.value
    return found


def expected(samples: list[Sample], openmetrics: bool) -> Parsed:
    """The same from the samples themselves."""
    found: Parsed = {}
    for sample in samples:
        row = metric(sample.name)
        name, value = prometheus_name(row), sample.value
        labels = {key: text for key, text in zip(row.labels, sample.labels, strict=True) if text}
        plain = frozenset(labels.items())
        if openmetrics and row.kind in ("counter", "histogram"):
            found[name.removesuffix("_total") + "_created", plain] = sample.created
        if not isinstance(value, Histogram):
            found[name, plain] = value
            continue
        for place, bound in enumerate((*value.bounds, math.inf)):
            le = frozenset((labels | {"le": "+Inf" if bound == math.inf else go_float(bound)}).items())
            found[name + "_bucket", le] = sum(value.counts[: place + 1])
        if value.sum is not None:
            found[name + "_sum", plain] = value.sum
        if value.sum is not None or not openmetrics:
            found[name + "_count", plain] = value.count
    return found


@pytest.mark.parametrize(
    ("accept", "name"), [("", "metrics.txt"), (WANT_OPENMETRICS, "metrics.openmetrics.txt")]
)
def test_golden(accept: str, name: str) -> None:
    """The scrape of a complete sample set is the stored one, byte by byte (GOLDEN=1 rewrites it)."""
    body, _ = render(everything(), accept)
    if os.environ.get("GOLDEN") == "1":
        GOLDEN.mkdir(exist_ok=True)
        (GOLDEN / name).write_bytes(body)
    assert body == (GOLDEN / name).read_bytes()


def test_golden_covers_the_catalogue() -> None:
    """Every row of the catalogue is in the golden scrape."""
    text = (GOLDEN / "metrics.txt").read_text()
    assert [row.name for row in CATALOGUE if f"# TYPE {prometheus_name(row)} " not in text] == []


def test_promtool_accepts_the_golden_scrape() -> None:
    """Prometheus' own linter has nothing to say but what is accepted with a reason."""
    done = subprocess.run(
        [tools() / "promtool", "check", "metrics"],
        check=False,
        input=(GOLDEN / "metrics.txt").read_bytes(),
        capture_output=True,
        timeout=60,
    )
    assert done.returncode in (0, 3), (
        done.stderr.decode()
    )  # 3: it was parsed, and the lint has something to say
    assert set(done.stderr.decode().splitlines()) - LINT_ACCEPTED.keys() == set()


def test_prometheus_ingests_the_openmetrics_scrape(tmp_path: Path) -> None:
    """Prometheus' own OpenMetrics parser takes every line, exemplars included."""
    stamped = [
        line
        if line.startswith("#")
        else " # ".join([line.split(" # ")[0] + " 1700000600", *line.split(" # ")[1:]])
        for line in (GOLDEN / "metrics.openmetrics.txt").read_text().splitlines()
    ]
    source = tmp_path / "stamped.txt"
    source.write_text("\n".join(stamped) + "\n")
    command = [
        tools() / "promtool",
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        str(source),
        str(tmp_path / "data"),
    ]
    done = subprocess.run(command, check=False, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("openmetrics", [False, True])
def test_everything_reads_back(openmetrics: bool) -> None:
    """Both formats hold exactly the values and labels of the samples, and nothing else."""
    samples = everything()
    body, content_type = render(samples, WANT_OPENMETRICS if openmetrics else "")
    assert content_type == (OPENMETRICS if openmetrics else TEXT)
    assert parsed(body, openmetrics) == expected(samples, openmetrics)


@pytest.mark.parametrize("openmetrics", [False, True])
@given(
    value=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    amount=st.floats(0, allow_infinity=False),
)
def test_any_label_value_reads_back(openmetrics: bool, value: str, amount: float) -> None:
    """A label value of any characters, and any float, survive both formats."""
    samples = [Sample("model.request.errors", (value, "v", "predict", "p", "5xx"), amount, CREATED)]
    body, _ = render(samples, WANT_OPENMETRICS if openmetrics else "")
    assert parsed(body, openmetrics) == expected(samples, openmetrics)


@given(
    bounds=st.lists(
        st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=8, unique=True
    )
)
def test_any_bounds_read_back(bounds: list[float]) -> None:
    """Bounds of any sign and size are valid, ordered `le` values in both formats."""
    histogram = Histogram(tuple(sorted(bounds)), tuple(range(len(bounds) + 1)), None)
    samples = [Sample("model.prediction.value", ("m", "", "y", "", "live"), histogram, CREATED)]
    for openmetrics in (False, True):
        body, _ = render(samples, WANT_OPENMETRICS if openmetrics else "")
        assert parsed(body, openmetrics) == expected(samples, openmetrics)


@pytest.mark.parametrize(
    ("accept", "expected_format"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        (BROWSER, TEXT),
        (PROMETHEUS_2, OPENMETRICS),
        (PROMETHEUS_3, OPENMETRICS),
        ("application/openmetrics-text", OPENMETRICS),
        ('APPLICATION/OpenMetrics-Text; Version="1.0.0"', OPENMETRICS),
        ("application/openmetrics-text;version=0.0.1", TEXT),
        ("application/openmetrics-text;version=2.0.0", TEXT),
        ("application/openmetrics-text;q=0.2,text/plain;q=0.9", TEXT),
        ("text/plain;q=0.2, application/openmetrics-text; q=0.9", OPENMETRICS),
        ("text/plain,application/openmetrics-text", TEXT),
        ("application/openmetrics-text,text/plain", OPENMETRICS),
        ("application/openmetrics-text;q=0,*/*;q=0.1", TEXT),
        ("application/openmetrics-text;q=nan", TEXT),
        ("application/openmetrics-text;q=7", TEXT),
        ("application/openmetrics-text;q=", TEXT),
        ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;q=0.7", TEXT),
        ("application/vnd.google.protobuf;proto=another.Family;encoding=delimited", TEXT),
        ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text", TEXT),
        (PROMETHEUS_2_NATIVE, PROTOBUF),
        (PROMETHEUS_3_NATIVE, PROTOBUF),
        (f"{PROTOBUF};q=0.2,text/plain;q=0.3", TEXT),
        (";;,,=;q", TEXT),
    ],
)
def test_negotiation(accept: str, expected_format: str) -> None:
    """The format follows the Accept header with its q-values; what is not understood gets text 0.0.4."""
    assert render([], accept)[1] == negotiate(accept) == expected_format


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0.005, "0.005"), (1.0, "1.0"), (1e-05, "1e-05"), (0.0001, "0.0001"), (100000.0, "100000.0")),
        *((1e6, "1e+06"), (1048576.0, "1.048576e+06"), (268435456.0, "2.68435456e+08"), (1e16, "1e+16")),
        *((-1048576.0, "-1.048576e+06"), (-0.5, "-0.5"), (1234567.25, "1.23456725e+06"), (0.0, "0.0")),
    ],
)
def test_bounds_are_canonical(value: float, text: str) -> None:
    """Bounds are written as Go does it, so that Prometheus 2 and 3 store the same `le`."""
    assert go_float(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(3, "3"), (0.1, "0.1"), (math.nan, "NaN"), (math.inf, "+Inf"), (-math.inf, "-Inf"), (True, "1")],
)
def test_numbers(value: float, text: str) -> None:
    """Numbers are the shortest text that reads back, with the formats' own words for the special ones."""
    assert number(value) == text


@pytest.mark.parametrize(("accept", "shown"), [("", r'a"b\\c\nd'), (WANT_OPENMETRICS, r"a\"b\\c\nd")])
def test_help_is_escaped_as_each_format_wants(
    accept: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quote in HELP is escaped in OpenMetrics only; backslash and line feed in both."""
    row = replace(metric("model.up"), help='a"b\\c\nd')
    monkeypatch.setattr(prometheus, "metric", lambda name: row)
    body = render([Sample("model.up", (), 1)], accept)[0].decode()
    assert body.startswith(f"# HELP model_up {shown}\n")
    parse = parse_openmetrics if accept else parse_text
    assert [family.documentation for family in parse(body)] == [row.help]


def histogram_sample(exemplars: tuple[Exemplar | None, ...], counts: tuple[int, ...] = (1, 0, 2)) -> Sample:
    """A latency histogram with two bounds."""
    return Sample(
        "model.queue.wait",
        ("m", "", "predict", "p"),
        Histogram((0.1, 1.0), counts, 3.0, None, exemplars),
        CREATED,
    )


def test_exemplars_only_where_something_was_counted() -> None:
    """A bucket shows its exemplar in OpenMetrics if its own count is not 0; text has none."""
    exemplar = Exemplar("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", 0.05, 1.5)
    sample = histogram_sample((exemplar, exemplar, None))
    lines = render([sample], WANT_OPENMETRICS)[0].decode().splitlines()
    shown = [line for line in lines if " # {" in line]
    assert len(shown) == 1
    assert shown[0].endswith(
        'le="0.1"} 1 # {trace_id="0af7651916cd43dd8448eb211c80319c",span_id="b7ad6b7169203331"} 0.05 1.5'
    )
    assert b" # {" not in render([sample], "")[0]


def test_exemplar_with_long_labels_is_left_out() -> None:
    """An exemplar over 128 characters would spoil the scrape: it is not shown."""
    fits = Exemplar("a" * 120, "", 0.05, 1.5)
    longer = Exemplar("a" * 121, "", 0.05, 1.5)
    assert b" # {" in render([histogram_sample((fits, None, None))], WANT_OPENMETRICS)[0]
    assert b" # {" not in render([histogram_sample((longer, None, None))], WANT_OPENMETRICS)[0]


def test_order_does_not_depend_on_the_input() -> None:
    """Equal samples in any order give equal bytes."""
    samples = everything()
    assert render(samples, "")[0] == render(samples[::-1], "")[0]
    assert render(samples, PROMETHEUS_2)[0] == render(samples[::-1], PROMETHEUS_2)[0]


def test_duplicate_is_not_shown_twice() -> None:
    """Of two samples of one series the last one counts."""
    body, _ = render([Sample("model.up", (), 0), Sample("model.up", (), 1)], "")
    assert parsed(body, openmetrics=False) == {("model_up", frozenset()): 1.0}


def test_lone_surrogate_costs_one_character() -> None:
    """A label value that is not valid Unicode does not cost the scrape."""
    body, _ = render([Sample("modeltap.restarts", ("analysis", "\ud800"), 1, CREATED)], "")
    assert b'reason="?"' in body


@pytest.mark.parametrize("name", ["model_queue_wait_seconds", "model_queue_wait_seconds_bucket", "model_up"])
def test_names_choose_families(name: str) -> None:
    """A filter by family or sample name leaves whole families."""
    body = render(everything(), WANT_OPENMETRICS, frozenset({name}))[0]
    whole = parsed(render(everything(), WANT_OPENMETRICS)[0], openmetrics=True)
    family = name.removesuffix("_bucket")
    assert parsed(body, openmetrics=True) == {
        key: value for key, value in whole.items() if re.fullmatch(rf"{family}(_[a-z]+)?", key[0])
    }


def test_unknown_name_and_wrong_shape_are_refused() -> None:
    """A sample outside the catalogue, or of the wrong shape, is an error of ours and raises."""
    with pytest.raises(KeyError, match=r"model\.nothing"):
        render([Sample("model.nothing", (), 1)], "")
    with pytest.raises(ValueError, match="zip"):
        render([Sample("model.up", ("surplus",), 1)], "")
    with pytest.raises(ValueError, match="3 counts for 1 bounds in model_queue_wait_seconds_count"):
        render([Sample("model.queue.wait", ("m", "", "", ""), Histogram((1.0,), (1, 2, 3), 0.0))], "")


def test_cache_changes_nothing() -> None:
    """With a cache the bytes are the same, also after bounds changed under the same labels."""
    caches = Caches()
    for accept in ("", WANT_OPENMETRICS, PROTOBUF, "", PROTOBUF):
        assert render(everything(), accept, caches=caches)[0] == render(everything(), accept)[0]
    moved = Sample(
        "model.prediction.value", ("m", "", "y", "aa", "live"), Histogram((0.5,), (1, 2), None), CREATED
    )
    changed = Sample(
        "model.prediction.value", ("m", "", "y", "aa", "live"), Histogram((0.7,), (1, 2), None), CREATED
    )
    for sample in (moved, changed, moved):
        for accept in ("", PROTOBUF):
            assert render([sample], accept, caches=caches)[0] == render([sample], accept)[0]


def test_cache_is_bounded() -> None:
    """However many label sets come by, two generations are kept, and the ones in use stay right."""
    caches = Caches(capacity=10)
    for start in range(0, 200, 7):
        samples = [Sample("modeltap.collector.success", (f"c{n}",), n) for n in range(start, start + 15)]
        assert render(samples, "", caches=caches)[0] == render(samples, "")[0]
        assert len(caches.text) <= 20
