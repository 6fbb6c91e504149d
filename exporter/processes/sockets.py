"""Every socket of the sidecar, bound before anything slow is imported: a client that comes early waits, not fails.

It imports no asyncio and knows nothing of what is served. Either all addresses are bound or BindError says which is
not, and why.
"""

import errno
import os
import resource
import socket
import stat
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

from exporter.settings.config import Config, listeners
from exporter.settings.values import split_address

MOST_LISTENERS = 64  # they travel to a worker in one packet
_BACKLOG = 1024
_IPV6_ABSENT = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
_UNIX = "unix:"


class BindError(Exception):
    """A socket cannot be bound; the text says which and why."""


@dataclass(frozen=True, slots=True)
class SocketFile:
    """The name of a Unix socket in the file system, told apart from one that another process bound there later."""

    path: str
    identity: tuple[int, int, int]

    def remove(self) -> None:
        """Unless it is gone or another's. Safe twice."""
        with suppress(OSError):
            if _identity(self.path) == self.identity:
                os.unlink(self.path)


@dataclass(frozen=True, slots=True)
class Sockets:
    """Listening and non-blocking; `listen` holds for each worker its listeners, in the order of the configuration.

    Workers have sockets of their own for the same port; a Unix socket cannot be had twice and is shared by them.
    """

    listen: tuple[tuple[socket.socket, ...], ...]
    admin: socket.socket
    health: socket.socket
    files: tuple[SocketFile, ...] = ()

    def remove_files(self) -> None:
        """No more clients find the Unix sockets. Safe twice."""
        for file in self.files:
            file.remove()


def bind_all(config: Config) -> Sockets:
    """Bind them all; BindError if one cannot be, and then none is left open."""
    places = listeners(config)
    if len(places) > MOST_LISTENERS:
        raise BindError(f"--forward: {len(places)} listeners, expected at most {MOST_LISTENERS}")
    files: list[SocketFile] = []
    with ExitStack() as stack:
        columns = []
        for number, (place, _) in enumerate(places):
            flag = "forward" if number else "listen"
            if place.startswith(_UNIX):
                sock, file = _bind_unix(place, flag)
                stack.callback(file.remove)
                files.append(file)
                column = [stack.enter_context(sock)] * config.workers
            else:
                column = _bind_port(place, flag, config.workers, stack)
            columns.append(column)
        admin = stack.enter_context(bind(config.admin, "admin"))
        health = stack.enter_context(bind(config.health, "health"))
        stack.pop_all()
    return Sockets(tuple(zip(*columns, strict=True)), admin, health, tuple(files))


def _bind_port(place: str, flag: str, workers: int, stack: ExitStack) -> list[socket.socket]:
    """One listener for each worker, all of the same port."""
    found = [stack.enter_context(_claim(place, flag, workers > 1))]
    # Port 0 is chosen once, for all workers.
    same = f"{place.rpartition(':')[0]}:{found[0].getsockname()[1]}"
    for _ in range(workers - 1):
        found.append(stack.enter_context(bind(same, flag, True)))
    return found


def _claim(address: str, flag: str, shared: bool) -> socket.socket:
    """The first listener. A shared port is first tried unshared: the kernel would let a second sidecar join it."""
    if shared and split_address(address)[1]:
        bind(address, flag).close()
    return bind(address, flag, shared)


def bind(address: str, flag: str, reuse_port: bool = False) -> socket.socket:
    """A bound, listening, non-blocking socket; dual stack where the host is a wildcard and the kernel has IPv6."""
    host, port = split_address(address)
    wildcard = host in ("", "::")
    try:
        if wildcard:
            try:
                return _listening(socket.AF_INET6, ("::", port), reuse_port)
            except OSError as error:
                if error.errno not in _IPV6_ABSENT:
                    raise
                return _listening(socket.AF_INET, ("0.0.0.0", port), reuse_port)
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        # A name of both families, as localhost is: what most clients dial.
        family, _, _, _, where = min(found, key=lambda one: one[0] != socket.AF_INET)
        return _listening(family, where, reuse_port)
    except OSError as error:
        reason = error.strerror or str(error)
        raise BindError(
            f"--{flag} {address}: cannot be bound: {reason}; expected a free address of this host"
        ) from error


def _listening(family: int, where: tuple[Any, ...], reuse_port: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(where[0] != "::"))
        sock.bind(where)
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


# ---------------------------------------------------------------- Unix sockets


def _bind_unix(place: str, flag: str) -> tuple[socket.socket, SocketFile]:
    """Bound to that path, in place of a socket that a process left behind when it died."""
    path = place.removeprefix(_UNIX)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    file = None
    try:
        try:
            sock.bind(path)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            _remove_stale(path)
            sock.bind(path)
        file = SocketFile(path, _identity(path))
        # As open as a port of loopback; who may reach it is for the folder to say.
        os.chmod(path, 0o666)
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        if file is not None:
            file.remove()
        raise BindError(
            f"--{flag} {place}: cannot be bound: {error.strerror or error}; expected a path in a folder that may be "
            "written, where nothing is or a socket on which nobody listens"
        ) from error
    return sock, file


def _remove_stale(path: str) -> None:
    """OSError if it is no socket or if somebody listens there."""
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise FileExistsError(errno.EEXIST, "something else than a socket is there")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except BlockingIOError:
            pass  # its backlog is full: somebody is there
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _identity(path: str) -> tuple[int, int, int]:
    found = os.lstat(path)
    return found.st_dev, found.st_ino, found.st_mtime_ns


def address(sock: socket.socket) -> str:
    """HOST:PORT or unix:/PATH, as a person writes it."""
    name = sock.getsockname()
    if isinstance(name, str):
        return f"{_UNIX}{name}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"{host}:{name[1]}"


def allow_many() -> int:
    """Raise the soft limit on descriptors to the hard one: each client takes two, and 1024 is a common default.

    Returns what it was.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # not permitted here: what there is has to do
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft
