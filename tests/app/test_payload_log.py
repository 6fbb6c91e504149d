"""The payload log of a real sidecar: its events are the traffic, and its sink is none of the traffic's business."""

import json
import signal
import socket
from pathlib import Path

from tests.app.command import BODY, Metrics, Sidecar
from tests.app.conftest import Start
from tests.app.load import load
from tests.app.test_root import assert_ledger, settled
from tests.app.upstream import ANSWER
from tests.e2e.processes import wait_until
from tests.receivers.cloudevents import CloudEventSink, RawSink, Received, Reconciler, status

AT_ONCE = ("--series-hold", "0", "--analysis-cpu", "64")
_REASONS = ("queue_full", "rejected", "retries_exhausted", "disk", "error", "shutdown")


def events(metrics: Metrics, name: str, **labels: str) -> float:
    """A figure of the payload log."""
    return metrics.total(f"modeltap_payload_log_{name}", **labels)


def assert_events(metrics: Metrics) -> None:
    """selected = sent + dropped + queued."""
    dropped = sum(events(metrics, "dropped_total", reason=reason) for reason in _REASONS)
    assert dropped == events(metrics, "dropped_total")
    kept = events(metrics, "sent_total") + events(metrics, "queue_length")
    assert events(metrics, "selected_total") == kept + dropped


def analysed(sidecar: Sidecar) -> Metrics:
    """A scrape after everything was handed over."""
    wait_until(lambda: settled(sidecar.metrics()), "everything is settled", 60)
    return sidecar.metrics()


def pairs(received: list[Received]) -> dict[str, set[str]]:
    """Bodies by id and side; what TrustyAI's service would make pairs of."""
    reconciler = Reconciler()
    assert {reconciler.consume(each) for each in received} <= {200}
    found: dict[str, set[str]] = {}
    for each in received:
        kind = each.attributes["type"].rpartition(".")[2]
        assert each.body == {"request": BODY, "response": ANSWER}[kind]
        assert kind not in found.setdefault(each.attributes["id"], set())
        found[each.attributes["id"]].add(kind)
    return found


def test_every_exchange_is_two_events(start: Start) -> None:
    """Each exchange of real traffic arrives once, as request and response, to the byte; counts agree exactly."""
    with CloudEventSink() as sink:
        flags = ("--payload-log-target", sink.url, "--payload-log-namespace", "shop")
        sidecar = start(*AT_ONCE, *flags)
        sidecar.metrics()
        with load(sidecar.listen, threads=4, pause=0.002) as traffic:
            wait_until(lambda: traffic.finished >= 200, "traffic flows", 60)
        metrics = analysed(sidecar)
        offered = metrics.total("modeltap_records_acknowledged_total")
        wait_until(lambda: events(sidecar.metrics(), "sent_total") == 2 * offered, "all events arrive", 60)
        metrics = sidecar.metrics()
    assert traffic.answers == {200: traffic.finished}
    found = pairs(sink.events)
    assert all(sides == {"request", "response"} for sides in found.values())
    assert len(found) == offered
    assert metrics.total("model_request_duration_seconds_count") == traffic.finished
    assert_events(metrics)
    assert_ledger(metrics)
    some = sink.events[-1].attributes
    assert (some["namespace"], some["modelid"], some["protocol"]) == ("shop", "echo", "open_inference_v2")


def test_a_sink_that_is_down_is_nobody_s_business(start: Start) -> None:
    """With a sink that refuses, then one that hangs, every answer is right, every count exact, and nothing is queued
    beyond the bound; a sidecar that is told to stop ends in its time all the same."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with RawSink(lambda connection: connection.recv(1 << 20) and wait(connection)) as hanging:
        for target in (f"http://127.0.0.1:{port}/", hanging.url):
            flags = ("--payload-log-target", target, "--payload-log-queue", "65536")
            sidecar = start(*AT_ONCE, *flags, "--grace", "3")
            sidecar.metrics()
            with load(sidecar.listen, threads=4) as traffic:
                wait_until(lambda traffic=traffic: traffic.finished >= 500, "traffic flows", 60)
            metrics = analysed(sidecar)
            assert traffic.answers == {200: traffic.finished}
            assert (traffic.broken, traffic.wrong) == (0, 0)
            assert metrics.total("model_request_duration_seconds_count") == traffic.finished
            assert metrics.total("model_request_errors_total") == 0
            assert_ledger(metrics)
            selected = events(metrics, "selected_total")
            assert selected == 2 * metrics.total("modeltap_records_acknowledged_total")
            assert events(metrics, "queue_usage_bytes") <= 65536
            assert events(metrics, "sent_total") == 0
            assert events(metrics, "dropped_total", reason="queue_full") > 0
            assert_events(metrics)
            assert sidecar.analysis(), "it lives"
            sidecar.signal(signal.SIGTERM)
            assert sidecar.ended() == 0
            assert "events did not arrive before the end" in sidecar.text()


def wait(connection: socket.socket) -> None:
    """Until the other side leaves."""
    while connection.recv(1 << 20):
        pass


def test_failures_are_logged_and_a_drain_delivers(start: Start, upstream: object) -> None:
    """Exchanges that no model answered are events with their status; what waits at the end is delivered."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
    with CloudEventSink() as sink:
        flags = ("--payload-log-target", sink.url, "--payload-log-sample", "0", "--connect-timeout", "0.01")
        sidecar = start(*AT_ONCE, *flags, upstream=nobody)
        sidecar.metrics()
        sink.next.extend([status(503)] * 3)
        for _ in range(5):
            assert sidecar.post()[0] == 503
        analysed(sidecar)
        sidecar.signal(signal.SIGTERM)
        assert sidecar.ended() == 0
        found = {(each.attributes["id"], each.attributes["type"].rpartition(".")[2]) for each in sink.events}
    assert len(found) == 10
    answers = [each for each in sink.events if each.attributes["type"].endswith("response")]
    assert {each.attributes["errortype"] for each in answers} == {"refused"}
    assert {each.attributes.get("statuscode") for each in answers} == {"503"}


def test_files_and_nothing_where_it_is_off(start: Start, tmp_path: Path) -> None:
    """Lines of JSON in a folder, masked; without a target no family of the payload log exists."""
    flags = (
        "--payload-log-target",
        str(tmp_path / "payloads"),
        "--payload-log-redact",
        "inputs[?name=='x'].data",
    )
    sidecar = start(*AT_ONCE, *flags)
    sidecar.metrics()
    for _ in range(5):
        sidecar.post()
    wait_until(lambda: events(sidecar.metrics(), "sent_total") == 10, "all is written", 30)
    sidecar.signal(signal.SIGTERM)
    assert sidecar.ended() == 0
    (file,) = (tmp_path / "payloads").iterdir()
    lines = [json.loads(line) for line in file.read_bytes().splitlines()]
    assert len(lines) == 10
    requests = [line["data"] for line in lines if line["type"].endswith("request")]
    assert requests == [json.loads(BODY.replace(b"[0.5]", b'"<redacted>"'))] * 5
    assert "payload_log" not in start(*AT_ONCE).metrics().text
