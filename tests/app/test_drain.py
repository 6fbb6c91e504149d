"""The end of a sidecar: signals, what is under way, who waits for it, and PID 1."""

import http.client
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.app.command import BODY, Sidecar, exchange, gone
from tests.app.conftest import Start
from tests.app.test_cli import stopped_while_reading
from tests.app.upstream import ANSWER, SLOW, SLOW_PARTS, Upstream
from tests.e2e.processes import LOOPBACK, Running, wait_until
from tests.receivers.otlp import OtlpReceiver

WORKERS = ((), ("--workers", "2"))


class Answer(threading.Thread):
    """One request in a thread; `result` is its status and body, or the error that ended it."""

    def __init__(self, port: int, path: str) -> None:
        super().__init__()
        self.result: tuple[int, bytes] | Exception | None = None
        self._port, self._path = port, path
        self.start()

    def run(self) -> None:
        """The request."""
        try:
            body = BODY if self._path == SLOW else None
            self.result = exchange(self._port, "POST" if body else "GET", self._path, body)
        except (OSError, http.client.HTTPException) as error:
            self.result = error

    def wait(self) -> tuple[int, bytes] | Exception | None:
        """What came."""
        self.join(30)
        return self.result


@contextmanager
def under_way(sidecar: Sidecar, upstream: Upstream) -> Iterator[Answer]:
    """An exchange whose answer is half way, and is let go at the end of the block."""
    slow = Answer(sidecar.listen, SLOW)
    try:
        assert upstream.begun.wait(20)
        yield slow
    finally:
        upstream.release.set()
        slow.join(30)


def refuses(port: int) -> bool:
    """Whether nobody listens there."""
    try:
        socket.create_connection((LOOPBACK, port), 5).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("flags", WORKERS)
def test_a_drain(start: Start, upstream: Upstream, flags: tuple[str, ...], number: signal.Signals) -> None:
    """Told to stop, it takes no more, delivers what is under way whole, tells who waits for it, ends with 0."""
    sidecar = start(*flags)
    with under_way(sidecar, upstream) as slow:
        sidecar.signal(number)
        wait_until(lambda: refuses(sidecar.listen), "no client is taken any more")
        assert sidecar.probe("/readyz") == (503, "draining")
        assert sidecar.probe("/livez") == (200, "ok")
        waiting = [Answer(sidecar.health, "/wait-for-drain") for _ in range(2)]
        upstream.release.set()
        assert slow.wait() == (200, b"".join(SLOW_PARTS))
        assert [answer.wait() for answer in waiting] == [(200, b"drained\n")] * 2
    assert sidecar.ended() == 0


def test_waiting_for_no_drain(start: Start) -> None:
    """Who waits for a drain that nobody began is not held up, and begins none."""
    sidecar = start()
    assert sidecar.probe("/wait-for-drain") == (200, "not draining")
    assert sidecar.probe("/readyz") == (200, "ok")
    assert sidecar.post()[0] == 200


@pytest.mark.parametrize("flags", WORKERS)
def test_the_grace_is_kept(start: Start, upstream: Upstream, flags: tuple[str, ...]) -> None:
    """An exchange that does not end within the grace is cut; the exit status is still 0."""
    sidecar = start("--grace", "0.5", *flags)
    with under_way(sidecar, upstream) as slow:
        sidecar.signal(signal.SIGTERM)
        assert sidecar.ended() == 0
        assert isinstance(slow.wait(), Exception)


@pytest.mark.parametrize("flags", WORKERS)
def test_told_twice(start: Start, upstream: Upstream, flags: tuple[str, ...]) -> None:
    """A second signal ends it at once, and answers who waits."""
    sidecar = start(*flags)
    children = [sidecar.analysis(), *sidecar.children("worker")]
    with under_way(sidecar, upstream) as slow:
        sidecar.signal(signal.SIGTERM)
        wait_until(lambda: sidecar.probe("/readyz")[0] == 503, "it drains")
        waiting = Answer(sidecar.health, "/wait-for-drain")
        sidecar.logged("draining")
        assert sidecar.probe("/livez") == (200, "ok")
        sidecar.signal(signal.SIGINT)
        assert sidecar.ended() == 0
        assert isinstance(slow.wait(), Exception)
        assert waiting.wait() == (200, b"drained\n")
    gone(*children)


@pytest.mark.parametrize("stopped", [False, True])
def test_an_analysis_that_does_not_listen(start: Start, stopped: bool) -> None:
    """Neither an analysis that is still starting nor one that hangs keeps the sidecar from its end."""
    sidecar = start("--grace", "0.5")
    if stopped:
        sidecar.metrics()
        os.kill(sidecar.analysis(), signal.SIGSTOP)
    sidecar.signal(signal.SIGTERM)
    assert sidecar.ended() == 0


@pytest.mark.parametrize("flags", WORKERS)
def test_telemetry_is_flushed_last(start: Start, upstream: Upstream, flags: tuple[str, ...]) -> None:
    """The last push holds the exchange that ended within the drain, counted and accounted for."""
    with OtlpReceiver() as receiver:
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_METRIC_EXPORT_INTERVAL": "600000",
        }
        sidecar = start("--series-hold", "0", *flags, environment=environment)
        sidecar.metrics()
        with under_way(sidecar, upstream) as slow:
            sidecar.signal(signal.SIGTERM)
            wait_until(lambda: refuses(sidecar.listen), "it drains")
            assert pushed(receiver, "model.request.duration") == 0
            upstream.release.set()
            assert slow.wait() == (200, b"".join(SLOW_PARTS))
        assert sidecar.ended() == 0
        assert pushed(receiver, "model.request.duration") == 1
        # Whether the analysis got a CPU in time to acknowledge it is the machine's; that it is accounted for is not.
        told = [pushed(receiver, f"modeltap.records.{word}") for word in ("acknowledged", "unacknowledged")]
        assert sum(told) == 1


@pytest.mark.parametrize("flags", WORKERS)
def test_clients_that_were_not_accepted_yet(start: Start, flags: tuple[str, ...]) -> None:
    """Who connected before the drain and was not accepted when it began is served; nobody is reset."""
    sidecar = start(*flags)
    processes = [sidecar.root, *sidecar.children("worker")]
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    clients = [Answer(sidecar.listen, "/v2/models/echo/ready") for _ in range(20)]
    wait_until(lambda: backlog(sidecar.listen) == 20, "all are connected")
    sidecar.signal(signal.SIGTERM)
    for pid in processes:
        os.kill(pid, signal.SIGCONT)
    assert [client.wait() for client in clients] == [(200, ANSWER)] * 20
    assert sidecar.ended() == 0


def backlog(port: int) -> int:
    """Clients that connected to a port of loopback and were not accepted, over all of its listeners."""
    # Of a listening socket (state 0A) the second half of tx_queue:rx_queue is the length of its queue.
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(
        int(row[4].partition(":")[2], 16)
        for row in rows
        if row[3] == "0A" and row[1].endswith(f":{port:04X}")
    )


def test_told_once_by_request_and_once_by_signal(start: Start, upstream: Upstream) -> None:
    """A drain that was asked for over HTTP is not hurried by the first signal, which is how a pod ends."""
    sidecar = start()
    with under_way(sidecar, upstream) as slow:
        assert exchange(sidecar.health, "POST", "/drain") == (202, b"draining\n")
        wait_until(lambda: refuses(sidecar.listen), "it drains")
        sidecar.signal(signal.SIGTERM)
        assert sidecar.probe("/readyz") == (503, "draining")
        upstream.release.set()
        assert slow.wait() == (200, b"".join(SLOW_PARTS))
    assert sidecar.ended() == 0


def test_one_more_scrape(start: Start) -> None:
    """Who scrapes regularly gets the counts of the drain before the sidecar ends, and it ends as soon as they did."""
    sidecar = start("--final-scrape-wait", "20", "--series-hold", "0")
    sidecar.metrics()
    began = time.monotonic()
    sent = 0
    while time.monotonic() - began < 1.5:  # an interval between two scrapes
        assert sidecar.post()[0] == 200
        sent += 1
    sidecar.metrics()
    sidecar.signal(signal.SIGTERM)
    sidecar.logged("drained")
    assert sidecar.metrics().total("model_request_duration_seconds_count", code="200") == sent
    assert sidecar.ended() == 0


@pytest.mark.parametrize("scrapes", [1, 2])
def test_nobody_to_wait_for(start: Start, scrapes: int) -> None:
    """Without two scrapes nobody is waited for; and whoever is, not beyond the grace."""
    sidecar = start("--final-scrape-wait", "300", "--grace", "3")
    for _ in range(scrapes):
        sidecar.metrics()
    sidecar.signal(signal.SIGTERM)
    assert sidecar.ended() == 0


def test_told_twice_while_telemetry_is_flushed(start: Start) -> None:
    """A collector that does not answer is not waited for once a second signal came; the exit status is still 0."""
    with socket.create_server((LOOPBACK, 0)) as silent:
        environment = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{LOOPBACK}:{silent.getsockname()[1]}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_METRIC_EXPORT_INTERVAL": "600000",
        }
        sidecar = start("--grace", "300", environment=environment)
        sidecar.metrics()
        sidecar.signal(signal.SIGTERM)
        sidecar.logged("drained")
        client, _ = silent.accept()
        with client:
            assert client.recv(4096)
            sidecar.signal(signal.SIGTERM)
            assert sidecar.ended() == 0
        assert "told twice" in sidecar.text()


def pushed(receiver: OtlpReceiver, name: str) -> int:
    """The sum, or the count of a histogram, in the latest push."""
    metric = receiver.metrics.get(name)
    if metric is None:
        return 0
    numbers = (*metric.sum.data_points, *metric.gauge.data_points)
    histograms = (*metric.histogram.data_points, *metric.exponential_histogram.data_points)
    return sum(point.as_int for point in numbers) + sum(point.count for point in histograms)


# ---------------------------------------------------------------- PID 1


def pid_one() -> Sequence[str]:
    """What makes a command PID 1 of a namespace of its own; nothing where that is not permitted to us."""
    for options in ((), ("--user", "--map-root-user")):
        prefix = ("unshare", *options, "--pid", "--fork", "--mount-proc", "--kill-child")
        if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0:
            return prefix
    return ()


def inner(process: Running, prefix: Sequence[str]) -> int:
    """The process id, as we see it, of what was started behind the prefix."""
    if not prefix:
        return process.pid
    (child,) = wait_until(lambda: psutil.Process(process.pid).children(), "it has started")
    return child.pid


def test_pid_one_before_it_runs(tmp_path: Path) -> None:
    """As PID 1, where a signal without a handler is ignored, it can be stopped while it still starts."""
    prefix = pid_one()

    def stop(process: Running) -> None:
        os.kill(inner(process, prefix), signal.SIGTERM)

    assert stopped_while_reading(tmp_path, stop, *prefix) == 0


def test_pid_one_reaps(start: Start) -> None:
    """As PID 1 it collects orphans that were left to it, keeps its own children, and ends when told."""
    prefix = pid_one()
    orphan = ("sh", "-c", '(sleep 0.3 & sleep 0.4 &); exec "$@"', "sh")
    sidecar = start(prefix=[*prefix, *orphan])
    sidecar.root = inner(sidecar, prefix)
    sidecar.metrics()
    wait_until(lambda: len(psutil.Process(sidecar.root).children()) == 1, "the orphans are collected")
    dead = sidecar.analysis()
    os.kill(dead, signal.SIGKILL)
    gone(dead)
    restarts = sidecar.metrics().total("modeltap_restarts_total", component="analysis", reason="signal")
    assert restarts == 1
    sidecar.signal(signal.SIGTERM)
    assert sidecar.ended() == 0
    assert not re.search("Traceback|ERROR(?!.*(analysis ended|restarts=1))", sidecar.text())
