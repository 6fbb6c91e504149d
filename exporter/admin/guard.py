"""Who may use the admin side: the middleware that `web.config` describes, and the TLS that it is served with.

Passwords are checked in a thread, one at a time, and what was right once is remembered by a keyed digest: a scrape each
second must not cost a bcrypt each. Invariant: a file that cannot be read any more changes nothing.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
import os
import secrets
import ssl
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any, Final

from aiohttp import web

from exporter.admin.web import WebConfig, WebError, context, read

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_LOOK_SECONDS: Final = 1.0
_REMEMBERED: Final = 64
_WAITING: Final = 8  # checks of passwords that wait for their turn; more are refused
# Checked for names that do not exist, so that an answer's time does not tell which do. Of a random password, cost 10.
_NOBODY: Final = "$2b$10$CwTycUXWue0Thq9StjUM0uJ8gF9bN4GQ1tQ8ZpVv5mYB4b1b7Qd9C"
_Stamps = tuple[tuple[int, int, int] | None, ...]


class Guard:
    """Follows one file; `middleware` for the application, `serving` for its listener. WebError if it cannot be used."""

    def __init__(self, file: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._clock = clock
        self._looked = clock()
        self._config = read(file)
        self._tls = context(self._config.tls) if self._config.tls is not None else None
        self._seen = self._tried = self._stamps()
        self._passwords = Passwords()
        self._tokens = float(self._config.rate[1])
        self._filled = clock()
        self.reloaded: Callable[[str], None] = lambda _outcome: None
        self.refused = dict.fromkeys(("unauthorized", "forbidden", "rate_limited"), 0)
        if self._config.users:
            self._passwords.load()

    @property
    def certificate(self) -> str:
        """The file in force, "" without TLS."""
        return self._config.certificate

    @property
    def serving(self) -> ssl.SSLContext | None:
        """For the listener; each handshake is moved to the context in use, since a server keeps the one it is given."""
        if self._tls is None or self._config.tls is None:
            return None
        front = context(self._config.tls)
        front.sni_callback = self._choose
        return front

    def _choose(self, handshake: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        self.refresh()
        if self._tls is not None:
            handshake.context = self._tls

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """401, 403 or 429 for whoever may not."""
        self.refresh()
        config = self._config
        if not self._allowed_by_rate():
            self.refused["rate_limited"] += 1
            raise web.HTTPTooManyRequests(text="too many requests\n", headers={"Retry-After": "1"})
        if not _known(request, config):
            self.refused["forbidden"] += 1
            raise web.HTTPForbidden(text="the certificate is for none of the names that may come here\n")
        if config.users and not await self._passwords.right(
            request.headers.get("Authorization", ""), config.users
        ):
            self.refused["unauthorized"] += 1
            challenge = {"WWW-Authenticate": 'Basic realm="modeltap", charset="UTF-8"'}
            raise web.HTTPUnauthorized(text="a name and its password are needed\n", headers=challenge)
        return await handler(request)

    async def headers(self, _: web.Request, response: web.StreamResponse) -> None:
        """The file's headers on every answer, refusals included; for `on_response_prepare`."""
        response.headers.update(self._config.headers)

    def _allowed_by_rate(self) -> bool:
        """A token bucket."""
        interval, burst = self._config.rate
        if not interval:
            return True
        now = self._clock()
        self._tokens = min(float(burst), self._tokens + (now - self._filled) / interval)
        self._filled = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def _stamps(self) -> _Stamps:
        return tuple(_stamp(file) for file in (self._file, *self._config.files))

    def refresh(self) -> None:
        """Read the files again if they changed, once they have been still between two looks."""
        now = self._clock()
        if now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        stamps = self._stamps()
        still, self._seen = stamps == self._seen, stamps
        if not still or stamps == self._tried:
            return
        try:
            config = read(self._file)
            if (config.tls is None) is not (self._tls is None):
                raise WebError([f"{self._file}: TLS cannot be switched on or off without a restart"])
            self._tls = context(config.tls) if config.tls is not None else None
        except WebError as error:
            self.reloaded("failure")
            log.error("web.config: %s; what was read before stays in force", "; ".join(error.problems))
        else:
            self._config = config
            self.reloaded("success")
            self._passwords.forget()
            log.info("web.config: read again: %s", self._file)
        self._seen = self._tried = self._stamps()


class Passwords:
    """Basic authentication against bcrypt hashes."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._right: dict[bytes, None] = {}
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._bcrypt: Any = None

    def load(self) -> None:
        """WebError without the package."""
        try:
            self._bcrypt = import_module("bcrypt")
        except ImportError as error:
            raise WebError(
                ["basic_auth_users: needs the package bcrypt; expected pip install 'modeltap[web]'"]
            ) from error

    def forget(self) -> None:
        """Other hashes are in force."""
        self._right.clear()

    async def right(self, authorization: str, users: dict[str, str]) -> bool:
        """Whether the field has a name and its password."""
        name, password = _credentials(authorization)
        if not name:
            return False
        known = users.get(name)
        digest = hmac.digest(self._key, f"{name}:{known}:{password}".encode(), hashlib.sha256)
        if digest in self._right:
            return True
        if self._waiting >= _WAITING:
            return False
        self._waiting += 1
        try:
            async with self._turn:
                same = await asyncio.to_thread(self._check, password, known or _NOBODY)
        finally:
            self._waiting -= 1
        if known is None or not same:
            return False
        if len(self._right) >= _REMEMBERED:
            self._right.clear()
        self._right[digest] = None
        return True

    def _check(self, password: str, known: str) -> bool:
        if self._bcrypt is None:
            self.load()
        # bcrypt reads 72 bytes, and newer versions of the package refuse more.
        return bool(self._bcrypt.checkpw(password.encode()[:72], known.encode()))


def _credentials(authorization: str) -> tuple[str, str]:
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, colon, password = base64.b64decode(rest.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return (name, password) if colon else ("", "")


def _known(request: web.Request, config: WebConfig) -> bool:
    """Whether the client's certificate is for one of the names that the file lists."""
    if config.tls is None or not config.tls.allowed_sans:
        return True
    certificate = request.transport.get_extra_info("peercert") if request.transport is not None else None
    names = {value for _, value in (certificate or {}).get("subjectAltName", ())}
    return bool(names & config.tls.allowed_sans)


def _stamp(file: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_size, found.st_ino, found.st_mtime_ns
