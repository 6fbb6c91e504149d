"""A real model's telemetry from end to end, nothing mocked.

MLServer, the sidecar, Prometheus, an OTLP receiver. The client keeps a ledger of what it sent and saw; what the parts
report is held against it. The tests share one deployment. Who is called when it ends is in test_paging.py.
"""

import math
import subprocess
import time
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from alert_rules.generate import FILES
from alert_rules.promql import interpolate
from dashboards import (
    access,
    containers,
    description,
    expected,
    figures,
    generation,
    gpu,
    payloads,
    performance,
    receipts,
    targets,
    worth,
    wrapped,
)
from dashboards.boards import BOARDS
from exporter.records.exchange import UNKNOWN
from tests.dashboards.linter import panels
from tests.e2e import mlserver, sidecar, telemetry
from tests.e2e.client import Ledger, Row, connected, inference_request, read_rows
from tests.e2e.deployment import Deployment, deployed
from tests.e2e.exposition import scrape
from tests.e2e.processes import wait_until
from tests.publish.test_prometheus import LINT_ACCEPTED
from tests.receivers.otlp import OtlpReceiver

ROOT = Path(__file__).resolve().parents[2]
DURATION = "model_request_duration_seconds"
REQUESTS = 240
ROWS_PER_REQUEST = 4
LINT_STATUS = 3
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
# What Grafana's variables stand for here; what is not named selects everything.
VARIABLES = {"__rate_interval": "5m", "window": "5m", "fleet_window": "1h", "role": "live"}
# Panels that cannot have data here, with the reason; every other query of the dashboard must give a series.
WITHOUT_DATA = {
    "Certificates end in": "no certificates",
    **{panel["title"]: "this machine may have no GPU" for panel in gpu.panels()},
    **{panel["title"]: "this machine may have no control groups" for panel in containers.containers()},
    "Memory, shared pages divided": "this kernel may be too old for it to be read",
    "Host disk": "this machine may show none",
    "Host disk operations": "this machine may show none",
    "Host pressure": "this kernel may not tell",
    **{
        panel["title"]: "no files and no thresholds are declared here"
        for panel in (*description.panels(), *description.thresholds())
    },
    **{
        panel["title"]: "the model is not generative"
        for panel in (*generation.now(), *generation.panels(), *generation.newer())
    },
    **dict.fromkeys(("Firing", "Alerts by severity"), "no alert fires"),
    **{panel["title"]: "the payload log is off here" for panel in payloads.panels()},
    **{panel["title"]: "the access log is off here" for panel in access.panels()},
    **{panel["title"]: "the model is not wrapped here" for panel in wrapped.panels()},
    **{
        panel["title"]: "labels are joined in test_labels.py"
        for panel in (
            *performance.panels(),
            *performance.labels(),
            *worth.panels(),
            *figures.groups(),
            *figures.several(),
            *targets.panels(),
            *receipts.panels(),
        )
    },
    **{panel["title"]: "the reference has no test rows here" for panel in expected.panels()},
    "Turned away at the admin side": "there is no web.config here",
    "Cold start": "the model is there before its sidecar",
    "Load time": "nothing is loaded here; test_life.py does",
    "Repository requests": "nothing is loaded here; test_life.py does",
    "Changes from which to which": "the version never changes; test_life.py changes it",
    "Late spans": "they are off here",
    "Against last week and other versions": "there was no last week, and there is one version",
    "Week and versions, all statistics": "there was no last week, and there is one version",
    "Window snapshots": "there is no state_dir here",
    "History over restarts": "there is no state_dir here",
    "Violations": "all values of this traffic are right",
    "Columns that stand still": "none does",
    "Rules of the configuration": "there are none here",
    "Rules that failed": "there are none here",
    "Rows against last week": "there was no last week, and the profile has no times",
    "Age of rows": "the rows have no times",
    "Since the latest row": "the rows have no times",
    "Rows from the future": "the rows have no times",
    **dict.fromkeys(
        (
            *("Server queue", "Batch size", "Time in the server", "KV cache", "Prefix cache", "Preemptions"),
            *("Phases of an answer", "Time per token", "Tokens told", "Load reports", "KV cache capacity"),
        ),
        "MLServer's own metrics are off here; test_upstream_metrics.py has them",
    ),
}
# Families that cannot be there, within panels of which the others must.
ABSENT = {"model_drift_reference_level": "this reference has no periods", "(ALERTS{": "no alert fires"}


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was sent, and between which unix times."""

    ledger: Ledger
    start: float
    end: float


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    rule_files = [ROOT / "alert_rules" / name for name, _ in FILES]
    with deployed(tmp_path_factory.mktemp("deployment"), rule_files) as parts:
        yield parts


@pytest.fixture(scope="module")
def traffic(deployment: Deployment) -> Traffic:
    """Healthy traffic over the whole training data, every other request sampled; then requests that fail."""
    ledger, start = Ledger(), time.time()
    rows = read_rows(deployment.model.trained.data, leave_out=mlserver.ANSWERS)
    # Rates need two scrapes of a series, and all of this may be sent within one second. MLServer ends a connection that
    # waits for five.
    for seed, half in ((20, range(REQUESTS // 2)), (21, range(REQUESTS // 2, REQUESTS))):
        with connected(deployment.at.proxy, ledger, seed=seed) as client:
            for number in half:
                client.infer(mlserver.MODEL_NAME, _batch(rows, number), sampled=number % 2 == 0)
        _seen(deployment)
    with connected(deployment.at.proxy, ledger, seed=22) as client:
        for _ in range(3):
            assert client.infer(mlserver.MODEL_NAME, b'{"inputs": 3}').code == 422
        for number in range(2):
            assert client.infer("no-such-model", _batch(rows, number)).code == 404
    assert ledger.by_code() == {"200": REQUESTS, "422": 3, "404": 2}
    return Traffic(ledger, start, time.time())


def _seen(deployment: Deployment) -> None:
    query = f'sum({DURATION}_count{{model_name="{mlserver.MODEL_NAME}"}}) > 0'
    wait_until(lambda: deployment.prometheus.query(query), "Prometheus has seen the first requests")


def _batch(rows: list[Row], number: int) -> bytes:
    first = number * ROWS_PER_REQUEST
    batch = [rows[(first + n) % len(rows)] for n in range(ROWS_PER_REQUEST)]
    return inference_request(batch, mlserver.OUTPUTS)


def test_an_idle_endpoint_shows_no_nan(deployment: Deployment) -> None:
    """Before the first request each query of the dashboards gives numbers, or nothing at all."""
    up = 'count({__name__=~"model_up|model_requests_in_flight"}) > 0'
    wait_until(lambda: deployment.prometheus.query(up), "Prometheus has seen the sidecar")
    found = [
        (title, query)
        for title, query in _panel_queries()
        if not all(math.isfinite(series.value) for series in deployment.prometheus.query(query))
    ]
    assert found == []


def test_prometheus_counts_what_the_client_sent(deployment: Deployment, traffic: Traffic) -> None:
    """Requests by model and code in Prometheus equal the client's; an unconfirmed model name is no label."""
    expected = {
        (model if model == mlserver.MODEL_NAME else UNKNOWN, code): count
        for (model, code), count in traffic.ledger.answers.items()
    }
    query = f'sum by (model_name, code) ({DURATION}_count{{operation="predict"}})'
    wait_until(
        lambda: deployment.prometheus.by(query, "model_name", "code") == expected,
        f"Prometheus counts {dict(expected)}",
        progress=lambda: deployment.prometheus.by(query, "model_name", "code"),
    )


def test_prometheus_counts_the_classes_that_the_client_saw(deployment: Deployment, traffic: Traffic) -> None:
    """Predicted rows by class in Prometheus equal the classes in the answers."""
    query = (
        f'sum by (class) (model_predictions_total{{model_name="{mlserver.MODEL_NAME}", output="predict"}})'
    )
    expected = {(name,): count for name, count in traffic.ledger.classes.items()}
    assert sum(expected.values()) == REQUESTS * ROWS_PER_REQUEST
    wait_until(
        lambda: deployment.prometheus.by(query, "class") == expected,
        f"Prometheus counts {expected}",
        progress=lambda: deployment.prometheus.by(query, "class"),
    )


def test_a_span_stands_between_caller_and_model(deployment: Deployment, traffic: Traffic) -> None:
    """Per sampled request: one server span, child of the caller's span and parent of MLServer's own span."""
    callers = traffic.ledger.sampled()
    wait_until(
        lambda: len(_joined(deployment.receiver, callers.keys())) == len(callers),
        f"{len(callers)} sampled requests have a span of the sidecar and one of the model",
        progress=lambda: len(_joined(deployment.receiver, callers.keys())),
    )
    ours = telemetry.server_spans(deployment.receiver, telemetry.SIDECAR)
    answered = [span.attributes for span in ours if span.attributes["http.response.status_code"] == 200]
    assert {attributes["model.name"] for attributes in answered} == {mlserver.MODEL_NAME}
    assert {attributes["model.batch.size"] for attributes in answered} == {ROWS_PER_REQUEST}
    assert {span.trace_id for span in ours} == callers.keys()
    assert len(ours) == len(callers)
    for span in ours:
        assert span.parent_id == callers[span.trace_id].span_id
    models = telemetry.server_spans(deployment.receiver, telemetry.MODEL_SERVER)
    for span in ours:
        assert [each.parent_id for each in models if each.trace_id == span.trace_id] == [span.span_id]


def _joined(receiver: OtlpReceiver, traces: AbstractSet[str]) -> AbstractSet[str]:
    ours = {span.trace_id for span in telemetry.server_spans(receiver, telemetry.SIDECAR)}
    models = {span.trace_id for span in telemetry.server_spans(receiver, telemetry.MODEL_SERVER)}
    return traces & ours & models


def test_otlp_metrics_count_what_the_client_sent(deployment: Deployment, traffic: Traffic) -> None:
    """The latency histogram that arrives over OTLP has the client's number of requests."""
    sent = sum(traffic.ledger.answers.values())
    wait_until(
        lambda: telemetry.requests_counted(deployment.receiver) == sent,
        f"OTLP counts {sent}",
        progress=lambda: telemetry.requests_counted(deployment.receiver),
    )


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_the_model_receives_the_spans_id_as_parent(tmp_path: Path, protocol: str) -> None:
    """Over either protocol: the traceparent at the model has the caller's trace and our span's id."""
    ledger, seen = Ledger(), []
    body = inference_request([{"x": 1.0}, {"x": 2.0}])
    with _echoing(tmp_path, protocol) as (at, receiver), connected(at.proxy, ledger, seed=30) as client:
        for number in range(20):
            answer = client.infer("echo", body, sampled=number % 2 == 0)
            seen.append(answer.headers["x-seen-traceparent"])
        callers = ledger.sampled()
        wait_until(
            lambda: len(telemetry.server_spans(receiver, telemetry.SIDECAR)) >= len(callers), "spans arrive"
        )
        wait_until(lambda: telemetry.requests_counted(receiver) == len(seen), "the metrics arrive")
        ours = {span.trace_id: span for span in telemetry.server_spans(receiver, telemetry.SIDECAR)}
    assert ours.keys() == callers.keys()
    for caller, arrived in zip(ledger.callers, seen, strict=True):
        if caller.sampled:
            span = ours[caller.trace_id]
            assert span.parent_id == caller.span_id
            assert arrived == f"00-{caller.trace_id}-{span.span_id}-01"
        else:
            assert arrived == caller.traceparent


@contextmanager
def _echoing(folder: Path, protocol: str) -> Iterator[tuple[sidecar.Addresses, OtlpReceiver]]:
    """A model that shows what it received, behind a sidecar that exports to a receiver of its own."""
    with OtlpReceiver() as receiver:
        endpoint = receiver.grpc_endpoint if protocol == "grpc" else receiver.http_endpoint
        environment = sidecar.otlp_environment(endpoint, protocol, telemetry.SIDECAR)
        # No scrape ends the hold of new series here; the default of 15 s would only be waited for.
        with sidecar.tapped(folder, ["--series-hold", "1"], environment) as tap:
            yield tap.at, receiver


def test_exemplars_lead_to_sampled_traces(deployment: Deployment, traffic: Traffic) -> None:
    """Prometheus stores exemplars of the latency histogram; their trace ids are those of sampled requests."""

    def stored() -> list[dict[str, Any]]:
        return deployment.prometheus.exemplars(f"{DURATION}_bucket", traffic.start - 60, time.time() + 60)

    found = wait_until(stored, "Prometheus stores an exemplar")
    assert {each["labels"]["trace_id"] for each in found} <= traffic.ledger.sampled().keys()


def test_every_panel_has_data(deployment: Deployment, traffic: Traffic) -> None:
    """Each query of the dashboards succeeds and gives a series, if its panel can have one here."""
    queries = _panel_queries()
    assert traffic.ledger.rows
    assert {title for title, _ in queries} >= WITHOUT_DATA.keys()
    expected = [(title, query) for title, query in queries if title not in WITHOUT_DATA]
    missing = [(title, query) for title, query in expected if not any(name in query for name in ABSENT)]
    rows = read_rows(deployment.model.trained.data, leave_out=mlserver.ANSWERS)

    def answered() -> bool:
        """All of them had data once; a poll that finds none costs one query, so that it leaves time to be scraped."""
        # Rules look back ten seconds here, less than the queries may take: there is traffic until all had data.
        with connected(deployment.at.proxy, Ledger(), seed=50) as client:
            for number in range(ROWS_PER_REQUEST):
                client.infer(mlserver.MODEL_NAME, _batch(rows, number))
        while missing and deployment.prometheus.query(missing[-1][1]):
            missing.pop()
        return not missing

    wait_until(answered, "every panel has data", seconds=90, progress=lambda: missing[-1])


def _panel_queries() -> list[tuple[str, str]]:
    """Of all dashboards but that of batch jobs, of which there are none here."""
    return [
        (panel["title"], interpolate(target["expr"], VARIABLES))
        for name, build in BOARDS
        if name != "jobs.json"
        for panel in panels(build())
        for target in panel["targets"]
    ]


def test_promtool_accepts_the_scrape(deployment: Deployment, traffic: Traffic) -> None:
    """`promtool check metrics` says nothing of the real exposition but what is accepted of the golden one."""
    assert traffic.ledger.rows
    command: list[str | Path] = [deployment.binaries / "promtool", "check", "metrics"]
    text = scrape(deployment.at.metrics)
    checked = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert checked.stdout == ""
    assert set(checked.stderr.splitlines()) <= LINT_ACCEPTED.keys()
    # promtool's own status for lint alone; what cannot be parsed ends with another one.
    assert checked.returncode == (LINT_STATUS if checked.stderr else 0)
    assert "# EOF" in scrape(deployment.at.metrics, OPENMETRICS)
