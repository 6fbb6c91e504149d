"""Link: scripts on Redis or Valkey servers, many at a time, and what is lost with those that fail.

Refuses to know what the scripts do, and where they go. Invariant: nothing is raised, every failure has one of the
reasons, and is counted once with all its items.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import redis

from exporter.pending.redis_servers import LOAD, Cluster, Command, Paused, Servers, Single

_log = logging.getLogger(__name__)
LOST_REASONS: Final = ("unreachable", "timeout", "refused", "backoff")
# Scripts sent in one go; replies wait in the server's memory meanwhile.
_PIPELINE: Final = 64


class Call(NamedTuple):
    """One script: `items` is what is lost with it."""

    script: str
    keys: Sequence[str | bytes]
    arguments: Sequence[str | bytes | int | float]
    items: int = 0


class Link:
    """`url`: as `Single` and `Cluster` read it, which raise ValueError. `clock`: monotonic seconds."""

    def __init__(self, url: str, timeout_seconds: float, clock: Callable[[], float]) -> None:
        self.lost = dict.fromkeys(LOST_REASONS, 0)
        several = "+cluster" in url.partition("://")[0]
        self._servers: Servers = (Cluster if several else Single)(url, timeout_seconds, clock)

    def run(self, calls: Sequence[Call]) -> list[Any]:
        """The reply of each call; None for one that failed, which is counted."""
        replies: list[Any] = []
        for at in range(0, len(calls), _PIPELINE):
            some = calls[at : at + _PIPELINE]
            sent = [("EVALSHA", _sha(one.script), len(one.keys), *one.keys, *one.arguments) for one in some]
            replies += self._with_scripts(some, sent, self._servers.send(sent))
        return [self._counted(one, reply) for one, reply in zip(calls, replies, strict=True)]

    def ask(self, *commands: Sequence[str | bytes]) -> list[Any]:
        """The reply of each plain command; None for one that failed."""
        return [None if isinstance(reply, Exception) else reply for reply in self._servers.send(commands)]

    def close(self) -> None:
        """Let go of the connections; safe twice."""
        self._servers.close()

    def _with_scripts(self, calls: Sequence[Call], sent: Sequence[Any], found: list[Any]) -> list[Any]:
        """A server that has restarted knows no scripts, and did nothing: give it them, and send those again."""
        places = [at for at, one in enumerate(found) if isinstance(one, redis.exceptions.NoScriptError)]
        if not places:
            return found
        scripts = dict.fromkeys(calls[at].script for at in places)
        load: list[Command] = [(LOAD, script) for script in scripts]
        again = self._servers.send([*load, *(sent[at] for at in places)])
        for at, reply in zip(places, again[len(load) :], strict=True):
            found[at] = reply
        return found

    def _counted(self, call: Call, reply: Any) -> Any:
        if not isinstance(reply, Exception):
            return reply
        reason = _reason(reply)
        if reason == "refused" and not self.lost[reason]:
            _log.warning("pending predictions: the server refuses: %s%s", reply, _hint(reply))
        self.lost[reason] += call.items
        return None


def _reason(error: Exception) -> str:
    if isinstance(error, Paused):
        return "backoff"
    if isinstance(error, redis.exceptions.TimeoutError | TimeoutError):
        return "timeout"
    return "refused" if isinstance(error, redis.exceptions.ResponseError) else "unreachable"


def _hint(error: Exception) -> str:
    cluster = isinstance(error, redis.exceptions.MovedError)
    return " (the server is one of a cluster: expected a store redis+cluster://…)" if cluster else ""


def _sha(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
