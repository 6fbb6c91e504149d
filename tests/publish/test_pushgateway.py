"""The Pushgateway: its paths, the real one, and those that do not do as they should."""

import http.server
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exporter.publish.exposition import readings
from exporter.publish.pushgateway import Gateway, GatewayPusher
from exporter.records.sample import Sample
from tests.e2e.processes import LOOPBACK, free_ports, wait_until
from tests.receivers.pushgateway import gateway_in

PATHS = (
    ("http://h", "nightly", {}, "/metrics/job/nightly"),
    ("http://h/prefix/", "a b", {"instance": "x?"}, "/prefix/metrics/job/a%20b/instance/x%3F"),
    ("http://h", "a/b", {"path": ""}, "/metrics/job@base64/YS9i/path@base64/="),
    ("http://h", "é", {}, "/metrics/job/%C3%A9"),
)
FAILED = Sample("model.job.outcome", ("nightly", "failure"), 1)
DONE = Sample("model.job.last_success.time", ("nightly",), 1.5)


@pytest.mark.parametrize(("url", "job", "labels", "path"), PATHS)
def test_paths(url: str, job: str, labels: dict[str, str], path: str) -> None:
    """Values are quoted, or in base64 where a path cannot hold them."""
    assert Gateway(url, job, labels).path() == path


@pytest.mark.parametrize("url", ["", "h:9091", "ftp://h", "http://", "http://h?x=1", "http://h:port"])
def test_urls_that_cannot_be(url: str) -> None:
    """They are refused."""
    with pytest.raises(ValueError):
        Gateway(url, "job")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real one."""
    with gateway_in(tmp_path_factory.mktemp("gateway")) as url:
        yield url


def pushed(url: str, names: set[str]) -> dict[str, tuple[dict[str, str], float]]:
    """What it exposes of these."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        found = readings(answer.read(), answer.headers["content-type"], frozenset(names))
    return {one.name: (dict(one.labels), one.value) for one in found}


def test_the_real_one(gateway: str) -> None:
    """It takes what we push under the group's labels, and keeps what a later push does not speak of."""
    names = {"model_job_outcome", "model_job_last_success_time_seconds"}
    pusher = GatewayPusher(Gateway(gateway, "a/b", {"team": "ü"}))
    pusher.start()
    pusher.offer([DONE])
    wait_until(lambda: pusher.counts["success"] == 1, "it is pushed", 20)
    pusher.offer([FAILED])
    assert pusher.stop(20)
    assert pusher.counts == {"success": 2, "failure": 0}
    found = pushed(gateway, names)
    assert {name: value for name, (_, value) in found.items()} == {
        "model_job_outcome": 1,
        "model_job_last_success_time_seconds": 1.5,
    }
    labels, _ = found["model_job_outcome"]
    assert labels == {"job": "a/b", "team": "ü", "job_name": "nightly", "outcome": "failure", "instance": ""}


def test_what_it_refuses(gateway: str, caplog: pytest.LogCaptureFixture) -> None:
    """Its reason is in the one line."""
    pusher = GatewayPusher(Gateway(gateway, "x", {"outcome-": "no label name"}))
    pusher.start()
    for _ in range(2):
        pusher.offer([FAILED])
        wait_until(lambda: pusher._offered is None, "it is taken", 20)
    assert not pusher.stop(20)
    assert pusher.counts["success"] == 0
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("pushes to the Pushgateway fail: status 400: ")


@contextmanager
def answering(status: int) -> Iterator[tuple[str, list[str]]]:
    """A server that gives that status; the Authorization of each request."""
    seen: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            seen.append(self.headers.get("authorization", ""))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with http.server.HTTPServer((LOOPBACK, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://user:p%40ss@{LOOPBACK}:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "taken"), [(200, True), (202, True), (302, False), (401, False), (500, False)]
)
def test_answers(status: int, taken: bool) -> None:
    """2xx is taken, anything else is not, a redirect is not followed; the URL's user is sent as such."""
    with answering(status) as (url, seen):
        pusher = GatewayPusher(Gateway(url, "job"))
        pusher.start()
        pusher.offer([FAILED])
        assert pusher.stop(20) is taken
    assert seen == ["Basic dXNlcjpwQHNz"]


def test_nobody_there_and_nobody_answers() -> None:
    """A dead gateway is counted; a silent one is waited for as long as told and no longer; garbage is no answer."""
    (port,) = free_ports(1)
    dead = GatewayPusher(Gateway(f"http://{LOOPBACK}:{port}", "job"))
    dead.start()
    dead.offer([FAILED])
    assert not dead.stop(20)
    assert dead.counts == {"success": 0, "failure": 1}
    with socket.create_server((LOOPBACK, 0)) as silent:
        pusher = GatewayPusher(Gateway(f"http://{LOOPBACK}:{silent.getsockname()[1]}", "job"))
        pusher.start()
        pusher.offer([FAILED])
        assert not pusher.stop(0.2)
        client, _ = silent.accept()
        with client:
            client.recv(1 << 16)
            client.sendall(b"SSH-2.0-nothing\r\n")
            wait_until(lambda: pusher.counts["failure"] == 1, "it is counted", 20)


def test_a_stop_without_an_offer(tmp_path: Path) -> None:
    """Nothing is pushed where nothing was offered."""
    pusher = GatewayPusher(Gateway("http://h", "job"))
    pusher.start()
    assert pusher.stop(20)
    assert pusher.counts == {"success": 0, "failure": 0}
