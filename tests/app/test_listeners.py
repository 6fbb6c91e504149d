"""One sidecar in front of several models: ports and Unix sockets, one worker and several."""

import re
import signal
import socket
from pathlib import Path

import pytest

from tests.app.command import BODY, INFER, Sidecar, gone
from tests.app.conftest import Start
from tests.app.upstream import Upstream
from tests.e2e.processes import LOOPBACK, wait_until

REQUEST = (
    f"POST {INFER} HTTP/1.1\r\nHost: model\r\nConnection: close\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
    + BODY
)


def ask(where: str) -> bytes:
    """The whole answer to one request at HOST:PORT or unix:/PATH."""
    family = socket.AF_UNIX if where.startswith("unix:") else socket.AF_INET
    with socket.socket(family) as client:
        client.settimeout(20)
        host, _, port = where.rpartition(":")
        client.connect(port if family == socket.AF_UNIX else (host, int(port)))
        client.sendall(REQUEST)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while data := client.recv(65536):
            answer += data
    return answer


def places(sidecar: Sidecar, count: int) -> list[str]:
    """Where it listens besides the main address."""
    wait_until(lambda: sidecar.text().count(" too, upstream ") == count, "it tells all of them", 20)
    return re.findall(r"listening on (\S+) too, upstream ", sidecar.text())


@pytest.mark.parametrize("workers", [1, 2])
def test_each_listener_leads_to_its_model(start: Start, tmp_path: Path, workers: int) -> None:
    """Every listener serves its own upstream in every worker, all are counted, and the Unix socket goes at the end."""
    path = tmp_path / "model.sock"
    with Upstream("second") as second, Upstream("third") as third:
        sidecar = start(
            *("--workers", str(workers), "--series-hold", "0"),
            *("--forward", f"unix:{path}=http://{LOOPBACK}:{second.port}"),
            *("--forward", f"{LOOPBACK}:0=http://{LOOPBACK}:{third.port}"),
        )
        others = places(sidecar, 2)
        assert others[0] == f"unix:{path}"
        for _ in range(8):
            assert b'"model_name":"echo"' in sidecar.post()[1]
            assert b'"model_name":"second"' in ask(others[0])
            assert b'"model_name":"third"' in ask(others[1])
        wait_until(
            lambda: sidecar.metrics().total("model_request_duration_seconds_count", code="200") == 24,
            "all count",
            20,
        )
        sidecar.signal(signal.SIGTERM)
        assert sidecar.ended() == 0
    assert not path.exists()


def test_a_killed_sidecar_leaves_nothing_in_the_way(start: Start, tmp_path: Path) -> None:
    """After SIGKILL a sidecar starts on the same addresses: ports are free, a stale Unix socket is taken over."""
    path = tmp_path / "model.sock"
    flags = ("--workers", "2", "--forward", f"unix:{path}=tcp://{LOOPBACK}:1")
    first = start(*flags)
    pids = [first.root, *first.children("worker"), first.analysis()]
    ports = [f"{LOOPBACK}:{port}" for port in (first.listen, first.admin, first.health)]
    same = [
        word
        for name, where in zip(("listen", "admin", "health"), ports, strict=True)
        for word in (f"--{name}", where)
    ]
    first.kill()
    gone(*pids)
    assert path.exists()
    second = start(*flags, *same)
    assert (second.listen, second.admin, second.health) == (first.listen, first.admin, first.health)
    assert second.post()[0] == 200
    assert places(second, 1) == [f"unix:{path}"]


def test_hurried_or_not_the_socket_goes(start: Start, tmp_path: Path, upstream: Upstream) -> None:
    """Told twice to stop, it removes its Unix socket as well."""
    path = tmp_path / "model.sock"
    sidecar = start("--forward", f"unix:{path}=http://{LOOPBACK}:{upstream.port}")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(REQUEST[:20])
        sidecar.signal(signal.SIGTERM)
        sidecar.logged("draining")
        sidecar.signal(signal.SIGTERM)
        assert sidecar.ended() == 0
    assert not path.exists()
