"""Link: scripts on a Redis or Valkey server, many at a time, with bounds on time; the only file that meets the client.

Refuses to know what the scripts do, and to try anything twice: a step that may have been made is never made again.
Invariants: no call takes longer than the time-out for each of its round trips; while the server is down, it is
tried again after 0.1 to 10 seconds and every call in between fails at once; nothing is raised, every failure has
one of the reasons.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

_log = logging.getLogger(__name__)
LOST_REASONS: Final = ("unreachable", "timeout", "refused", "backoff")
_BACKOFF_SECONDS: Final = (0.1, 10.0)
# Scripts sent in one go; replies wait in the server's memory meanwhile.
_PIPELINE: Final = 64


class Call(NamedTuple):
    """One script: `items` is what is lost with it."""

    script: str
    keys: Sequence[str | bytes]
    arguments: Sequence[str | bytes | int | float]
    items: int = 0


class Link:
    """`url`: redis://, rediss:// or unix://, as the client reads it. `clock`: monotonic seconds."""

    def __init__(self, url: str, timeout_seconds: float, clock: Callable[[], float]) -> None:
        self.lost = dict.fromkeys(LOST_REASONS, 0)
        self._clock = clock
        self._client = redis.Redis.from_url(
            url,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            retry=Retry(NoBackoff(), 0),
            decode_responses=False,
        )
        self._again = 0.0  # when the server may be tried
        self._pause = 0.0  # 0: it answered last time

    def run(self, calls: Sequence[Call]) -> list[Any]:
        """The reply of each call; None for one that failed, which is counted."""
        replies: list[Any] = []
        for at in range(0, len(calls), _PIPELINE):
            some = calls[at : at + _PIPELINE]
            sent = [("EVALSHA", _sha(one.script), len(one.keys), *one.keys, *one.arguments) for one in some]
            found = self._send(sent, [one.items for one in some])
            replies += self._with_scripts(some, sent, found)
        return [self._counted(one, reply) for one, reply in zip(calls, replies, strict=True)]

    def ask(self, *commands: Sequence[str | bytes]) -> list[Any]:
        """The reply of each plain command; None for one that failed."""
        return [None if isinstance(reply, Exception) else reply for reply in self._send(commands, [0])]

    def close(self) -> None:
        """Let go of the connections; safe twice."""
        self._client.close()

    def _with_scripts(self, calls: Sequence[Call], sent: Sequence[Any], found: list[Any]) -> list[Any]:
        """A server that has restarted knows no scripts, and did nothing: give it them, and send those again."""
        places = [at for at, one in enumerate(found) if isinstance(one, redis.exceptions.NoScriptError)]
        if not places:
            return found
        scripts = dict.fromkeys(calls[at].script for at in places)
        load = [("SCRIPT LOAD", script) for script in scripts]
        again = self._send(
            [*load, *(sent[at] for at in places)], [0] * len(load) + [calls[at].items for at in places]
        )
        for at, reply in zip(places, again[len(load) :], strict=True):
            found[at] = reply
        return found

    def _send(self, commands: Sequence[Sequence[Any]], items: Sequence[int]) -> list[Any]:
        """All in one round trip: replies and errors of the server as they came; None where the connection failed."""
        failed = [None] * len(commands)
        if self._pause and self._clock() < self._again:
            self.lost["backoff"] += sum(items)
            return failed
        try:
            pipeline: Any
            with self._client.pipeline(transaction=False) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command)
                found: list[Any] = pipeline.execute(raise_on_error=False)
        except (redis.exceptions.RedisError, OSError) as error:
            self._fail(error, sum(items))
            return failed
        self._succeed()
        return found

    def _counted(self, call: Call, reply: Any) -> Any:
        if not isinstance(reply, Exception):
            return reply
        if not self.lost["refused"]:
            _log.warning("pending predictions: the server refuses: %s", reply)
        self.lost["refused"] += call.items
        return None

    def _fail(self, error: Exception, items: int) -> None:
        timed_out = isinstance(error, redis.exceptions.TimeoutError | TimeoutError)
        self.lost["timeout" if timed_out else "unreachable"] += items
        if not self._pause:
            _log.warning("pending predictions: the server cannot be used: %s", error)
        least, most = _BACKOFF_SECONDS
        self._pause = min(max(self._pause * 2, least), most)
        self._again = self._clock() + self._pause

    def _succeed(self) -> None:
        if self._pause:
            self._pause = 0.0
            _log.info("pending predictions: the server answers again")


def _sha(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
