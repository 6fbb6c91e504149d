"""The tree under kills: the root, the workers and the analysis, with the real command."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from exporter.app import Root
from exporter.processes.sockets import bind_all
from exporter.processes.suspects import DEATHS, OFF_SECONDS
from exporter.processes.tree import Child, Keeper, receive
from exporter.settings.config import Config
from tests.app.command import Metrics, Sidecar, gone, lives
from tests.app.conftest import Start
from tests.app.load import load
from tests.e2e.processes import LOOPBACK, free_ports, wait_until

WORKERS = ((), ("--workers", "2"))


def test_one_worker_is_the_root(start: Start) -> None:
    """With one worker the root carries the traffic and has one child."""
    sidecar = start()
    assert sidecar.post()[0] == 200
    assert psutil.Process(sidecar.root).children() == [psutil.Process(sidecar.analysis())]


def test_a_supervisor_carries_no_traffic(start: Start) -> None:
    """With several workers their connections are theirs alone, and both are given some."""
    sidecar = start("--workers", "2")
    workers = wait_until(lambda: two(sidecar), "two workers run")
    open_connections = []
    try:
        for _ in range(40):
            connection = socket.create_connection((LOOPBACK, sidecar.listen), 10)
            connection.sendall(b"GET /v2/health/ready HTTP/1.1\r\nHost: model\r\n\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
            open_connections.append(connection)
        counts = [accepted(sidecar, pid) for pid in (sidecar.root, *workers)]
    finally:
        for connection in open_connections:
            connection.close()
    assert counts[0] == 0
    assert min(counts[1:]) > 0
    assert sum(counts) == 40


def two(sidecar: Sidecar) -> list[int] | None:
    """Both workers, once they are there."""
    found = sidecar.children("worker")
    return found if len(found) == 2 else None


def accepted(sidecar: Sidecar, pid: int) -> int:
    """Connections of clients that this process holds."""
    found = psutil.Process(pid).net_connections("tcp")
    return sum(one.laddr.port == sidecar.listen and one.status == psutil.CONN_ESTABLISHED for one in found)


@pytest.mark.parametrize("flags", WORKERS)
@pytest.mark.parametrize("stopped", [False, True])
def test_nothing_outlives_a_killed_root(start: Start, flags: tuple[str, ...], stopped: bool) -> None:
    """A root that is killed takes its children along, also those that are stopped; its ports are free again."""
    sidecar = start(*flags)
    sidecar.metrics()
    children = [sidecar.analysis(), *sidecar.children("worker")]
    assert len(children) == (3 if flags else 1)
    if stopped:
        for child in children:
            os.kill(child, signal.SIGSTOP)
    sidecar.kill()
    gone(sidecar.root, *children)
    # A process counts as dead once its first thread is; the sockets go with the last one.
    ports = (sidecar.listen, sidecar.admin, sidecar.health)
    wait_until(lambda: all(map(free, ports)), "the ports are free again", 5)


def free(port: int) -> bool:
    """Whether a new sidecar could have that port."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def test_scrapes_wait_for_a_new_analysis(start: Start) -> None:
    """No connection to the admin port is refused while the analysis is away; the next one answers it."""
    sidecar = start()
    before = sidecar.metrics()
    for _ in range(2):
        dead = sidecar.analysis()
        os.kill(dead, signal.SIGKILL)
        gone(dead)
        assert not sidecar.children("analysis")
        after = sidecar.metrics()
        assert sidecar.analysis() != dead
    assert before.total("modeltap_restarts_total") == 0
    assert after.total("modeltap_restarts_total", component="analysis", reason="signal") == 2
    assert after.total("modeltap_restarts_total") == 2


def test_an_analysis_that_hangs(start: Start) -> None:
    """A stopped analysis is killed and counted; probes and traffic are answered all the while."""
    sidecar = start()
    sidecar.metrics()
    hung, page = sidecar.analysis(), sidecar.page()
    os.kill(hung, signal.SIGSTOP)
    while lives(hung):
        assert sidecar.probe("/livez") == (200, "ok")
        assert sidecar.probe("/readyz") == (200, "ok")
        assert sidecar.post()[0] == 200
        time.sleep(0.02)
    wait_until(lambda: page.restarts()["analysis", "hung"] == 1, "it is counted")
    assert sidecar.metrics().total("modeltap_restarts_total", component="analysis", reason="hung") == 1


def test_an_analysis_that_grows(start: Start) -> None:
    """An analysis over its memory bound ends itself, each time counted; traffic and probes do not mind."""
    sidecar = start("--analysis-memory", "1")
    page = sidecar.page()
    wait_until(lambda: page.restarts()["analysis", "memory"] >= 2, "it is counted twice", 30)
    assert sidecar.post()[0] == 200
    assert sidecar.probe("/readyz") == (200, "ok")
    assert {reason for reason, count in page.restarts().items() if count} == {("analysis", "memory")}


def test_a_dialect_that_kills(start: Start) -> None:
    """Three deaths with one dialect in hand switch it off; the analysis lives on."""
    sidecar = start()
    sidecar.metrics()
    page = sidecar.page()
    for _ in range(DEATHS):
        dead = sidecar.analysis()
        page.take("open_inference_v2", "/v2/models/\x1b[31m/infer")
        os.kill(dead, signal.SIGKILL)
        gone(dead)
    sidecar.logged("decoding of open_inference_v2 is switched off for 600 s")
    assert r"with open_inference_v2 '/v2/models/\x1b[31m/infer' in hand" in sidecar.text()
    metrics = sidecar.metrics()
    assert page.in_hand() == ("", "")
    assert metrics.total("modeltap_restarts_total", component="analysis", reason="signal") == DEATHS
    assert sidecar.post()[0] == 200
    wait_until(lambda: settled(sidecar.metrics()), "the exchange is acknowledged")
    assert sidecar.metrics().total("model_predictions_total") == 0


@pytest.fixture
def idle_root() -> Iterator[Root]:
    """A root that was made and does not run."""
    settings = dict.fromkeys(("listen", "admin", "health"), f"{LOOPBACK}:0")
    config = Config(upstream="http://127.0.0.1:1", **settings)
    sockets = bind_all(config)
    yield Root(config, sockets, lambda: config)
    for sock in (*sockets.listen[0], sockets.admin, sockets.health):
        sock.close()


def test_deaths_by_dialect(idle_root: Root) -> None:
    """Only a death with work in hand is held against a dialect; the work in hand is forgotten each time."""
    root = idle_root
    for dialect in ("kserve_v1", "", "kserve_v1", "", "open_inference_v2"):
        root._status.take(dialect, "/")
        root._analysis_died("signal")
    assert root._suspects.off(time.monotonic()) == ()
    root._status.take("kserve_v1", "/")
    root._analysis_died("memory")
    assert root._suspects.off(time.monotonic()) == ("kserve_v1",)
    root._analysis_died("exit")
    assert root._status.in_hand() == ("", "")
    counts = {key: count for key, count in root._status.restarts().items() if count}
    assert counts == {("analysis", "signal"): 5, ("analysis", "memory"): 1, ("analysis", "exit"): 1}


def test_a_dialect_comes_back(idle_root: Root) -> None:
    """An analysis is told at its start what is switched off, and later that it is on again."""
    root, now = idle_root, time.monotonic()
    for _ in range(DEATHS):
        root._status.take("kserve_v1", "/")
        root._analysis_died("signal")

    async def main() -> list[dict[str, Any]]:
        loop = asyncio.get_running_loop()
        root._analysis = Keeper("analysis", loop, lambda _: True, lambda _: None)
        root._analysis.child = child = Child("worker", loop, lambda *_: None)
        loop.remove_reader(child.control)
        child.control.close()
        await asyncio.to_thread(child.process.wait)
        child.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with child.control, theirs:
            root._prepare_analysis(child)
            for seconds in (1, OFF_SECONDS + 60, OFF_SECONDS + 61):
                root._tell_dialects(now + seconds)
            child.control.close()
            packets = list(iter(lambda: receive(theirs), None))
        for fd in (fd for _, fds in packets for fd in fds):
            os.close(fd)
        return [message for message, _ in packets]

    told = asyncio.run(main())
    assert [message["kind"] for message in told] == ["start", "dialects"]
    assert told[0]["dialects_off"] == ["kserve_v1"]
    assert told[1]["off"] == []


def test_a_worker_is_replaced(start: Start) -> None:
    """A worker killed under load is replaced and counted; no count goes back, and the ledger is whole again."""
    sidecar = start("--workers", "2", "--series-hold", "0")
    sidecar.metrics()
    with load(sidecar.listen) as traffic:
        first = wait_until(lambda: two(sidecar), "two workers run")
        wait_until(lambda: traffic.finished > 200, "traffic flows")
        before = sidecar.metrics()
        os.kill(first[0], signal.SIGKILL)
        gone(first[0])
        wait_until(lambda: two(sidecar), "the worker is replaced")
        so_far = traffic.finished
        wait_until(lambda: traffic.finished > so_far + 200, "traffic goes on")
    wait_until(lambda: settled(sidecar.metrics()), "everything is settled")
    after = sidecar.metrics()
    assert set(traffic.answers) == {200}
    assert after.total("modeltap_restarts_total", component="data_plane", reason="signal") == 1
    assert after.total("modeltap_restarts_total") == 1
    count = "model_request_duration_seconds_count"
    assert 0 < before.total(count) <= after.total(count)
    # The killed worker may have died between an answer's last byte and its count, or the other way round.
    assert abs(after.total(count) - traffic.answers[200]) <= traffic.broken
    assert_ledger(after)


def test_the_analysis_is_killed_under_load(start: Start) -> None:
    """Each death of the analysis costs only what it had not acknowledged, and that is counted."""
    sidecar = start("--series-hold", "0")
    sidecar.metrics()
    with load(sidecar.listen) as traffic:
        for _ in range(2):
            so_far = traffic.finished
            wait_until(lambda so_far=so_far: traffic.finished > so_far + 200, "traffic flows")
            os.kill(sidecar.analysis(), signal.SIGKILL)
            sidecar.metrics()
    wait_until(lambda: settled(sidecar.metrics()), "everything is settled")
    after = sidecar.metrics()
    assert set(traffic.answers) == {200}
    assert traffic.broken == 0
    assert after.total("model_request_duration_seconds_count") == traffic.answers[200]
    assert after.total("modeltap_records_offered_total") == traffic.answers[200]
    assert_ledger(after)


def settled(metrics: Metrics) -> bool:
    """Nothing is in flight and nothing waits for the analysis."""
    return not (metrics.total("model_requests_in_flight") or metrics.total("modeltap_records_unacknowledged"))


def assert_ledger(metrics: Metrics) -> None:
    """offered = acknowledged + dropped + unacknowledged."""
    offered, acknowledged, dropped = (
        metrics.total(f"modeltap_records_{name}_total") for name in ("offered", "acknowledged", "dropped")
    )
    assert offered == acknowledged + dropped + metrics.total("modeltap_records_unacknowledged")


@pytest.mark.parametrize("flags", WORKERS)
def test_no_model_to_be_reached(start: Start, flags: tuple[str, ...]) -> None:
    """Without a model the sidecar starts and is ready; requests get 503 and are counted, and the model is down."""
    (port,) = free_ports(1)
    sidecar = start("--connect-timeout", "0.05", "--series-hold", "0", *flags, upstream=port)
    assert sidecar.probe("/readyz") == (200, "ok")
    status, body = sidecar.post()
    assert status == 503
    assert b"the model server cannot be reached" in body
    metrics = wait_until(lambda: counted(sidecar.metrics()), "the request is counted")
    assert metrics.total("model_request_errors_total") == 1
    assert metrics.total("model_request_duration_seconds_count", code="503") == 1
    assert "model_up 0" in scrape(sidecar)


def counted(metrics: Metrics) -> Metrics | None:
    """A scrape that has the refused request."""
    return metrics if metrics.total("model_request_errors_total", error_type="refused") == 1 else None


def scrape(sidecar: Sidecar) -> str:
    """The text of a scrape with the probe's result in it."""
    return wait_until(lambda: text if "\nmodel_up " in (text := sidecar.metrics().text) else None, "a probe")


def test_a_bad_analysis_never_ends_the_root(start: Start, tmp_path: Path) -> None:
    """An analysis that dies at every start leaves traffic and probes alone, and the tree still ends with 0."""
    sidecar = start("--workers", "2", "--analysis-memory", "1")
    wait_until(lambda: sidecar.page().restarts()["analysis", "memory"] >= 1, "it dies")
    assert sidecar.post()[0] == 200
    sidecar.signal(signal.SIGTERM)
    assert sidecar.ended() == 0
