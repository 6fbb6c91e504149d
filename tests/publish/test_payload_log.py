"""PayloadLog: selection, delivery with retries, the ledger under every fault, and the end."""

import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exporter.decode.coding import undo
from exporter.publish.cloudevents import OMITTED
from exporter.publish.delivery import FAILURES
from exporter.publish.payload_log import PayloadLog, PayloadLogConfig
from exporter.records.exchange import Exchange
from exporter.records.queue import share
from exporter.records.sample import Histogram
from tests.receivers.cloudevents import CloudEventSink, RawSink, Reconciler, status
from tests.receivers.otlp import until

from .exchanges import changed

CREATED = 5.0
QUICK = PayloadLogConfig(source="http://pod:9000/", backoff=0.01, seconds=2.0)
DROPS = ("queue_full", "rejected", "retries_exhausted", "disk", "error", "shutdown")
Make = Callable[..., PayloadLog]


@pytest.fixture
def make() -> Iterator[Make]:
    """`make(target, **settings)`: a log that runs, and ends with the test."""
    made: list[PayloadLog] = []

    def make(target: str, start: bool = True, **settings: Any) -> PayloadLog:
        log = PayloadLog(replace(QUICK, target=target, **settings), undo, CREATED)
        made.append(log)
        if start:
            log.start()
        return log

    yield make
    for log in made:
        log.stop(0.0)


def exchange(number: int = 1, **fields: Any) -> Exchange:
    """A V2 exchange with its number as the request id and in both bodies."""
    given = {
        "request_head": b"POST /v2/models/iris/infer HTTP/1.1\r\nContent-Type: application/json\r\n\r\n",
        "response_head": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n",
        "request_body": b'{"inputs":[{"name":"x","shape":[1],"datatype":"INT64","data":[%d]}]}' % number,
        "response_body": b'{"model_name":"iris","outputs":[{"name":"y","shape":[1],"data":[%d]}]}' % number,
        "request_captured": True,
        "request_id": f"r-{number}",
        "trace": None,
    }
    return changed(**given | fields)


def figures(log: PayloadLog) -> dict[str, float]:
    """Everything counted that is not 0, by the last word of its name, or by the reason."""
    found: dict[str, float] = {}
    for sample in log.samples():
        value = sample.value.count if isinstance(sample.value, Histogram) else sample.value
        name = sample.name.removeprefix("modeltap.payload_log.")
        prefix = {"failures": "failed:", "bodies.omitted": "omitted:"}.get(name, "")
        if value:
            found[prefix + sample.labels[0] if sample.labels else name] = value
    return found


def balanced(log: PayloadLog) -> bool:
    """selected = sent + dropped + queued, as of one scrape."""
    found = figures(log)
    dropped = sum(found.get(reason, 0) for reason in DROPS)
    return found.get("selected", 0) == found.get("sent", 0) + dropped + found.get("queue.length", 0)


def test_everything_exists_at_zero(make: Make) -> None:
    """Each reason of each family is there before anything happened, with the time from which it counts."""
    found = {(sample.name, sample.labels): sample for sample in make("/nowhere", start=False).samples()}
    for name, reasons in (("dropped", DROPS), ("failures", FAILURES), ("bodies.omitted", OMITTED)):
        for reason in reasons:
            sample = found.pop((f"modeltap.payload_log.{name}", (reason,)))
            assert (sample.value, sample.created) == (0, CREATED)
    names = {name.removeprefix("modeltap.payload_log.") for name, labels in found if not labels}
    assert names == {"selected", "sent", "queue.length", "queue.usage", "delivery.duration", "written"}
    assert len(found) == len(names)


def test_both_events_arrive(make: Make) -> None:
    """Request before response, with one id; what TrustyAI's service does with them gives the pair."""
    with CloudEventSink() as sink:
        log = make(sink.url)
        assert all(log.offer(exchange(number)) for number in range(20))
        assert log.stop(20)
    reconciler = Reconciler()
    assert {reconciler.consume(received) for received in sink.events} == {200}
    assert len(reconciler.pairs) == 20
    for identity, (request, response) in reconciler.pairs.items():
        number = int(identity.removeprefix("r-"))
        assert request["inputs"][0]["data"] == response["outputs"][0]["data"] == [number]
    seen: list[str] = []
    for received in sink.events:
        kind = received.attributes["type"].rpartition(".")[2]
        assert (kind == "response") is (received.attributes["id"] in seen)
        seen.append(received.attributes["id"])
    written = sum(len(received.body) for received in sink.events)
    assert figures(log) == {"selected": 40, "sent": 40, "delivery.duration": 40, "written": written}


@pytest.mark.parametrize("mode", ["all", "request", "response"])
def test_mode(make: Make, mode: str) -> None:
    """One side or both."""
    with CloudEventSink() as sink:
        log = make(sink.url, mode=mode)
        log.offer(exchange())
        assert log.stop(20)
    kinds = [received.attributes["type"].rpartition(".")[2] for received in sink.events]
    assert kinds == (["request", "response"] if mode == "all" else [mode])


@pytest.mark.parametrize("sample", [0.0, 0.3, 1.0])
def test_sampling_is_sticky_and_failures_are_always_there(make: Make, sample: float) -> None:
    """The share is by the hash of the request id that every replica uses; what failed is chosen besides."""
    log = make("/nowhere", start=False, sample=sample)
    numbers = range(300)
    chosen = [number for number in numbers if log.offer(exchange(number))]
    assert chosen == [number for number in numbers if share(f"r-{number}") < sample]
    assert all(log.offer(exchange(number, status=500, error_type="5xx")) for number in numbers)
    assert all(log.offer(exchange(number, status=0, error_type="refused")) for number in numbers)
    quiet = make("/nowhere", start=False, sample=sample, errors=False)
    kept = [number for number in numbers if quiet.offer(exchange(number, status=500, error_type="5xx"))]
    assert kept == chosen


@pytest.mark.parametrize("operation", ["health", "metadata", "metrics", "management", "other"])
def test_probes_are_not_logged(make: Make, operation: str) -> None:
    """What says nothing about the model's work is no payload, whether it failed or not."""
    log = make("/nowhere", start=False)
    assert not log.offer(exchange(operation=operation))
    assert not log.offer(exchange(operation=operation, status=500, error_type="5xx"))
    assert figures(log) == {}


def test_a_failure_tells_its_status(make: Make) -> None:
    """A model that answered 503 and one that was not there are events like the others."""
    with CloudEventSink() as sink:
        log = make(sink.url, mode="response", concurrency=1)
        log.offer(exchange(1, status=503, error_type="5xx"))
        log.offer(exchange(2, status=0, error_type="refused", response_head=b"", response_body=b""))
        assert log.stop(20)
    told = [(each.attributes.get("statuscode"), each.attributes.get("errortype")) for each in sink.events]
    assert told == [("503", "5xx"), (None, "refused")]


def test_what_is_left_out_is_counted(make: Make) -> None:
    """Bodies that were not captured or cannot be redacted: the event comes, without data, and is counted."""
    with CloudEventSink() as sink:
        log = make(sink.url, redact=("**.ssn",))
        log.offer(exchange(1, request_captured=False, request_body=b"", response_body=b"SECRET, no JSON"))
        log.offer(exchange(2, request_body=b'{"ssn":"SECRET"}', response_body=b'{"ssn":"SECRET"}'))
        assert log.stop(20)
    assert len(sink.events) == 4
    assert b"SECRET" not in b"".join(received.body for received in sink.events)
    told = sorted(received.attributes.get("dataomitted", "") for received in sink.events)
    assert told == ["", "", "not_captured", "redaction"]
    found = figures(log)
    assert (found["omitted:not_captured"], found["omitted:redaction"], found["sent"]) == (1, 1, 4)


# ---------------------------------------------------------------- sinks that fail


def test_a_sink_that_recovers(make: Make) -> None:
    """500, 503, then success: every event arrives once, and each failed attempt is counted."""
    with CloudEventSink() as sink:
        sink.next.extend((status(500), status(503)))
        log = make(sink.url, concurrency=1)
        log.offer(exchange(1))
        assert log.stop(20)
        arrived = [received.attributes["type"] for received in sink.events][2:]
    assert len(set(arrived)) == len(arrived) == 2
    found = figures(log)
    assert (found["failed:status_5xx"], found["sent"]) == (2, 2)
    assert balanced(log)


def test_retry_after_holds_all_deliveries(make: Make) -> None:
    """After a 429 nothing at all is sent for as long as the sink asked."""
    times: list[float] = []
    with CloudEventSink() as sink:

        def once(request: Any) -> Any:
            times.append(time.monotonic())
            return status(429, retry_after="1")(request)

        sink.next.append(once)
        log = make(sink.url, mode="request", concurrency=4)
        log.offer(exchange(1))
        assert sink.wait(lambda: figures(log).get("failed:status_429"))
        before = len(sink.events)
        for number in range(2, 6):
            log.offer(exchange(number))
        assert sink.wait(lambda: len(sink.events) > before)
        assert time.monotonic() - times[0] >= 0.99
        assert log.stop(20)
    assert figures(log)["sent"] == 5


def test_a_refusal_is_final(make: Make) -> None:
    """A 4xx drops the event at once; the next one has its own chance."""
    with CloudEventSink() as sink:
        sink.next.append(status(422))
        log = make(sink.url, concurrency=1)
        log.offer(exchange(1))
        assert log.stop(20)
        assert len(sink.events) == 2
    found = figures(log)
    assert (found["rejected"], found["sent"], found["failed:status_4xx"]) == (1, 1, 1)


def test_attempts_come_to_an_end(make: Make) -> None:
    """With a sink that is down each event has its attempts and is then dropped for that reason."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    log = make(f"http://127.0.0.1:{port}/", retries=2)
    for number in range(10):
        log.offer(exchange(number))
    assert until(lambda: figures(log).get("retries_exhausted") == 20)
    assert figures(log) == {"selected": 20, "retries_exhausted": 20, "failed:connect": 60}


def stalling(connection: socket.socket) -> None:
    """Reads, and says nothing."""
    while connection.recv(65536):
        pass


@pytest.mark.parametrize("drop", ["newest", "oldest"])
def test_a_sink_that_never_answers(make: Make, drop: str) -> None:
    """Offers stay quick, what waits stays within the bound, what does not fit is counted, and the end comes in time."""
    with RawSink(stalling) as sink:
        log = make(sink.url, queue=65536, drop=drop, seconds=60.0)
        body = b'"%s"' % (b"x" * 10_000)
        kept = sum(log.offer(exchange(number, request_body=body)) for number in range(200))
        found = figures(log)
        assert found["queue.usage"] <= 65536
        assert found["selected"] == 400
        assert found["queue_full"] + found["queue.length"] == 400
        assert kept == (200 if drop == "oldest" else found["queue.length"] / 2)
        assert balanced(log)
        assert not log.stop(0.1)
        found = figures(log)
        assert found["shutdown"] + found["queue_full"] == found["selected"] == 400
        assert not log.offer(exchange())
        assert balanced(log)


def test_the_ledger_while_all_goes_wrong(make: Make) -> None:
    """Offers from a thread, a sink that answers every way, a queue that is too small: no scrape is off by one."""
    codes = (202, 500, 202, 404, 429, 202, 302, 503)
    with CloudEventSink() as sink:
        sink.next.extend(status(codes[number % len(codes)]) for number in range(4000))
        log = make(sink.url, queue=65536, retries=1, backoff=0.001)
        over = threading.Event()

        def offering() -> None:
            for number in range(1500):
                log.offer(exchange(number))
            over.set()

        thread = threading.Thread(target=offering)
        thread.start()
        while not over.is_set():
            assert balanced(log)
        thread.join()
        assert until(lambda: not figures(log).get("queue.length"))
        assert balanced(log)
        found = figures(log)
    assert found["selected"] == 3000
    assert (
        found["sent"] + found["rejected"] + found.get("retries_exhausted", 0) + found.get("queue_full", 0)
        == 3000
    )
    arrived = sum(
        found[f"failed:{reason}"] for reason in ("status_5xx", "status_4xx", "status_429", "redirect")
    )
    assert len(sink.events) == found["sent"] + arrived


def test_an_error_of_ours_costs_one_event(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What no one thought of is logged once with its traceback, counted, and the log goes on."""
    real = json.dumps

    def broken(value: Any, **options: Any) -> str:
        if value == {}:
            raise ZeroDivisionError
        return real(value, **options)

    with CloudEventSink() as sink:
        log = make(sink.url, mode="request")
        with monkeypatch.context() as patch:
            patch.setattr("exporter.publish.cloudevents.json.dumps", broken)
            for number in range(3):
                log.offer(exchange(number))
            assert until(lambda: figures(log).get("error") == 3)
        log.offer(exchange(4))
        assert log.stop(20)
    assert figures(log)["sent"] == 1
    assert [record.levelname for record in caplog.records if record.exc_info] == ["ERROR"]


def test_the_log_tells_changes_only(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """A sink that is down for hundreds of attempts is one line, and no line holds a payload."""
    with CloudEventSink() as sink, caplog.at_level(logging.INFO):
        sink.manner = status(500)
        log = make(sink.url, retries=100, backoff=0.0)
        log.offer(exchange(1, request_body=b'"PAYLOAD"'))
        assert sink.wait(lambda: figures(log).get("failed:status_5xx", 0) > 100)
    lines = [record.getMessage() for record in caplog.records if "payload log" in record.getMessage()]
    assert len(lines) == 1
    assert "does not take events: 'status_5xx: HTTP 500'" in lines[0]
    assert "PAYLOAD" not in caplog.text


# ---------------------------------------------------------------- files


def test_files(make: Make, tmp_path: Path) -> None:
    """A folder gets lines of JSON; those of one exchange stand one behind the other."""
    log = make(str(tmp_path), gzip=False)
    for number in range(50):
        log.offer(exchange(number))
    assert log.stop(20)
    (written,) = tmp_path.iterdir()
    lines = [json.loads(line) for line in written.read_bytes().splitlines()]
    assert [line["id"] for line in lines] == [f"r-{number}" for number in range(50) for _ in range(2)]
    assert [line["data"]["inputs"][0]["data"] for line in lines[::2]] == [[number] for number in range(50)]
    assert figures(log) == {
        "selected": 100,
        "sent": 100,
        "delivery.duration": 100,
        "written": written.stat().st_size,
    }


def test_a_disk_that_fails(make: Make, tmp_path: Path) -> None:
    """Nothing can be written: events have their attempts and are dropped under `disk`; afterwards it goes on."""
    place = tmp_path / "place"
    place.write_text("")
    log = make(str(place / "log.jsonl"), retries=1)
    log.offer(exchange(1))
    assert until(lambda: figures(log).get("disk") == 2)
    place.unlink()
    log.offer(exchange(2))
    assert log.stop(20)
    assert figures(log)["failed:disk"] == 2
    assert figures(log)["sent"] == 2


# ---------------------------------------------------------------- the end


def test_stop_delivers_what_waits(make: Make) -> None:
    """A drain that has time loses nothing."""
    with CloudEventSink() as sink:
        log = make(sink.url, start=False)
        for number in range(200):
            log.offer(exchange(number))
        log.start()
        assert log.stop(30)
    assert len(sink.events) == 400
    assert figures(log)["sent"] == 400


def test_stop_keeps_to_its_time(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """With a sink that hangs, and one whose back-off is long, the rest is counted as lost and told."""
    with RawSink(stalling) as sink:
        for settings in ({"seconds": 600.0}, {"seconds": 0.05, "backoff": 600.0}):
            log = make(sink.url, **settings)
            log.offer(exchange())
            assert until(lambda: sink.connections)
            began = time.monotonic()
            assert not log.stop(0.1)
            assert time.monotonic() - began < 10
            assert figures(log)["shutdown"] == 2
            assert balanced(log)
    assert caplog.text.count("2 events did not arrive before the end") == 2


def test_stop_is_safe_twice_and_without_start(make: Make) -> None:
    """Stop needs no start and may come again; start may come twice; what comes later is counted."""
    idle = make("/nowhere", start=False)
    assert idle.stop(1)
    assert idle.stop(1)
    with CloudEventSink() as sink:
        running = make(sink.url)
        running.start()
        assert running.stop(5)
        assert running.stop(5)
        assert not running.offer(exchange())
    assert figures(running) == {"selected": 2, "shutdown": 2}


def test_memory_is_bounded(make: Make) -> None:
    """Two hundred megabytes offered to a sink that is down keep no more than the queue."""
    body = b'"%s"' % os.urandom(500_000).hex().encode()
    with RawSink(stalling) as sink:
        log = make(sink.url, queue=4 << 20)
        for number in range(200):
            log.offer(exchange(number, request_body=bytes(body)))
            assert figures(log).get("queue.usage", 0) <= 4 << 20


def test_importing_the_room_loads_no_client() -> None:
    """Who logs nothing pays for nothing: neither the HTTP client nor TLS are loaded with the room."""
    code = "import sys, exporter.publish; print('exporter.publish.http_sink' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "False"
