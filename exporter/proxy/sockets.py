"""What a connection pair asks of its two sockets beside the event loop's own calls: true resets, what is left unread.

It knows transports, not exchanges. Everything here is safe on a transport that is closing.

Over TLS the loop has no half-close: close_notify is answered by closing, and what comes after it is thrown away. So
a client's half-close is not passed on to a TLS upstream, which would take the answer along with it, and a TLS client
that half-closes gets no answer. The end of what the upstream says is passed on as a full close, behind every byte.
"""

import asyncio
import os
import select
import socket
import struct
from contextlib import suppress

_RESET = struct.pack("ii", 1, 0)
_READ_BYTES = 65536
_TCP_CLOSE = 7  # linux/tcp_states.h


def reset(transport: asyncio.Transport | None) -> None:
    """End with RST, as the peer's side ended. `abort` alone sends FIN, which makes a cut answer look complete.

    A Unix socket knows no RST: there the peer sees the end, and an error if it had sent what nobody read.
    """
    if transport is None:
        return
    sock = transport.get_extra_info("socket")
    if sock is not None and not _closed(transport):
        # The descriptor may be gone already, which the socket object tells as a ValueError.
        with suppress(OSError, ValueError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()


def _closed(transport: asyncio.Transport) -> bool:
    """Whether its end is decided; a TLS transport that only waits for its peer's close_notify can still be reset."""
    return transport.is_closing() and not is_tls(transport)


def is_tls(transport: asyncio.Transport) -> bool:
    """Whether TLS is spoken on it."""
    return transport.get_extra_info("sslcontext") is not None


def finish_writing(transport: asyncio.Transport) -> bool:
    """FIN, behind everything that was written; a TLS client is closed. False: a TLS upstream, left as it is."""
    if transport.is_closing():
        return True
    tls = transport.get_extra_info("ssl_object")
    if tls is None:
        try:
            transport.write_eof()
        except (OSError, RuntimeError):
            transport.close()
    elif tls.server_side:
        close(transport)
    else:
        return False
    return True


def close(transport: asyncio.Transport | None) -> None:
    """Close behind everything that was written. Over TLS without waiting for the peer's close_notify.

    RFC 8446, section 6.1, lets either side do so. A client that keeps an idle connection in a pool does not read it,
    and would hold a drain until its end.
    """
    if transport is None or transport.is_closing():
        return
    transport.close()
    secured = transport.get_extra_info("uvloop.sslproto")
    if secured is not None and not transport.get_write_buffer_size():
        # As if the peer had ended the connection: what is left is to close it.
        secured.eof_received()


def end(transport: asyncio.Transport | None) -> None:
    """Close at once: a peer that does not take what is still buffered is reset."""
    if transport is None:
        return
    if transport.get_write_buffer_size():
        reset(transport)
        return
    transport.close()
    if is_tls(transport):
        # What the socket under it still buffers is not told: it is dropped, and its peer sees that close_notify is
        # missing. What the kernel has arrives.
        transport.abort()


def unread(transport: asyncio.Transport) -> bytes:
    """What the kernel still holds for a transport whose write failed: an answer that came before the reset.

    Nothing over TLS: those bytes can no longer be deciphered.
    """
    sock = transport.get_extra_info("socket")
    chunks: list[bytes] = []
    if is_tls(transport):
        return b""
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
        if sock.family == socket.AF_UNIX:
            return _hung_up(sock.fileno())
        state: bytes = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    except (AttributeError, OSError, ValueError):
        return False
    return state[0] == _TCP_CLOSE


def _hung_up(fd: int) -> bool:
    """Whether the other end of a Unix socket was closed, both ways."""
    poll = select.poll()
    poll.register(fd, 0)  # hanging up is always told
    return bool(poll.poll(0))
