"""A sidecar with few descriptors under more clients than it can take, as a process of its own."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from exporter.proxy.accept import RESERVE
from tests.app.command import BODY, INFER, Sidecar
from tests.app.conftest import Start
from tests.e2e.processes import LOOPBACK, wait_until

SOFT = 256
MOST = (SOFT - RESERVE) // 2
FEW = ("sh", "-c", f'ulimit -n {SOFT}; exec "$@"', "sh")
REQUEST = f"POST {INFER} HTTP/1.1\r\nHost: model\r\nContent-Length: {len(BODY)}\r\n\r\n".encode() + BODY


@contextmanager
def asking(sidecar: Sidecar, count: int) -> Iterator[list[socket.socket]]:
    """So many clients, connected, each with a request on its way."""
    with ExitStack() as stack:
        clients = []
        for _ in range(count):
            client = stack.enter_context(socket.create_connection((LOOPBACK, sidecar.listen), 20))
            client.sendall(REQUEST)
            clients.append(client)
        yield clients


def answered(client: socket.socket) -> bool:
    """Whether its answer came; it is left open."""
    client.settimeout(20)
    return client.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")


def quiet(client: socket.socket) -> bool:
    """Whether nothing came, no end either."""
    client.setblocking(False)
    try:
        client.recv(1)
    except BlockingIOError:
        return True
    return False


def runnable(pid: int) -> float:
    """Seconds for which a process had something to do: it ran, or waited for a CPU."""
    ran, waited, _ = Path(f"/proc/{pid}/schedstat").read_text().split()
    return (int(ran) + int(waited)) / 1e9


def busy_share(pid: int, work: Callable[[], object], seconds: float) -> float:
    """The part of that time for which the process had something to do, while `work` is done over and over."""
    began, before = time.monotonic(), runnable(pid)
    while time.monotonic() - began < seconds:
        work()
    return (runnable(pid) - before) / (time.monotonic() - began)


def pauses(sidecar: Sidecar) -> dict[str, float]:
    """What was counted, by reason."""
    metrics = sidecar.metrics()
    found = {
        reason: metrics.total("model_connection_accept_pauses_total", reason=reason)
        for reason in ("max_connections", "descriptors")
    }
    return {reason: count for reason, count in found.items() if count}


def test_more_clients_than_descriptors(start: Start) -> None:
    """With 256 descriptors as many clients are served as fit, the others wait and lose nothing; probes are answered.

    While they wait, the process does not spin.
    """
    sidecar = start("--series-hold", "0", prefix=FEW)
    with asking(sidecar, MOST) as served, asking(sidecar, 40) as waiting:
        sidecar.logged(rf"clients wait to be accepted \(max_connections\): {MOST} are open of {MOST}")
        assert all(map(answered, served))
        assert sidecar.probe("/livez") == (200, "ok")
        assert sidecar.probe("/readyz") == (200, "ok")
        assert pauses(sidecar) == {"max_connections": 1}
        assert busy_share(sidecar.root, lambda: sidecar.probe("/readyz"), 0.5) < 0.8
        assert all(map(quiet, waiting))
        for client in served[:20]:
            client.close()
        assert all(map(answered, waiting[:20]))
        for client in (*served[20:], *waiting[:20]):
            client.close()
        assert all(map(answered, waiting[20:]))
    total = "model_request_duration_seconds_count"
    assert sidecar.metrics().total(total, code="200") == MOST + 40
    assert sidecar.metrics().total("model_request_errors_total") == 0


def test_descriptors_taken_by_others(start: Start) -> None:
    """Where no descriptor is left at all, clients wait without being lost, the process does not spin, and goes on."""
    sidecar = start("--series-hold", "0")
    assert sidecar.post()[0] == 200
    process = psutil.Process(sidecar.root)
    before = process.rlimit(psutil.RLIMIT_NOFILE)
    open_files = {int(entry.name) for entry in Path(f"/proc/{sidecar.root}/fd").iterdir()}
    free = min(set(range(max(open_files) + 2)) - open_files)
    with ExitStack() as stack:
        stack.callback(process.rlimit, psutil.RLIMIT_NOFILE, before)
        process.rlimit(psutil.RLIMIT_NOFILE, (free, before[1]))
        with asking(sidecar, 10) as waiting:
            sidecar.logged(r"clients wait to be accepted \(descriptors\)")
            assert busy_share(sidecar.root, lambda: time.sleep(0.02), 0.5) < 0.8
            assert all(map(quiet, waiting))
            stack.close()
            assert all(map(answered, waiting))
    assert wait_until(lambda: pauses(sidecar).get("descriptors"), "it is counted", 20) >= 1
    assert sidecar.post()[0] == 200
