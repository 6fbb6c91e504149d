"""PROXY protocol, version 2: who connected, told to the upstream ahead of every byte, that of TLS included.

Bytes only, no socket is used. Format: https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt, section 2.2.
"""

import os
import socket
import struct

_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_LOCAL, _PROXY = 0x20, 0x21  # version 2 in the high half
_UNSPEC, _TCP4, _TCP6, _UNIX_STREAM = 0x00, 0x11, 0x21, 0x31
_PATH_BYTES = 108
_MAPPED = "::ffff:"


def header(peer: object, here: object) -> bytes:
    """For a client at `peer` that connected to `here`, both as a transport's peername and sockname tell them.

    LOCAL, by which the upstream takes the connection as it sees it, if an address is not to be had.
    """
    if isinstance(peer, tuple) and isinstance(here, tuple):
        return _inet(peer, here)
    if isinstance(peer, str | bytes) and isinstance(here, str | bytes) and (peer or here):
        # A client's Unix socket seldom has a name; the listener's own tells where it came.
        return _head(_PROXY, _UNIX_STREAM, _path(peer) + _path(here))
    return _head(_LOCAL, _UNSPEC, b"")


def _inet(peer: tuple[object, ...], here: tuple[object, ...]) -> bytes:
    ports = struct.pack("!HH", peer[1], here[1])
    hosts = [str(name[0]).partition("%")[0] for name in (peer, here)]
    if all(host.startswith(_MAPPED) for host in hosts):
        # An IPv4 client of a dual-stack listener.
        hosts = [host.removeprefix(_MAPPED) for host in hosts]
    try:
        if ":" in hosts[0]:
            found = b"".join(socket.inet_pton(socket.AF_INET6, host) for host in hosts)
            return _head(_PROXY, _TCP6, found + ports)
        return _head(_PROXY, _TCP4, b"".join(socket.inet_aton(host) for host in hosts) + ports)
    except OSError:  # not two addresses of one family
        return _head(_LOCAL, _UNSPEC, b"")


def _path(path: str | bytes) -> bytes:
    return os.fsencode(path)[:_PATH_BYTES].ljust(_PATH_BYTES, b"\x00")


def _head(command: int, family: int, addresses: bytes) -> bytes:
    return _SIGNATURE + struct.pack("!BBH", command, family, len(addresses)) + addresses
