"""Who may write on the admin side: whoever is on this host or shows a certificate, or, where a token is configured,
whoever shows that.

Knows no framework and no route, so that everything that writes goes through one door. What a client says of where it
comes from is never believed: only the peer of its connection is. A page in a browser on this host writes nothing, by
whatever name it reached us. A token file that is gone, empty or unreadable closes the door; nothing opens it but the
file.
"""

import hmac
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Any, Final

log = logging.getLogger("modeltap.admin")
MAX_TOKEN: Final = 4096
# Where the token stands if the admin side's users need the field Authorization for their passwords.
TOKEN_FIELD: Final = "x-modeltap-token"
# Fields that proxies add: what comes with one of them is another's request, whose address we do not see.
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip", "via", "x-envoy-external-address")
# Istio's proxy dials the application from here for clients of anywhere (its INBOUND_PASSTHROUGH_BIND_IPV4 and _V6).
_PROXIES: Final = frozenset({"127.0.0.6", "::6"})
_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Refused:
    """A status code, one word for the counter, and what is told to the client."""

    status: int
    outcome: str
    text: str


FORBIDDEN: Final = Refused(403, "forbidden", "writing is for this host alone, until a token is configured")
FORWARDED: Final = Refused(
    403, "forbidden", "a request that came through a proxy does not write without a token"
)
PAGE: Final = Refused(403, "forbidden", "a page does not write here")
HOST: Final = Refused(403, "forbidden", "expected an address or localhost in the field Host")
UNAUTHORIZED: Final = Refused(
    401, "unauthorized", "expected Authorization: Bearer, or X-Modeltap-Token, and the token"
)
CLOSED: Final = Refused(503, "closed", "the file of the token cannot be used: nobody may write")


class Door:
    """`judge` each request that would write; `token_file` "" means that only this host may."""

    def __init__(self, token_file: str = "") -> None:
        self._file = token_file
        self._stamp: _Stamp | None = None
        self._token = b""
        self._problem = ""

    def judge(self, peer: object, fields: Mapping[str, str], certified: bool = False) -> Refused | None:
        """None for who may write. `peer`: the socket's name of the other end; `fields` are found in lower case.

        `certified`: the connection is TLS, and the client's certificate was verified.
        """
        if "origin" in fields or "sec-fetch-site" in fields:
            return PAGE
        if self._file:
            shown = fields.get(TOKEN_FIELD)
            return self._shown(f"Bearer {shown}" if shown else fields.get("authorization", ""))
        if certified:
            return None
        if not _from_here(peer):
            return FORBIDDEN
        if any(name in fields for name in _FORWARDED):
            return FORWARDED
        return None if _is_address(fields.get("host", "")) else HOST

    def _shown(self, authorization: str) -> Refused | None:
        token = self._read()
        if not token:
            return CLOSED
        scheme, _, shown = authorization.partition(" ")
        right = hmac.compare_digest(shown.strip().encode("utf-8", "surrogateescape"), token)
        return None if right and scheme.lower() == "bearer" else UNAUTHORIZED

    def _read(self) -> bytes:
        """The token, read again when the file changed; b"" while there is none."""
        try:
            found = os.stat(self._file)
            stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
            if stamp != self._stamp:
                with open(self._file, "rb") as stream:
                    self._token = token_of(stream.read(MAX_TOKEN + 1))
                self._stamp = stamp
        except OSError as error:
            self._tell(error.strerror or "cannot be read")
        except ValueError as error:
            self._tell(str(error))
        else:
            self._problem = ""
        return b"" if self._problem else self._token

    def _tell(self, problem: str) -> None:
        """Once for each change of state."""
        self._stamp, self._token = None, b""
        if problem != self._problem:
            log.error("--write-token-file %s: %s: nobody may write", self._file, problem)
        self._problem = problem


def token_of(content: bytes) -> bytes:
    """The token in a file: its only line. ValueError for a file that holds none."""
    token = content.strip()
    if not token or len(content) > MAX_TOKEN or len(token.split()) > 1 or not token.isascii():
        raise ValueError(f"expected one line of ASCII without spaces, of at most {MAX_TOKEN} bytes")
    return token


def _from_here(peer: object) -> bool:
    """Whether the other end of the connection is on loopback, and no proxy that speaks for others."""
    host = peer[0] if isinstance(peer, tuple) and peer else ""
    found = _address(host)
    return found is not None and found.is_loopback and str(found) not in _PROXIES


def _address(host: Any) -> Any:
    """The address that a text writes, the IPv4 address of one that is mapped into IPv6; None if it writes none."""
    try:
        found = ip_address(str(host).partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def _is_address(field: str) -> bool:
    """Whether a Host field names us by address or as localhost: a name that was made to point here is neither."""
    host = field.strip().lower()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") <= 1:
        host = host.partition(":")[0]
    return host == "localhost" or host.endswith(".localhost") or _address(host) is not None
