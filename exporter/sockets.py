"""Every socket of the sidecar, bound before anything slow is imported: a client that comes early waits, not fails.

It imports no asyncio and knows nothing of what is served. Either all addresses are bound or BindError says which is
not, and why.
"""

import errno
import resource
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from exporter.config import Config
from exporter.values import split_address

_BACKLOG = 1024
_IPV6_ABSENT = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


class BindError(Exception):
    """A socket cannot be bound; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Sockets:
    """Listening and non-blocking; `listen` holds one per worker, all of the same port."""

    listen: tuple[socket.socket, ...]
    admin: socket.socket
    health: socket.socket


def bind_all(config: Config) -> Sockets:
    """Bind them all; BindError if one cannot be, and then none is left open."""
    with ExitStack() as stack:
        listen = [stack.enter_context(_claim(config.listen, config.workers > 1))]
        # Port 0 is chosen once, for all workers.
        same = f"{config.listen.rpartition(':')[0]}:{listen[0].getsockname()[1]}"
        for _ in range(config.workers - 1):
            listen.append(stack.enter_context(bind(same, "listen", True)))
        admin = stack.enter_context(bind(config.admin, "admin"))
        health = stack.enter_context(bind(config.health, "health"))
        stack.pop_all()
    return Sockets(tuple(listen), admin, health)


def _claim(address: str, shared: bool) -> socket.socket:
    """The first listener. A shared port is first tried unshared: the kernel would let a second sidecar join it."""
    if shared and split_address(address)[1]:
        bind(address, "listen").close()
    return bind(address, "listen", shared)


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


def address(sock: socket.socket) -> str:
    """HOST:PORT as a person writes it."""
    name = sock.getsockname()
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"{host}:{name[1]}"


def allow_many() -> None:
    """Raise the soft limit on descriptors to the hard one: each client takes two, and 1024 is a common default."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        return  # not permitted here: what there is has to do
