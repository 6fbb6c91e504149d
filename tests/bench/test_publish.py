"""The benchmark of publishing: all ways tell the same series, and figures are what they say."""

import json
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from bench import publish

CASES = {f"{case.by} {case.what}": case for case in publish.cases(1000)}


def points(body: bytes) -> set[tuple[str, int]]:
    """Metrics of an OTLP message with how many points each has."""
    message = ExportMetricsServiceRequest.FromString(body)
    return {
        (found.name, len(getattr(found, found.WhichOneof("data") or "").data_points))
        for resource in message.resource_metrics
        for scope in resource.scope_metrics
        for found in scope.metrics
    }


@pytest.mark.parametrize("name", ["modeltap text", "prometheus_client text"])
def test_both_texts_have_the_series(name: str) -> None:
    """As many as are told, without what client libraries add (created times)."""
    families = text_string_to_metric_families(CASES[name].call().decode())
    found = {
        (sample.name, tuple(sorted(sample.labels.items())))
        for family in families
        for sample in family.samples
        if not sample.name.endswith("_created")
    }
    assert len(found) == publish.count(publish.samples(1000))
    assert abs(len(found) - 1000) <= 20


def test_both_messages_have_the_points() -> None:
    """The same metrics with the same number of points, also beyond the SDK's default limit."""
    many = {f"{case.by} {case.what}": case for case in publish.cases(6000)}
    ours, theirs = (points(many[f"{by} OTLP, explicit"].call()) for by in ("modeltap", "OpenTelemetry SDK"))
    assert ours == theirs
    assert points(many["modeltap OTLP, exponential"].call()) == ours


def test_values_change_between_calls() -> None:
    """A renderer that kept its last answer would not be measured."""
    case = CASES["modeltap text"]
    assert case.call() != case.call()


def test_coded_answers_are_smaller() -> None:
    """Codings are applied."""
    plain = len(CASES["modeltap text"].call())
    for coding in ("gzip", "zstd"):
        assert len(CASES[f"modeltap text, {coding}"].call()) < plain / 4


def test_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row for each way, and the same in the file; arguments that are none are refused."""
    file = tmp_path / "figures.json"
    assert publish.main(["--rounds", "1", "--series", "200", "--json", str(file)]) == 0
    figures = json.loads(file.read_text())
    assert len(figures) == len(CASES) == len(capsys.readouterr().out.splitlines()) - 1
    assert all(row["ms"] > 0 and row["bytes"] > 0 for row in figures)
    assert publish.main(["--rounds", "0"]) == 2
    assert publish.main(["--series", "5"]) == 2
