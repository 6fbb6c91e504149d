"""`modeltap drain` against a running sidecar, and against none."""

import signal
import socket
import subprocess
import threading

import pytest

from tests.app.conftest import Start, start, upstream
from tests.app.test_cli import modeltap
from tests.app.test_drain import refuses, under_way
from tests.app.upstream import SLOW_PARTS, Upstream
from tests.e2e.processes import LOOPBACK, free_ports, wait_until

__all__ = ["start", "upstream"]


def drain(port: int, *flags: str) -> subprocess.CompletedProcess[str]:
    """The ended command."""
    return modeltap("drain", "--health", f"{LOOPBACK}:{port}", *flags)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_drain_by_command(start: Start, upstream: Upstream, workers: int) -> None:
    """It begins a drain, waits for what is under way, and leaves a sidecar that lives, is scraped, and ends with 0."""
    sidecar = start("--workers", str(workers), "--series-hold", "0")
    sidecar.metrics()
    with under_way(sidecar, upstream) as slow:
        begun = drain(sidecar.health, "--no-wait")
        assert (begun.returncode, begun.stdout, begun.stderr) == (0, "draining\n", "")
        assert sidecar.probe("/readyz") == (503, "draining")
        wait_until(lambda: refuses(sidecar.listen), "no client is taken any more")
        done: list[subprocess.CompletedProcess[str]] = []
        waiting = threading.Thread(target=lambda: done.append(drain(sidecar.health)))
        waiting.start()
        assert sidecar.probe("/livez") == (200, "ok")
        assert done == []
        upstream.release.set()
        assert slow.wait() == (200, b"".join(SLOW_PARTS))
        waiting.join(30)
    assert (done[0].returncode, done[0].stdout, done[0].stderr) == (0, "drained\n", "")
    assert drain(sidecar.health).stdout == "drained\n"
    assert sidecar.status is None
    assert sidecar.probe("/livez") == (200, "ok")
    assert sidecar.probe("/readyz") == (503, "draining")
    assert sidecar.metrics().total("model_request_duration_seconds_count", code="200") == 1
    sidecar.signal(signal.SIGTERM)
    assert sidecar.ended() == 0
    assert "told twice" not in sidecar.text()


def test_nobody_is_there() -> None:
    """Without a sidecar the exit status is 1, and the message says where it looked and what to give."""
    (port,) = free_ports(1)
    found = drain(port)
    assert found.returncode == 1
    assert found.stdout == ""
    assert f"no sidecar is there: {LOOPBACK}:{port}: " in found.stderr
    assert "Connection refused; expected --health HOST:PORT of a running one" in found.stderr


ANSWERS = (
    (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nno!\n", "answers 403: no!"),
    (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "answers 404: "),
    (b"hello\r\n", "no sidecar is there: "),
    (b"", "no sidecar is there: "),
)


@pytest.mark.parametrize(("answer", "message"), ANSWERS)
def test_something_else_is_there(answer: bytes, message: str) -> None:
    """What is no sidecar, or one that refuses, is told; the exit status is 1."""
    with socket.create_server((LOOPBACK, 0)) as server:
        answering = threading.Thread(target=_say, args=(server, answer))
        answering.start()
        found = drain(server.getsockname()[1])
        answering.join(30)
    assert found.returncode == 1
    assert message in found.stderr
    assert "Traceback" not in found.stderr


def _say(server: socket.socket, *answers: bytes) -> None:
    for answer in answers:
        client, _ = server.accept()
        with client:
            assert client.recv(4096)
            client.sendall(answer)


def test_a_sidecar_that_dies_while_it_drains() -> None:
    """A sidecar that ends before it is drained is no success."""
    with socket.create_server((LOOPBACK, 0)) as server:
        begun = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
        answering = threading.Thread(target=_say, args=(server, begun, b""))
        answering.start()
        found = drain(server.getsockname()[1])
        answering.join(30)
    assert found.returncode == 1
    assert "the sidecar ended before it was drained" in found.stderr


def test_a_wrong_address() -> None:
    """What cannot be an address is a wrong command line."""
    found = modeltap("drain", "--health", "here")
    assert found.returncode == 2
    assert found.stderr == "modeltap drain: --health: 'here': expected HOST:PORT, [V6]:PORT or :PORT\n"
