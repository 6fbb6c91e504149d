"""The process that serves an address, found by its listening socket in this network namespace.

Reads sockets, never traffic. Answers None where the address is another host's, nobody listens, or the
listener's descriptors may not be read (another user's process, without the right to trace it): never a likely
candidate.
"""

import os
import time
from collections.abc import Callable, Iterable
from ipaddress import IPv6Address, ip_address
from typing import Any

import psutil

from exporter.collect.contract import Address, Finder

_LOOPBACK = frozenset({"127.0.0.1", "::1"})
_WILDCARD = frozenset({"0.0.0.0", "::"})


def find_listener(
    address: Address,
    connections: Callable[[str], Iterable[Any]] = psutil.net_connections,
    process_of: Callable[[int], psutil.Process] = psutil.Process,
) -> Finder:
    """A finder for the root of the process tree that listens on `address`.

    A walk over the descriptors of all visible processes: milliseconds, so not for every collection.
    """

    def find() -> int | None:
        if not _is_local(address):
            return None
        try:
            found = list(connections("unix" if isinstance(address, str) else "tcp"))
        except psutil.AccessDenied:
            return None
        pids = {each.pid for each in found if each.pid and _serves(each, address)}
        roots = {root for pid in pids if (root := _climb(pid, address, process_of)) is not None}
        return _one(roots)

    return find


def remembered(find: Finder, seconds: float = 1.0, monotonic: Callable[[], float] = time.monotonic) -> Finder:
    """The same finder, its answer held so long: several collectors ask in one round, and a walk serves them all."""
    held: tuple[float, int | None] = (float("-inf"), None)

    def recall() -> int | None:
        nonlocal held
        if monotonic() - held[0] >= seconds:
            held = monotonic(), find()
        return held[1]

    return recall


def _is_local(address: Address) -> bool:
    if isinstance(address, str) or address[0] == "localhost":
        return True
    host = _plain(address[0])
    own = {_plain(each.address) for addresses in psutil.net_if_addrs().values() for each in addresses}
    return host in own or host in _WILDCARD or _is_loopback(host)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _plain(host: str) -> str:
    """The address without its zone, IPv4 inside IPv6 as IPv4; a name stays as it is."""
    try:
        parsed = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return str(mapped or parsed)


def _serves(connection: Any, address: Address) -> bool:
    if isinstance(address, str):
        return bool(connection.laddr == address)
    if connection.status != psutil.CONN_LISTEN or connection.laddr.port != address[1]:
        return False
    bound = _plain(connection.laddr.ip)
    wanted = _LOOPBACK if address[0] == "localhost" else {_plain(address[0])}
    return bound in _WILDCARD or bound in wanted or not wanted.isdisjoint(_WILDCARD)


def _climb(pid: int, address: Address, process_of: Callable[[int], psutil.Process]) -> psutil.Process | None:
    """The highest ancestor in an unbroken line that holds the socket: a server's master, no worker of it."""
    try:
        process = process_of(pid)
    except psutil.Error:
        return None
    try:
        while (parent := process.parent()) is not None and _holds(parent, address):
            process = parent
    except psutil.Error:
        pass  # an ancestor that may not be looked into ends the line
    return process


def _holds(process: psutil.Process, address: Address) -> bool:
    kind = "unix" if isinstance(address, str) else "tcp"
    return any(_serves(each, address) for each in process.net_connections(kind))


def _one(roots: set[psutil.Process]) -> int | None:
    """The root; for several (SO_REUSEPORT: each worker binds a socket of its own) the parent they share.

    Unless that is the init process or one of our own ancestors: then the oldest of them.
    """
    if not roots:
        return None
    try:
        oldest = min(roots, key=lambda process: (process.create_time(), process.pid))
        parents = {process.ppid() for process in roots}
        ours = {os.getpid(), *(process.pid for process in psutil.Process().parents())}
    except psutil.Error:
        return None  # one of them ended just now; the next search sees what is left
    shared = parents.pop() if len(roots) > 1 and len(parents) == 1 else 0
    return shared if shared > 1 and shared not in ours else oldest.pid
