"""Merging: by prometheus_client's two writers and two parsers, by promtool, and by the clashes one by one."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from prometheus_client import CollectorRegistry

from exporter.publish.merge import Formats, Merged, merge
from exporter.publish.prometheus import render
from exporter.records.reading import Malformed
from exporter.records.sample import Sample
from tests.environments.tools import tools

from .everything import everything
from .families import parsed, registries, typed, written
from .test_prometheus import LINT_ACCEPTED, WANT_OPENMETRICS

OURS = {
    openmetrics: render(everything(), WANT_OPENMETRICS if openmetrics else "")[0].decode()
    for openmetrics in (0, 1)
}
FEW = {
    openmetrics: render(
        [Sample("model.up", (), 1), Sample("model.requests.shed", ("queue_full",), 3, 1e9)],
        WANT_OPENMETRICS if openmetrics else "",
    )[0].decode()
    for openmetrics in (0, 1)
}
SERVERS = sorted((Path(__file__).parents[1] / "vectors" / "upstream_metrics").glob("*.txt"))
ALL_FORMATS = pytest.mark.parametrize(
    "formats", [Formats(ours, theirs) for ours in (False, True) for theirs in (False, True)], ids=str
)


@ALL_FORMATS
@given(registry=registries())
def test_nothing_is_lost(formats: Formats, registry: CollectorRegistry) -> None:
    """What is merged reads as ours, and what the library itself writes in our format; types and help too."""
    theirs = written(registry, formats.theirs)
    merged = merge(FEW[formats.ours], theirs, formats)
    wanted = written(registry, formats.ours)
    ours = parsed(FEW[formats.ours], formats.ours)
    assert parsed(merged.text, formats.ours) == ours | parsed(wanted, formats.ours)
    assert merged.renamed == merged.duplicates == 0
    assert merged.series == len(parsed(merged.text, formats.ours)) - len(ours)
    if formats.ours == formats.theirs or not formats.ours:
        # Text has no word for some types of OpenMetrics, so only this way round is what the library would write.
        found = typed(merged.text, formats.ours)
        assert found == typed(FEW[formats.ours], formats.ours) | typed(wanted, formats.ours)


@ALL_FORMATS
def test_ours_is_untouched(formats: Formats) -> None:
    """Our own lines come first, byte by byte, and OpenMetrics ends once."""
    theirs = "a 1\n# EOF\n" if formats.theirs else "a 1\n"
    merged = merge(OURS[formats.ours], theirs, formats).text
    assert merged.startswith(OURS[formats.ours].removesuffix("# EOF\n"))
    assert merged.count("# EOF") == formats.ours
    assert merge(OURS[formats.ours], "# EOF\n" if formats.theirs else "", formats).text == OURS[formats.ours]


TEXT_TO_OPENMETRICS = (
    ("counter", "# TYPE a_total counter\na_total 1\n", "# TYPE a counter\na_total 1\n"),
    ("counter that has no suffix", "# TYPE a counter\na 1\n", "# TYPE a unknown\na 1\n"),
    (
        "counter beside a gauge of its base",
        "# TYPE a_total counter\na_total 1\n# TYPE a gauge\na 2\n",
        "# TYPE a_total unknown\na_total 1\n# TYPE a gauge\na 2\n",
    ),
    (
        "created beside its counter",
        '# TYPE a_total counter\na_total{x="1"} 1\na_total{x="2"} 2\n'
        '# TYPE a_created gauge\na_created{x="1"} 10.5\na_created{x="2"} 11\n',
        '# TYPE a counter\na_total{x="1"} 1\na_created{x="1"} 10.5\na_total{x="2"} 2\na_created{x="2"} 11\n',
    ),
    (
        "created beside its histogram",
        '# TYPE a histogram\na_bucket{le="1.0"} 1\na_bucket{le="+Inf"} 1\na_count 1\na_sum 0.5\n'
        "# TYPE a_created gauge\na_created 10.5\n",
        '# TYPE a histogram\na_bucket{le="1.0"} 1\na_bucket{le="+Inf"} 1\na_count 1\na_sum 0.5\na_created 10.5\n',
    ),
    ("created of nobody", "# TYPE a_created gauge\na_created 1\n", "# TYPE a_created gauge\na_created 1\n"),
    ("no type at all", "a 1\nb 2\n", "a 1\nb 2\n"),
    ("untyped", "# TYPE a untyped\na 1\n", "# TYPE a unknown\na 1\n"),
    ("a type that nobody knows", "# TYPE a sparkline\na 1\n", "# TYPE a unknown\na 1\n"),
    ("help with quotes", '# HELP a "b" \\\\ \\n\na 1\n', '# HELP a \\"b\\" \\\\ \\n\na 1\n'),
    ("help with a lone backslash", "# HELP a \\d\na 1\n", "# HELP a \\\\d\na 1\n"),
    ("milliseconds", "a 1 1395066363042\nb 1 -1500\n", "a 1 1395066363.042\nb 1 -1.500\n"),
    (
        "values",
        "a NaN\nb +Inf\nc -Inf\nd Inf\ne 1e-05\nf .5\n",
        "a NaN\nb +Inf\nc -Inf\nd +Inf\ne 1e-05\nf .5\n",
    ),
    ("white space", ' a { x = "1" , } \t 2 \r\n', 'a{x="1"} 2\n'),
    ("empty braces", "a{} 1\n", "a{} 1\n"),
    ("escapes in a label", 'a{x="\\"\\\\\\n}, {# "} 1\n', 'a{x="\\"\\\\\\n}, {# "} 1\n'),
    ("comments", "# a comment\n#\n\n# HELP\na 1\n", "a 1\n"),
    (
        "a family in two places",
        '# TYPE a gauge\na 1\nb 1\na{x="1"} 2\n',
        '# TYPE a gauge\na 1\na{x="1"} 2\nb 1\n',
    ),
    ("names that begin with a colon", "# TYPE :a:b counter\n:a:b 1\n", "# TYPE :a:b unknown\n:a:b 1\n"),
)
OPENMETRICS_TO_TEXT = (
    (
        "counter",
        "# TYPE a counter\na_total 1\na_created 9\n",
        "# TYPE a_total counter\na_total 1\n# TYPE a_created gauge\na_created 9\n",
    ),
    ("counter against the rules", "# TYPE a counter\na 1\n", "a 1\n"),
    ("unknown", "# TYPE a unknown\na 1\n", "# TYPE a untyped\na 1\n"),
    ("info", '# TYPE a info\na_info{v="1"} 1\n', '# TYPE a_info gauge\na_info{v="1"} 1\n'),
    ("stateset", '# TYPE a stateset\na{a="on"} 1\n', '# TYPE a gauge\na{a="on"} 1\n'),
    (
        "gaugehistogram",
        '# TYPE a gaugehistogram\na_bucket{le="+Inf"} 1\na_gcount 1\na_gsum 2\n',
        '# TYPE a histogram\na_bucket{le="+Inf"} 1\n# TYPE a_gcount gauge\na_gcount 1\n# TYPE a_gsum gauge\na_gsum 2\n',
    ),
    ("exemplar", '# TYPE a counter\na_total 1 # {t="x # y"} 1 2\n', "# TYPE a_total counter\na_total 1\n"),
    (
        "exemplar behind a timestamp",
        '# TYPE a counter\na_total{x=" "} 1 1.5 # {} 1\n',
        '# TYPE a_total counter\na_total{x=" "} 1 1500\n',
    ),
    ("seconds", "a 1 1395066363.042\nb 1 -1\n", "a 1 1395066363042\nb 1 -1000\n"),
    ("help with quotes", '# HELP a \\"b\\" \\\\ \\n\na 1\n', '# HELP a "b" \\\\ \\n\na 1\n'),
    ("unit", "# TYPE a_bytes gauge\n# UNIT a_bytes bytes\na_bytes 1\n", "# TYPE a_bytes gauge\na_bytes 1\n"),
)
VERBATIM = (
    (
        "exemplar",
        '# HELP a h\n# TYPE a counter\n# UNIT a s\na_total 1 2.5 # {trace_id="x"} 1 2\na_created 3\n',
    ),
    ("unit", "# HELP a_s h\n# TYPE a_s gauge\n# UNIT a_s s\na_s 1\n"),
)


@pytest.mark.parametrize(
    ("theirs", "wanted"), [row[1:] for row in TEXT_TO_OPENMETRICS], ids=[r[0] for r in TEXT_TO_OPENMETRICS]
)
def test_text_becomes_openmetrics(theirs: str, wanted: str) -> None:
    """What only text says is said in OpenMetrics, and the library reads it."""
    merged = merge("# EOF\n", theirs, Formats(True, False)).text
    assert merged == wanted + "# EOF\n"
    assert parsed(merged, True)


@pytest.mark.parametrize(
    ("theirs", "wanted"), [row[1:] for row in OPENMETRICS_TO_TEXT], ids=[r[0] for r in OPENMETRICS_TO_TEXT]
)
def test_openmetrics_becomes_text(theirs: str, wanted: str) -> None:
    """What only OpenMetrics says is said in text, and the library reads it."""
    merged = merge("", theirs + "# EOF\n", Formats(False, True)).text
    assert merged == wanted
    assert parsed(merged, False)


def test_openmetrics_stays_as_it_is() -> None:
    """Exemplars, timestamps, units and created times pass unchanged; a unit that the name lacks does not."""
    exemplar, unit = VERBATIM[0][1], VERBATIM[1][1]
    assert merge("# EOF\n", unit + "# EOF\n", Formats(True, True)).text == unit + "# EOF\n"
    wanted = exemplar.replace("# UNIT a s\n", "") + "# EOF\n"
    assert merge("# EOF\n", exemplar + "# EOF\n", Formats(True, True)).text == wanted


CLASHES = (
    ("the same gauge", "# TYPE model_up gauge\nmodel_up 7\n", {"upstream_model_up"}),
    (
        "the same counter",
        "# TYPE model_requests_shed_total counter\nmodel_requests_shed_total 7\n",
        {"upstream_model_requests_shed_total"},
    ),
    (
        "a gauge of our counter's base",
        "# TYPE model_requests_shed gauge\nmodel_requests_shed 7\n",
        {"upstream_model_requests_shed"},
    ),
    (
        "a gauge of our counter's created",
        "model_requests_shed_created 7\n",
        {"upstream_model_requests_shed_created"},
    ),
    (
        "a name that renaming would take",
        "model_up 7\nupstream_model_up 8\n",
        {"upstream_upstream_model_up", "upstream_model_up"},
    ),
    (
        "a whole histogram",
        '# TYPE model_up histogram\nmodel_up_bucket{le="+Inf"} 1\nmodel_up_sum 1\nmodel_up_count 1\n',
        {"upstream_model_up_bucket", "upstream_model_up_sum", "upstream_model_up_count"},
    ),
    ("no clash", "model_upper 7\n", {"model_upper"}),
)


@pytest.mark.parametrize("openmetrics", [False, True])
@pytest.mark.parametrize(("theirs", "names"), [row[1:] for row in CLASHES], ids=[row[0] for row in CLASHES])
def test_a_name_of_ours_stays_ours(openmetrics: bool, theirs: str, names: set[str]) -> None:
    """A family that has a name in common with ours is renamed, whole, in both formats alike, and counted."""
    merged = merge(FEW[openmetrics], theirs, Formats(openmetrics, False))
    ours = parsed(FEW[openmetrics], openmetrics)
    found = parsed(merged.text, openmetrics)
    assert {name for name, _ in found.keys() - ours.keys()} == names
    assert ours.items() <= found.items()
    assert merged.renamed == any(name.startswith("upstream_") for name in names)


@pytest.mark.parametrize("formats", [Formats(False, False), Formats(True, True)], ids=str)
def test_a_sidecar_behind_a_sidecar(formats: Formats) -> None:
    """All of our own families twice, and twice again: nothing lost, no name twice."""
    once = merge(OURS[formats.ours], OURS[formats.ours], formats)
    single = parsed(OURS[formats.ours], formats.ours)
    assert len(parsed(once.text, formats.ours)) == 2 * len(single)
    assert once.series == len(single)
    twice = merge(OURS[formats.ours], once.text, formats)
    assert len(parsed(twice.text, formats.ours)) == 3 * len(single)


def test_duplicates_are_left_out() -> None:
    """Of two lines of one series the first one counts; another timestamp makes another line."""
    merged = merge("", 'a{x="1"} 1\na{x="1"} 2\na{x="1"} 3 5\n', Formats(False, False))
    assert merged == Merged('a{x="1"} 1\na{x="1"} 3 5\n', 2, 0, 1)


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        ({"a"}, {"a_bucket", "a_sum", "a_count"}),
        ({"a_sum"}, {"a_bucket", "a_sum", "a_count"}),
        ({"b_total"}, {"b_total"}),
        ({"model_up"}, set()),
        (set(), {"a_bucket", "a_sum", "a_count", "b_total"}),
    ],
)
def test_names_choose_families(names: set[str], kept: set[str]) -> None:
    """A filter by family or sample name leaves whole families of the upstream."""
    theirs = (
        '# TYPE a histogram\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n# TYPE b_total counter\nb_total 1\n'
    )
    merged = merge("", theirs, Formats(False, False), frozenset(names))
    assert {name for name, _ in parsed(merged.text, False)} == kept


QUOTED = (
    '# TYPE "my.metric" counter\n{"my.metric_total","my.label"="x",b="y"} 1\n{"my.metric_total"} 2 3\n# EOF\n'
)


def test_quoted_names() -> None:
    """Names of any characters pass to who takes them in quotes; for all others they get underscores."""
    passed = merge("# EOF\n", QUOTED, Formats(True, True, True)).text
    assert passed == QUOTED
    plain = merge("# EOF\n", QUOTED, Formats(True, True)).text
    assert (
        plain
        == '# TYPE my_metric counter\nmy_metric_total{my_label="x",b="y"} 1\nmy_metric_total 2 3\n# EOF\n'
    )
    text = merge("", QUOTED, Formats(False, True, True)).text
    assert (
        text
        == '# TYPE "my.metric_total" counter\n{"my.metric_total","my.label"="x",b="y"} 1\n{"my.metric_total"} 2 3000\n'
    )
    clash = merge("# TYPE my gauge\nmy 1\n", '{"my",a="1"} 2\n', Formats(False, False, True)).text
    assert clash == '# TYPE my gauge\nmy 1\n{"upstream_my",a="1"} 2\n'


@pytest.mark.parametrize(
    "body",
    ["<html>", "a\n", "a 1 2 3\n", 'a{x="1} 2\n', "a{x=1} 2\n", "a 1_0\n", "1a 2\n", "a 0x1\n", "a 1\x00\n"],
)
def test_garbage_is_refused(body: str) -> None:
    """One line that is none, and the whole body is refused: it would spoil the scrape."""
    with pytest.raises(Malformed, match=r"line 2: .*expected NAME"):
        merge("", "b 1\n" + body, Formats(False, False))


@pytest.mark.parametrize("openmetrics", [False, True])
@pytest.mark.parametrize("server", SERVERS, ids=lambda path: path.stem)
def test_promtool_reads_a_merged_scrape(server: Path, openmetrics: bool, tmp_path: Path) -> None:
    """Beside the exposition of each server our whole scrape stays valid for Prometheus' own parsers."""
    theirs = server.read_text()
    merged = merge(OURS[openmetrics], theirs, Formats(openmetrics, theirs.endswith("# EOF\n"))).text
    assert parsed(OURS[openmetrics], openmetrics).items() <= parsed(merged, openmetrics).items()
    if openmetrics:
        _ingest(merged, tmp_path)
    else:
        _check(merged, theirs)


def _check(merged: str, theirs: str) -> None:
    done = _promtool(["check", "metrics"], merged)
    assert done.returncode in (0, 3), done.stderr
    complaints = {line for line in done.stderr.splitlines() if line.split()[0] not in theirs}
    assert complaints - LINT_ACCEPTED.keys() == set()


def _ingest(merged: str, folder: Path) -> None:
    stamped = [
        line
        if line[0] == "#"
        else " # ".join([line.split(" # {")[0] + " 1700000600", *line.split(" # ")[1:]])
        for line in merged.splitlines()
    ]
    source = folder / "stamped.txt"
    source.write_text("\n".join(stamped) + "\n")
    done = _promtool(["tsdb", "create-blocks-from", "openmetrics", str(source), str(folder / "data")], "")
    assert done.returncode == 0, done.stderr


def _promtool(arguments: list[str], given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tools() / "promtool", *arguments],
        check=False,
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
    )
