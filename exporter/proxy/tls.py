"""TLS contexts of the listeners and towards the upstreams, and their files read again when those change.

New files take effect whole or not at all, for new handshakes only: a context is made of them beside the one in use,
and replaces it if all is well. If it is not, the log says so once, and what was read before serves on. So does a
certificate whose time is over: peers that do not look still get through; the analysis tells of it (certificates.py).
"""

import logging
import os
import ssl
from collections.abc import Callable
from typing import Any

from exporter.proxy.settings import Settings, Tls, Upstream

log = logging.getLogger(__name__)

_ALPN = ["http/1.1"]
# A model that computes may keep a handshake waiting; what a plain one answers late has no time limit at all.
UPSTREAM_HANDSHAKE_SECONDS = 60.0
_DEFAULT_SECONDS = 60.0
_AUTH = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
_CERTIFICATE, _KEY = b"-----BEGIN CERTIFICATE-----", b"PRIVATE KEY-----"
# Size, inode and time of change of each file; None where there is none.
_Stamps = tuple[tuple[int, int, int] | None, ...]


class TlsError(Exception):
    """A file cannot be used; the text says of which setting, which file, why, and what was expected."""


def listener_context(tls: Tls) -> ssl.SSLContext:
    """What clients are met with. TlsError if a file cannot be used."""
    context = _context(ssl.PROTOCOL_TLS_SERVER)
    # A client could otherwise have us compute handshake after handshake on one connection.
    context.options |= ssl.OP_NO_RENEGOTIATION
    _load_pair(context, "tls", tls.cert, tls.key)
    if tls.client_auth != "none":
        _load_authorities(context, "--tls-client-ca", tls.client_ca)
        context.verify_mode = _AUTH[tls.client_auth]
    return context


def upstream_context(tls: Tls) -> ssl.SSLContext:
    """What the upstreams are dialled with. TlsError if a file cannot be used."""
    context = _context(ssl.PROTOCOL_TLS_CLIENT)
    if not tls.upstream_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif tls.upstream_ca:
        _load_authorities(context, "--upstream-ca", tls.upstream_ca)
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if tls.upstream_cert:
        _load_pair(context, "upstream", tls.upstream_cert, tls.upstream_key)
    return context


def server_name(tls: Tls, upstream: Upstream) -> str:
    """The name or address that the upstream's certificate has to be for."""
    return tls.upstream_name or upstream.host.rstrip(".") or "localhost"


def failure(error: BaseException) -> str:
    """Why a handshake failed: one of TLS_REASONS, or "" if it was ended by us."""
    match error:
        case ssl.SSLCertVerificationError():
            return "certificate"
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return "eof"
        case ssl.SSLError():
            # Ours and the peer's objections: PEER_DID_NOT_RETURN_A_CERTIFICATE, TLSV1_ALERT_UNKNOWN_CA, ...
            reason = str(error.reason)
            return "certificate" if "CERTIFICATE" in reason or "UNKNOWN_CA" in reason else "protocol"
        case ConnectionAbortedError():
            return "timeout"  # what the loop raises when the time is over
        case OSError():
            return "eof"
    return ""


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(_ALPN)
    return context


def _load_pair(context: ssl.SSLContext, prefix: str, cert: str, key: str) -> None:
    flags = f"--{prefix}-cert", f"--{prefix}-key"
    _expect(flags[0], cert, _CERTIFICATE, "a PEM file with the certificate and its chain")
    _expect(flags[1], key, _KEY, "a PEM file with the certificate's private key")
    try:
        # Without a password OpenSSL would ask for one at the terminal.
        context.load_cert_chain(cert, key, password="")
    except (ssl.SSLError, OSError) as error:
        if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
            raise TlsError(f"{flags[1]} {key}: not the key of {cert}; expected its private key") from error
        raise TlsError(
            f"{flags[0]} {cert} and {flags[1]} {key}: {_reason(error)}; "
            "expected a certificate with its chain, and its private key without a password"
        ) from error


def _load_authorities(context: ssl.SSLContext, flag: str, file: str) -> None:
    expected = "a PEM file with the certificates of authorities"
    _expect(flag, file, _CERTIFICATE, expected)
    try:
        context.load_verify_locations(file)
    except (ssl.SSLError, OSError) as error:
        raise TlsError(f"{flag} {file}: {_reason(error)}; expected {expected}") from error


def _expect(flag: str, file: str, mark: bytes, expected: str) -> None:
    """OpenSSL does not tell which file it could not read."""
    try:
        with open(file, "rb") as stream:
            found = mark in stream.read()
    except OSError as error:
        raise TlsError(
            f"{flag} {file}: cannot be read: {error.strerror or error}; expected {expected}"
        ) from error
    if not found:
        raise TlsError(f"{flag} {file}: holds none; expected {expected}")


def _reason(error: OSError) -> str:
    return (getattr(error, "reason", None) or error.strerror or str(error)).lower().replace("_", " ")


class _Loaded:
    """One context, the files that it was made of, and what they were like then."""

    def __init__(self, make: Callable[[], ssl.SSLContext], files: tuple[str, ...]) -> None:
        self._make = make
        self._files = tuple(file for file in files if file)
        self._tried = self._seen = self._stamps()
        self.context = make()

    def _stamps(self) -> _Stamps:
        return tuple(_stamp(file) for file in self._files)

    def refresh(self) -> str:
        """Make it anew if a file changed, once all have been still since the last call: they change one by one.

        Returns `success` or `failure` if it was tried, else "".
        """
        stamps = self._stamps()
        still, self._seen = stamps == self._seen, stamps
        if not still or stamps == self._tried:
            return ""
        self._tried = stamps
        try:
            self.context = self._make()
        except TlsError as error:
            log.error("%s; the certificates read before serve on", error)
            return "failure"
        log.info("read again: %s", ", ".join(self._files))
        return "success"


def _stamp(file: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_size, found.st_ino, found.st_mtime_ns


class Contexts:
    """Those of one worker. TlsError if a file cannot be used at the start; later that is logged."""

    def __init__(self, settings: Settings) -> None:
        tls = settings.tls
        self._tls = tls
        self._handshake_seconds = settings.header_timeout or _DEFAULT_SECONDS
        # How long a peer may take to read what is left at the end.
        self._shutdown_seconds = settings.half_closed_timeout or _DEFAULT_SECONDS
        self._clients: _Loaded | None = None
        self._upstream: _Loaded | None = None
        self._front: ssl.SSLContext | None = None
        if tls.cert:
            self._clients = _Loaded(lambda: listener_context(tls), (tls.cert, tls.key, tls.client_ca))
            # The server keeps the context that it is given for good; each handshake is moved to the current one.
            self._front = listener_context(tls)
            self._front.sni_callback = self._choose
        if any(upstream.tls for upstream in settings.upstreams):
            files = (tls.upstream_ca, tls.upstream_cert, tls.upstream_key)
            self._upstream = _Loaded(lambda: upstream_context(tls), files)

    def _choose(self, handshake: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        """Called in every handshake, whether the client names a server or not."""
        assert self._clients is not None
        handshake.context = self._clients.context

    def refresh(self) -> list[str]:
        """Once in a while: follow changes of the files; `success` or `failure` for each set that was read again."""
        found = [loaded.refresh() for loaded in (self._clients, self._upstream) if loaded is not None]
        return [outcome for outcome in found if outcome]

    def serving(self) -> dict[str, Any]:
        """Further arguments of `create_server`."""
        if self._front is None:
            return {}
        return {
            "ssl": self._front,
            "ssl_handshake_timeout": self._handshake_seconds,
            "ssl_shutdown_timeout": self._shutdown_seconds,
        }

    def dialling(self, upstream: Upstream) -> dict[str, Any]:
        """Further arguments of `create_connection` towards this upstream, which speaks TLS."""
        assert self._upstream is not None
        return {
            "ssl": self._upstream.context,
            "server_hostname": server_name(self._tls, upstream),
            "ssl_handshake_timeout": UPSTREAM_HANDSHAKE_SECONDS,
            "ssl_shutdown_timeout": self._shutdown_seconds,
        }
