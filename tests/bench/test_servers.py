"""Upstream, relay and forwarding proxy as real processes: framing that the figures rest on."""

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import traffic
from bench.errors import MeasureError
from bench.load import client, paced
from bench.processes import LOOPBACK, Processes, Running, accepts, free_port

CORE = min(os.sched_getaffinity(0))
FRONTS = ("upstream", "relay", "forward")


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """The upstream, and the two proxies in front of it, by name."""
    with Processes(tmp_path_factory.mktemp("servers")) as processes:
        found: dict[str, int] = {}
        for name in FRONTS:
            port = free_port()
            command = [sys.executable, "-m", f"bench.servers.{name}", "--listen", str(port)]
            if name != "upstream":
                command += ["--upstream", str(found["upstream"])]
            processes.start(name, command, CORE, port)
            found[name] = port
        yield found


def everything(sock: socket.socket) -> bytes:
    """All bytes until the peer closes; the socket's own timeout bounds it."""
    return b"".join(iter(lambda: sock.recv(65536), b""))


def exchange(port: int, data: bytes, step: int = 0) -> bytes:
    """Send, whole or in steps, and return what came until the other side closed."""
    with socket.create_connection((LOOPBACK, port), timeout=10.0) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(data), step or len(data)):
            sock.sendall(data[start : start + (step or len(data))])
        return everything(sock)


@pytest.mark.parametrize("step", [0, 1, 7])
@pytest.mark.parametrize("name", ["upstream", "relay"])
def test_pipelined_requests_get_one_answer_each(ports: dict[str, int], name: str, step: int) -> None:
    """Three requests in a row, however they are cut, get three answers in order, and close ends it."""
    body = next(traffic.infer_bodies())
    keep = traffic.request("POST", traffic.INFER, body)
    last = traffic.request("POST", traffic.INFER, body, close=True)
    expected = traffic.answer(False) * 2 + traffic.answer(True)
    assert exchange(ports[name], keep + keep + last, step) == expected


def test_upstream_refuses_what_it_cannot_frame(ports: dict[str, int]) -> None:
    """A chunked request is answered with 501 and a close, so that it shows as an error."""
    request = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert exchange(ports["upstream"], request).startswith(b"HTTP/1.1 501 ")


@pytest.mark.parametrize("name", FRONTS)
def test_small_exchanges_on_one_connection(ports: dict[str, int], name: str) -> None:
    """The latency client gets the upstream's own body every time."""
    taken = client.latencies(ports[name], seconds=0.05)
    assert taken
    assert min(taken) > 0


@pytest.mark.parametrize("name", FRONTS)
def test_large_bodies_pass_unchanged(ports: dict[str, int], name: str) -> None:
    """16 MiB go down byte by byte as they were, and up completely; at least one body counts."""
    assert client.download(ports[name], seconds=0.0).bodies == 1
    assert client.upload(ports[name], seconds=0.0).bodies == 1


def test_relay_passes_a_half_close_on(ports: dict[str, int]) -> None:
    """A client that ends its sending side first ends the pair, and neither side hangs."""
    with socket.create_connection((LOOPBACK, ports["relay"]), timeout=10.0) as sock:
        sock.sendall(traffic.request("GET", "/"))
        sock.shutdown(socket.SHUT_WR)
        assert everything(sock) == traffic.answer(False)


def test_paced_load_answers_everything_it_sent(ports: dict[str, int]) -> None:
    """An open loop far below the limit gets its number of answers."""
    totals = paced.run(ports["relay"], connections=4, rate=200.0, seconds=0.2)
    assert 38 <= totals.requests <= 40


def test_paced_load_refuses_to_fall_behind(ports: dict[str, int]) -> None:
    """A rate that nobody can keep is an error rather than a slower figure."""
    with pytest.raises(MeasureError, match="were asked for"):
        paced.run(ports["relay"], connections=1, rate=1e7, seconds=0.05)


def test_a_wrong_answer_is_an_error() -> None:
    """A status that is not 200, or an answer without a length, is never timed as if it were one."""
    with pytest.raises(MeasureError, match="502"):
        client.body_length(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\n")
    with pytest.raises(MeasureError, match="without Content-Length"):
        client.body_length(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")


def test_a_refused_connection_is_an_error() -> None:
    """Nobody listening is told as a problem of the measurement."""
    with pytest.raises(MeasureError, match="refused"):
        client.latencies(free_port(), seconds=0.1)


def interrupted(folder: Path, port: int, started: list[Running]) -> None:
    """Start an upstream and leave the block as Ctrl-C does."""
    with Processes(folder) as processes:
        command = [sys.executable, "-m", "bench.servers.upstream", "--listen", str(port)]
        started.append(processes.start("upstream", command, CORE, port))
        raise KeyboardInterrupt


def test_processes_end_with_the_block(tmp_path: Path) -> None:
    """Whatever leaves the block, what was started is gone, and its port is free."""
    port = free_port()
    started: list[Running] = []
    with pytest.raises(KeyboardInterrupt):
        interrupted(tmp_path, port, started)
    assert [running.process.returncode for running in started] == [-signal.SIGTERM]
    assert not accepts(port)


def test_a_process_that_ends_at_once_tells_why(tmp_path: Path) -> None:
    """A peer that cannot start is a problem with its last words in it."""
    command = [sys.executable, "-c", "raise SystemExit('no such model')"]
    with Processes(tmp_path) as processes, pytest.raises(MeasureError, match="no such model"):
        processes.start("broken", command, CORE, free_port())
