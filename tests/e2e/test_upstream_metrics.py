"""A real MLServer's own metrics: read as signals, and merged into the scrape of a real Prometheus."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tests.e2e import mlserver, monitoring, sidecar
from tests.e2e.client import Ledger, connected, inference_request, read_rows
from tests.e2e.exposition import TEXT, samples, scrape, total
from tests.e2e.processes import LOOPBACK, answers, free_ports, running, wait_until
from tests.environments.tools import tools
from tests.publish.families import parsed, typed

OPENMETRICS = "application/openmetrics-text; version=1.0.0; escaping=allow-utf-8"
REQUESTS = 40
# MLServer's own clocks go on between two scrapes of it.
MOVING = ("process_", "python_gc_", "rest_server_", "model_infer_request_duration")


@dataclass(frozen=True, slots=True)
class Parts:
    """The addresses of MLServer's metrics and of the sidecar, and Prometheus."""

    own: str
    at: sidecar.Addresses
    prometheus: monitoring.Prometheus
    ledger: Ledger


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    """MLServer with adaptive batching, the sidecar that includes it, Prometheus that scrapes the sidecar alone."""
    folder = tmp_path_factory.mktemp("upstream")
    model = mlserver.train(folder)
    _change(model.folder / "model-settings.json", max_batch_size=8, max_batch_time=0.01)
    http, grpc, metrics, prometheus_port = free_ports(4)
    at = sidecar.addresses()
    flags = [
        "--upstream-metrics",
        f":{metrics}",
        "--upstream-metrics-interval",
        "0.5",
        "--include-upstream",
        "true",
    ]
    (folder / "rules.yaml").write_text("groups: []\n")
    ports = monitoring.Addresses(prometheus_port, f"{LOOPBACK}:{at.admin}", f"{LOOPBACK}:1")
    url = f"http://{LOOPBACK}:{prometheus_port}"
    with ExitStack() as stack:
        enter = stack.enter_context
        served = mlserver.server(model, (http, grpc, metrics), "")
        _change(model.folder / "settings.json", metrics_endpoint="/metrics")
        enter(running(served, mlserver.ready_url(http)))
        tap = enter(running(sidecar.sidecar(folder, at, http, flags), at.ready))
        wait_until(lambda: answers(at.metrics), "the first scrape is answered", process=tap)
        program = monitoring.prometheus(tools() / "prometheus", folder, ports, folder / "rules.yaml")
        enter(running(program, f"{url}/-/ready"))
        ledger = Ledger()
        rows = read_rows(model.data, leave_out=mlserver.ANSWERS)
        with connected(at.proxy, ledger, seed=4) as client:
            for number in range(REQUESTS):
                client.infer(mlserver.MODEL_NAME, inference_request(rows[number : number + 2]))
        prometheus = monitoring.Prometheus(url)
        wait_until(lambda: prometheus.target_health() == ["up"], "the sidecar is scraped", process=tap)
        yield Parts(f"http://{LOOPBACK}:{metrics}/metrics", at, prometheus, ledger)


def _change(file: Path, **settings: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))


def test_signals_are_what_the_server_counted(parts: Parts) -> None:
    """Requests and time of inference under our names, equal to what MLServer and the client saw."""

    def signals() -> dict[str, float]:
        return samples(scrape(f"{parts.at.metrics}?include=own"))

    def requests() -> float:
        return total(signals(), "model_server_requests_total", model_name="wine", source="mlserver")

    wait_until(lambda: requests() == REQUESTS, "the server's count arrives", progress=requests)
    own = samples(scrape(parts.own))
    assert total(own, "model_infer_request_success_total") == REQUESTS
    spent = total(signals(), "model_server_compute_time_seconds_total", source="mlserver")
    assert spent == total(own, "model_infer_request_duration_sum") > 0
    assert "model_infer_request_success_total" not in scrape(f"{parts.at.metrics}?include=own")


@pytest.mark.parametrize("accept", [TEXT, OPENMETRICS])
def test_nothing_of_the_server_is_lost(parts: Parts, accept: str) -> None:
    """Every family and series that MLServer tells directly is in the merged scrape, with type, help and value.

    MLServer speaks text only. In OpenMetrics its `_created` gauges are part of what they tell of.
    """
    openmetrics = accept == OPENMETRICS
    own, merged = scrape(parts.own, accept), scrape(parts.at.metrics, accept)
    theirs, all_of_it = parsed(own, False), parsed(merged, openmetrics)
    assert len(theirs) > 50
    assert theirs.keys() <= all_of_it.keys()
    still = {key: value for key, value in theirs.items() if not key[0].startswith(MOVING)}
    assert still.items() <= all_of_it.items()
    families = {name: told for name, told in typed(own, False).items() if not name.endswith("_created")}
    assert families.items() <= typed(merged, openmetrics).items()
    assert ("model_up", ()) in all_of_it


def test_promtool_accepts_the_merged_scrape(parts: Parts) -> None:
    """Of what Prometheus' linter has to say nothing is an error of the format."""
    merged = scrape(parts.at.metrics)
    checked = subprocess.run(
        [tools() / "promtool", "check", "metrics"], input=merged, capture_output=True, text=True, check=False
    )
    assert checked.returncode in (0, 3), checked.stderr
    assert sum(1 for _ in parse_text(merged)) > 70


def test_prometheus_stores_both_from_one_target(parts: Parts) -> None:
    """One scrape target has MLServer's series and ours; the merge is counted, and nothing clashed."""
    query = parts.prometheus.scalar
    wait_until(
        lambda: query('model_infer_request_success_total{model="wine"}') == REQUESTS,
        "MLServer's count is stored",
    )
    wait_until(lambda: query('model_server_requests_total{source="mlserver"}') == REQUESTS, "so is ours")
    sent = sum(parts.ledger.by_code().values())
    # A new series shows 0 for one scrape.
    wait_until(lambda: query("sum(model_request_duration_seconds_count)") == sent, "our counts are stored")
    assert (query('modeltap_upstream_scrapes_total{purpose="merge",outcome="scraped"}') or 0) > 0
    garbage = (
        'modeltap_upstream_scrapes_total{purpose="merge",outcome=~"malformed|not_metrics|too_large|encoding"}'
    )
    assert query(f"sum({garbage})") == 0
    assert query("sum(modeltap_upstream_conflicts_total)") == 0
    assert (query("modeltap_upstream_series") or 0) > 50
