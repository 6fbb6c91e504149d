"""Samples -> a Prometheus Pushgateway, as text, from a thread of its own.

Only the last offer counts: a gateway keeps no history. It is added to its group (POST), so that what an earlier push
said of other families stays. A gateway that is dead or slow costs a counted failure and one line; the one who offers
never waits for it, and at the end no longer than told.
"""

import base64
import http.client
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from exporter.publish.prometheus import render
from exporter.records.sample import Sample

log = logging.getLogger("modeltap")
OUTCOMES: Final = ("success", "failure")
ATTEMPT_SECONDS: Final = 5.0
_REASON_BYTES: Final = 300


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where to push: `url` without the group, whose labels are `job` and `labels`. ValueError for another URL."""

    url: str
    job: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("expected http://HOST[:PORT][/PATH] or https://… of a Pushgateway")
        parts.port  # noqa: B018 - ValueError for one that is no number

    def path(self) -> str:
        """That of the group; a value that a path cannot hold is written in base64."""
        group = (("job", self.job), *self.labels.items())
        return urlsplit(self.url).path.rstrip("/") + "/metrics" + "".join(_step(*item) for item in group)

    def push(self, body: bytes, seconds: float = ATTEMPT_SECONDS) -> None:
        """OSError, with a reason, if it does not take it."""
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=seconds)
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers["Authorization"] = "Basic " + base64.b64encode(user.encode()).decode()
        try:
            connection.request("POST", self.path(), body, headers)
            answer = connection.getresponse()
            said = answer.read(_REASON_BYTES)
        except http.client.HTTPException as error:
            raise OSError(f"no answer in HTTP: {type(error).__name__}") from error
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            first = said.decode("ascii", "replace").strip().split("\n")[0]
            raise OSError(f"status {answer.status}: {first}")


def _step(name: str, value: str) -> str:
    if not value or "/" in value:
        # One equals sign stands for the empty value, which base64 would write as nothing.
        return f"/{name}@base64/{base64.urlsafe_b64encode(value.encode()).decode() or '='}"
    return f"/{name}/{quote(value, safe='')}"


class GatewayPusher:
    """`start`, `offer` as often as wanted, `stop` with the last offer."""

    def __init__(self, gateway: Gateway) -> None:
        self.counts = dict.fromkeys(OUTCOMES, 0)
        self._gateway = gateway
        self._changed = threading.Condition()
        self._offered: Sequence[Sample] | None = None
        self._stopping = False
        self._works: bool | None = None
        self._thread = threading.Thread(target=self._run, name="pushgateway", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def offer(self, samples: Sequence[Sample]) -> None:
        """Push these next, in place of what still waits."""
        with self._changed:
            self._offered = samples
            self._changed.notify()

    def stop(self, seconds: float) -> bool:
        """Push what was offered last; False if that took longer, or failed."""
        deadline = time.monotonic() + seconds
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return not self._thread.is_alive() and self._works is not False

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._offered is not None or self._stopping)
                offered, self._offered = self._offered, None
            if offered is None:
                return
            body, _ = render(offered, "")
            try:
                self._gateway.push(body)
            except OSError as error:
                self._told(False, str(error.strerror or error))
            else:
                self._told(True, "")

    def _told(self, works: bool, reason: str) -> None:
        self.counts["success" if works else "failure"] += 1
        if works is not self._works:
            self._works = works
            if not works:
                log.warning("pushes to the Pushgateway fail: %s", reason)
