"""PROXY protocol version 2, byte by byte as the specification's section 2.2 draws it."""

import socket
import struct

import pytest

from exporter.proxy.proxy_protocol import header

SIGNATURE = "0D0A0D0A000D0A515549540A"
VECTORS = {
    "ipv4": (
        ("192.0.2.7", 50000),
        ("198.51.100.2", 9000),
        f"{SIGNATURE} 21 11 000C C0000207 C6336402 C350 2328",
    ),
    "ipv6": (
        ("2001:db8::7", 50000, 0, 0),
        ("2001:db8::2", 9000, 0, 0),
        f"{SIGNATURE} 21 21 0024 20010DB8000000000000000000000007 20010DB8000000000000000000000002 C350 2328",
    ),
    "ipv4 at a dual-stack listener": (
        ("::ffff:192.0.2.7", 50000, 0, 0),
        ("::ffff:198.51.100.2", 9000, 0, 0),
        f"{SIGNATURE} 21 11 000C C0000207 C6336402 C350 2328",
    ),
    "link-local, without its scope": (
        ("fe80::7%eth0", 1, 0, 4),
        ("fe80::2", 2, 0, 4),
        f"{SIGNATURE} 21 21 0024 FE800000000000000000000000000007 FE800000000000000000000000000002 0001 0002",
    ),
    "unix, a client without a name": (
        "",
        "/run/tap",
        f"{SIGNATURE} 21 31 00D8 {'00' * 108} {b'/run/tap'.hex()} {'00' * 100}",
    ),
    "unix, abstract": (
        b"\x00client",
        "/run/tap",
        f"{SIGNATURE} 21 31 00D8 {b'client'.hex().join(['00', '00' * 101])} {b'/run/tap'.hex()} {'00' * 100}",
    ),
    "gone before it was asked": (None, None, f"{SIGNATURE} 20 00 0000"),
    "one end unknown": (None, ("198.51.100.2", 9000), f"{SIGNATURE} 20 00 0000"),
    "no name at either end": ("", "", f"{SIGNATURE} 20 00 0000"),
    "two families": (("192.0.2.7", 1), ("2001:db8::2", 2, 0, 0), f"{SIGNATURE} 20 00 0000"),
    "mapped at one end only": (("::ffff:192.0.2.7", 1), ("192.0.2.2", 2), f"{SIGNATURE} 20 00 0000"),
}


@pytest.mark.parametrize(("peer", "here", "expected"), VECTORS.values(), ids=VECTORS)
def test_vectors(peer: object, here: object, expected: str) -> None:
    """Signature, version and command, family and protocol, length, addresses, ports."""
    assert header(peer, here) == bytes.fromhex(expected)


def test_read_back_as_a_receiver_does() -> None:
    """The fields lie where the specification's structs have them."""
    said = header(("192.0.2.7", 50000), ("198.51.100.2", 9000))
    signature, version_command, family, length = struct.unpack_from("!12sBBH", said)
    source, destination, *ports = struct.unpack_from("!4s4sHH", said, 16)
    assert (signature, version_command >> 4, version_command & 15) == (b"\r\n\r\n\0\r\nQUIT\n", 2, 1)
    assert (family >> 4, family & 15, length) == (1, 1, len(said) - 16)
    assert (socket.inet_ntoa(source), socket.inet_ntoa(destination)) == ("192.0.2.7", "198.51.100.2")
    assert ports == [50000, 9000]
