"""Binding every address, and saying which one cannot be."""

import os
import resource
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path

import pytest

from exporter.processes.sockets import MOST_LISTENERS, BindError, Sockets, address, allow_many, bind, bind_all
from exporter.settings.config import Config

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
        for sock in (*chain(*sockets.listen), sockets.admin, sockets.health):
            stack.enter_context(sock)
        stack.callback(sockets.remove_files)
        yield sockets


def test_one_listener_per_worker() -> None:
    """Workers have a listener each, all of one port, also where the port was left to the kernel."""
    with bound(workers=3) as sockets:
        assert len({address(sock) for (sock,) in sockets.listen}) == 1
        assert len(set(chain(*sockets.listen))) == 3
        assert not any(sock.getblocking() for (sock,) in sockets.listen)


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
        bind_all(config(workers=2, listen=address(first.listen[0][0])))


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


# ---------------------------------------------------------------- several listeners, Unix sockets

UPSTREAM = "http://127.0.0.1:1"


def test_several_listeners(tmp_path: Path) -> None:
    """Each worker has each listener, in the order of the configuration; a Unix socket is the same for all of them."""
    path = tmp_path / "model.sock"
    with bound(workers=2, forward=(f"unix:{path}={UPSTREAM}", f"{FREE}={UPSTREAM}")) as sockets:
        first, second = sockets.listen
        assert [address(sock) for sock in first] == [address(sock) for sock in second]
        assert [one is other for one, other in zip(first, second, strict=True)] == [False, True, False]
        assert address(first[1]) == f"unix:{path}"
        assert address(first[0]) != address(first[2])
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
        assert stat.S_IMODE(path.stat().st_mode) == 0o666, "as open as a port of loopback"
    assert not path.exists()


def test_all_or_none(tmp_path: Path) -> None:
    """If a later address is taken, nothing stays of those before it: neither port nor file."""
    path = tmp_path / "model.sock"
    with bind(FREE, "taken") as taken, bind(FREE, "free") as free:
        first = address(free)
        free.close()
        forward = (f"unix:{path}={UPSTREAM}", f"{address(taken)}={UPSTREAM}")
        with pytest.raises(BindError, match=f"--forward {address(taken)}: cannot be bound: Address already"):
            bind_all(config(listen=first, forward=forward))
    assert not path.exists()
    bind(first, "again").close()


@pytest.mark.parametrize("workers", [1, 2])
def test_the_same_address_twice(tmp_path: Path, workers: int) -> None:
    """Two listeners of one address are refused, also where workers share ports."""
    for place in (f"unix:{tmp_path}/model.sock", "127.0.0.1:{}"):
        with bind(FREE, "free") as free:
            place = place.format(free.getsockname()[1])
        with pytest.raises(BindError, match="Address already in use"):
            bind_all(config(listen=place, forward=(f"{place}={UPSTREAM}",), workers=workers))


def test_too_many_listeners() -> None:
    """Their number is bounded, and said."""
    with pytest.raises(BindError, match=f"--forward: {MOST_LISTENERS + 1} listeners, expected at most"):
        bind_all(config(forward=(f"{FREE}={UPSTREAM}",) * MOST_LISTENERS))


def test_a_socket_that_somebody_left_behind(tmp_path: Path) -> None:
    """A file on which nobody listens is taken over; a socket in use, a full one too, and any other file are not."""
    path = tmp_path / "model.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with bound(listen=f"unix:{path}"):
        with pytest.raises(
            BindError, match=f"--listen unix:{path}: cannot be bound: Address already in use; expected"
        ):
            bind_all(config(listen=f"unix:{path}"))
        assert path.exists()
    path.write_text("precious")
    with pytest.raises(BindError, match="something else than a socket is there"):
        bind_all(config(listen=f"unix:{path}"))
    assert path.read_text() == "precious"
    path.unlink()
    with pytest.raises(
        BindError, match="No such file or directory; expected a path in a folder that may be written"
    ):
        bind_all(config(listen=f"unix:{tmp_path}/nowhere/model.sock"))
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(path))
        busy.listen(0)
        waiting.connect(str(path))
        with pytest.raises(BindError, match="Address already in use"):
            bind_all(config(listen=f"unix:{path}"))


def test_the_socket_of_a_successor_is_not_removed(tmp_path: Path) -> None:
    """What another process bound at the same path meanwhile is left alone."""
    path = tmp_path / "model.sock"
    with bound(listen=f"unix:{path}") as sockets:
        os.unlink(path)
        with bound(listen=f"unix:{path}") as successor:
            sockets.remove_files()
            assert path.exists()
            successor.remove_files()
            successor.remove_files()
            assert not path.exists()
