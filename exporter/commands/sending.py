"""Bodies -> a sidecar's admin side: one connection, and another try where it says to come again.

A body whose answer did not come may have been counted, so it is not sent twice: the caller is told. Where nobody
listens, and after 429 or 503, nothing was counted.
"""

import http.client
import json
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

TIMEOUT_SECONDS: Final = 60.0
_AGAIN: Final = (429, 503)
_LONGEST_PAUSE: Final = 10.0


class SendError(Exception):
    """It could not be handed over; the text says where and why."""


class Sender:
    """`send` bodies to `path` at the first of `places` that answers; `patience`: seconds to wait for a turn."""

    def __init__(
        self,
        places: Sequence[tuple[str, int]],
        path: str,
        headers: dict[str, str],
        patience: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._places = list(places)
        self._path = path
        self._headers = headers
        self._patience = patience
        self._tls = tls
        self.sleep: Callable[[float], None] = time.sleep
        self._connection: http.client.HTTPConnection | None = None

    def send(self, body: bytes) -> tuple[int, dict[str, Any]]:
        """Status and JSON of the answer. SendError if there is none, or no turn within the patience."""
        waited = 0.0
        while True:
            status, said, pause = self._once(body)
            if status not in _AGAIN:
                return status, said
            if waited + pause > self._patience:
                raise SendError(f"it had no time for {waited:g} s: {status} {said.get('expected', '')}")
            self.sleep(pause)
            waited += pause

    def close(self) -> None:
        """The end of the connection. Safe twice."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _once(self, body: bytes) -> tuple[int, dict[str, Any], float]:
        connection = self._connected()
        where = f"{connection.host}:{connection.port}"
        try:
            connection.request("POST", self._path, body, self._headers)
            answer = connection.getresponse()
            raw = answer.read()
        except (http.client.HTTPException, OSError) as error:
            self.close()
            raise SendError(f"{where} did not answer: {error or type(error).__name__}") from None
        if answer.will_close:
            self.close()
        return answer.status, _said(raw), _pause(answer.getheader("Retry-After", ""))

    def _connected(self) -> http.client.HTTPConnection:
        """The open connection, or one to the first place where somebody listens."""
        if self._connection is not None:
            return self._connection
        problems = []
        for host, port in self._places:
            connection = self._made(host, port)
            try:
                connection.connect()
            except OSError as error:
                connection.close()
                problems.append(f"{host}:{port}: {error.strerror or error}")
                continue
            self._connection = connection
            return connection
        raise SendError(
            f"no sidecar is there: {'; '.join(problems)}; expected --admin HOST:PORT of a running one"
        )

    def _made(self, host: str, port: int) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
        return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_SECONDS, context=self._tls)


def _said(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}


def _pause(field: str) -> float:
    return min(float(field), _LONGEST_PAUSE) if field.isdecimal() and field.isascii() else 1.0
