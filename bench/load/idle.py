"""Many connections that did one exchange each and then keep still.

They are opened in groups, so that no listener's queue overflows, and end with a reset, so that nothing of them
stays in the kernel for the next peer.
"""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from bench import traffic
from bench.errors import MeasureError
from bench.load.client import TIMEOUT_SECONDS, read_small
from bench.processes import LOOPBACK

GROUP = 64
RESET = struct.pack("ii", 1, 0)


@contextmanager
def connected(port: int, count: int) -> Iterator[None]:
    """So many connections inside the block. Raises MeasureError when one is refused or wrongly answered."""
    sockets: list[socket.socket] = []
    requests = traffic.infer_requests()
    try:
        while len(sockets) < count:
            group = [_connect(port) for _ in range(min(GROUP, count - len(sockets)))]
            sockets += group
            for index, sock in enumerate(group):
                sock.sendall(requests[index])
            for sock in group:
                read_small(sock)
        yield
    except OSError as error:
        raise MeasureError(f"connection {len(sockets)} of {count}: {error}") from error
    finally:
        for sock in sockets:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            sock.close()


def _connect(port: int) -> socket.socket:
    return socket.create_connection((LOOPBACK, port), timeout=TIMEOUT_SECONDS)
