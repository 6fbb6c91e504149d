"""What the kernel tells of the sidecar's processes and connections, without asking the sidecar."""

import os
import socket
from pathlib import Path
from typing import NamedTuple

_CLOSED = 7  # linux/tcp_states.h


def descriptors(pid: int) -> int:
    """How many are open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def written_files(pid: int) -> list[str]:
    """Files of a file system that are open for writing; sockets, pipes, devices and memory are none."""
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
            flags = int(Path(f"/proc/{pid}/fdinfo/{fd}").read_text().split("flags:")[1].split()[0], 8)
        except FileNotFoundError:
            continue  # closed meanwhile
        if flags & os.O_ACCMODE and target.startswith("/") and not target.startswith(("/dev/", "/memfd:")):
            found.append(target)
    return found


def resident(pid: int) -> int:
    """Resident memory in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def virtual(pid: int) -> int:
    """Address space in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """CPU time of the main thread, to the nanosecond: the clock's ticks are too coarse for small rows."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


class Queues(NamedTuple):
    """Bytes of one socket in the kernel: written and not acknowledged, received and not read."""

    unsent: int
    unread: int


def all_queues() -> dict[tuple[int, int], Queues]:
    """Of every IPv4 connection, by its local and remote port."""
    found = {}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        here, there = (int(fields[at].rpartition(":")[2], 16) for at in (1, 2))
        unsent, unread = fields[4].split(":")
        found[here, there] = Queues(int(unsent, 16), int(unread, 16))
    return found


def is_reset(sock: socket.socket) -> bool:
    """Whether an RST came, though nobody reads; also of a socket that was closed for it."""
    return sock.fileno() < 0 or sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _CLOSED
