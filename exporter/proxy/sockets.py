"""What a connection pair asks of its two sockets beside the event loop's own calls: true resets, what is left unread.

It knows transports, not exchanges. Everything here is safe on a transport that is closing.
"""

import asyncio
import os
import socket
import struct
from contextlib import suppress

_RESET = struct.pack("ii", 1, 0)
_READ_BYTES = 65536
_TCP_CLOSE = 7  # linux/tcp_states.h


def reset(transport: asyncio.Transport | None) -> None:
    """End with RST, as the peer's side ended. `abort` alone sends FIN, which makes a cut answer look complete."""
    if transport is None:
        return
    sock = transport.get_extra_info("socket")
    if sock is not None and not transport.is_closing():
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()


def finish_writing(transport: asyncio.Transport) -> None:
    """FIN, behind everything that was written."""
    if not transport.is_closing():
        try:
            transport.write_eof()
        except (OSError, RuntimeError):
            transport.close()


def end(transport: asyncio.Transport | None) -> None:
    """Close at once: a peer that does not take what is still buffered is reset."""
    if transport is None:
        return
    if transport.get_write_buffer_size():
        reset(transport)
    else:
        transport.close()


def unread(transport: asyncio.Transport) -> bytes:
    """What the kernel still holds for a transport whose write failed: an answer that came before the reset."""
    sock = transport.get_extra_info("socket")
    chunks: list[bytes] = []
    try:
        # Bounded by the socket's receive buffer: the peer is gone.
        while sock is not None and sock.fileno() >= 0 and (chunk := os.read(sock.fileno(), _READ_BYTES)):
            chunks.append(chunk)
    except OSError:
        pass
    return b"".join(chunks)


def gone(transport: asyncio.Transport | None) -> bool:
    """Whether the peer reset a connection that is not read now, or that it half-closed: the loop does not tell."""
    if transport is None or transport.is_closing():
        return True
    sock = transport.get_extra_info("socket")
    try:
        state: bytes = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    except (AttributeError, OSError, ValueError):
        return False
    return state[0] == _TCP_CLOSE
