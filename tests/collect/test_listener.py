"""The process behind an address: real servers with real sockets."""

import os
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from exporter.collect.listener import find_listener
from tests.collect.children import serving


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::ffff:127.0.0.1"])
def test_found_by_port(host: str) -> None:
    """The process that listens on the upstream's port is found, by address or by name."""
    with serving() as server:
        assert find_listener((host, server.port))() == server.pid


@pytest.mark.parametrize("bound", ["0.0.0.0", "::"])
def test_wildcard_listener(bound: str) -> None:
    """A server on all addresses serves each of them."""
    with serving(bound) as server:
        assert find_listener(("127.0.0.1", server.port))() == server.pid


def test_ipv6() -> None:
    """A server on ::1 is found there, and is not taken for one on 127.0.0.1."""
    with serving("::1") as server:
        assert find_listener(("::1", server.port))() == server.pid
        # Another program may have that port there.
        assert find_listener(("127.0.0.1", server.port))() != server.pid


def test_unix_socket(tmp_path: Path) -> None:
    """A server on a unix socket is found by the socket's path."""
    path = str(tmp_path / "model.sock")
    with serving(path) as server:
        assert find_listener(path)() == server.pid


def test_workers_share_the_socket() -> None:
    """Of a server that forked workers with its socket the master is found."""
    with serving(workers=3) as server:
        assert find_listener(("127.0.0.1", server.port))() == server.pid


def test_nobody_listens() -> None:
    """A port that is bound but not listened on has no process, nor has one of another host."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        assert find_listener(("127.0.0.1", port))() is None
    with serving("0.0.0.0") as server:
        assert find_listener(("192.0.2.7", server.port))() is None
        assert find_listener(("model.example", server.port))() is None


def test_descriptors_of_another_user() -> None:
    """A listener whose process may not be looked into is absent, and so is one in a forbidden table."""
    row = SimpleNamespace(status=psutil.CONN_LISTEN, laddr=SimpleNamespace(ip="127.0.0.1", port=80), pid=None)
    assert find_listener(("127.0.0.1", 80), lambda _: [row])() is None

    def forbidden(_: str) -> Any:
        raise psutil.AccessDenied

    assert find_listener(("127.0.0.1", 80), forbidden)() is None


def test_listener_ends_during_the_search() -> None:
    """A process that ends between two looks at it is absent."""
    row = SimpleNamespace(status=psutil.CONN_LISTEN, laddr=SimpleNamespace(ip="127.0.0.1", port=80), pid=7)

    def gone(pid: int) -> psutil.Process:
        raise psutil.NoSuchProcess(pid)

    assert find_listener(("127.0.0.1", 80), lambda _: [row], gone)() is None


class Stub:
    """A process of a made-up tree."""

    def __init__(self, pid: int, ppid: int) -> None:
        self.pid = pid
        self._ppid = ppid

    def parent(self) -> None:
        return None

    def ppid(self) -> int:
        return self._ppid

    def create_time(self) -> float:
        return float(self.pid)


@pytest.mark.parametrize(
    ("parent", "expected"),
    [(900_000, 900_000), (1, 900_001), (os.getpid(), 900_001)],
    ids=["root", "init", "ours"],
)
def test_workers_with_sockets_of_their_own(parent: int, expected: int) -> None:
    """Workers that each bind the port (SO_REUSEPORT) are their parent's, unless that is ours or init."""
    rows = [
        SimpleNamespace(status=psutil.CONN_LISTEN, laddr=SimpleNamespace(ip="0.0.0.0", port=80), pid=pid)
        for pid in (900_002, 900_001)
    ]
    stubs: Any = {pid: Stub(pid, parent) for pid in (900_001, 900_002)}
    assert find_listener(("127.0.0.1", 80), lambda _: rows, stubs.__getitem__)() == expected
