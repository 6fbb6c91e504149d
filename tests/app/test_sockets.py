"""Binding every address, and saying which one cannot be."""

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from exporter.config import Config
from exporter.sockets import BindError, Sockets, address, allow_many, bind, bind_all

FREE = "127.0.0.1:0"


def config(**settings: object) -> Config:
    """Free ports of the loopback interface unless told otherwise."""
    return Config(
        **{"upstream": "http://127.0.0.1:1", "listen": FREE, "admin": FREE, "health": FREE, **settings}
    )  # type: ignore[arg-type]


@contextmanager
def bound(**settings: object) -> Iterator[Sockets]:
    """All sockets, closed in the end."""
    sockets = bind_all(config(**settings))
    with ExitStack() as stack:
        for sock in (*sockets.listen, sockets.admin, sockets.health):
            stack.enter_context(sock)
        yield sockets


def test_one_listener_per_worker() -> None:
    """Workers have a listener each, all of one port, also where the port was left to the kernel."""
    with bound(workers=3) as sockets:
        assert len({address(sock) for sock in sockets.listen}) == 1
        assert len(set(sockets.listen)) == 3
        assert not any(sock.getblocking() for sock in sockets.listen)


@pytest.mark.parametrize("flag", ["listen", "admin", "health"])
@pytest.mark.parametrize("workers", [1, 2])
def test_a_port_in_use(flag: str, workers: int) -> None:
    """The error names the flag, the address and the reason; nothing stays open."""
    with bind(FREE, "taken") as taken:
        where = address(taken)
        with pytest.raises(BindError) as error:
            bind_all(config(**{flag: where, "workers": workers}))
    expected = (
        f"--{flag} {where}: cannot be bound: Address already in use; expected a free address of this host"
    )
    assert str(error.value) == expected


def test_the_port_of_another_sidecar() -> None:
    """Two sidecars with several workers do not share a port by mistake, though the kernel would let them."""
    with bound(workers=2) as first, pytest.raises(BindError, match="Address already in use"):
        bind_all(config(workers=2, listen=address(first.listen[0])))


BAD = (
    ("192.0.2.1:0", "Cannot assign requested address"),
    ("no-such-host.invalid:0", "no-such-host.invalid:0: cannot be bound: "),
)


@pytest.mark.parametrize(("where", "reason"), BAD)
def test_an_address_that_is_not_ours(where: str, reason: str) -> None:
    """An address of another host, or of none, is an error of binding."""
    with pytest.raises(BindError, match=reason):
        bind(where, "listen")


@pytest.mark.parametrize("where", [":0", "[::]:0"])
def test_wildcards_are_dual_stack(where: str) -> None:
    """Without a host both families are served, as far as the kernel has them."""
    with bind(where, "listen") as sock:
        port = sock.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), 5).close()
        if sock.family == socket.AF_INET6:
            socket.create_connection(("::1", port), 5).close()


def test_addresses_as_a_person_writes_them() -> None:
    """An IPv6 address is put in brackets."""
    with bind("localhost:0", "listen") as sock:
        assert address(sock) == f"127.0.0.1:{sock.getsockname()[1]}"
    with bind(":0", "listen") as sock:
        host = "[::]" if sock.family == socket.AF_INET6 else "0.0.0.0"
        assert address(sock) == f"{host}:{sock.getsockname()[1]}"


def test_many_descriptors() -> None:
    """The soft limit on descriptors is raised as far as is allowed."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[1]), before[1]))
        allow_many()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
