"""Where commands go: one Redis or Valkey server, or the nodes of a cluster; the only file that meets the client.

Refuses to know what commands do, and to try anything twice: what may have been done is never sent again, only what a
node of a cluster refused because another one has the key now. Invariants: no call takes longer than the time-out for
each of its round trips; an address that failed is tried again after 0.1 to 10 seconds and every command for it in
between fails at once, those for others do not; nothing is raised, a command that failed has its error for a reply.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.crc import key_slot
from redis.exceptions import MovedError, RedisClusterException, RedisError
from redis.retry import Retry

_log = logging.getLogger(__name__)
_BACKOFF_SECONDS: Final = (0.1, 10.0)
LOAD: Final = "SCRIPT LOAD"
Command = Sequence[str | bytes | int | float]
Clock = Callable[[], float]
_FAILURES: Final = (RedisError, RedisClusterException, OSError)


class Paused(Exception):
    """The address failed a moment ago, so nothing was sent."""


class Servers(Protocol):
    """One server, or several that look like one."""

    def send(self, commands: Sequence[Command]) -> list[Any]:
        """The reply of each, in order; an exception for one that failed."""

    def close(self) -> None:
        """Let go of the connections; safe twice."""


class Single:
    """One server. `url`: redis://, rediss:// or unix://, as the client reads it; raises ValueError for another."""

    def __init__(self, url: str, timeout_seconds: float, clock: Clock) -> None:
        self._client = redis.Redis.from_url(url, **_options(timeout_seconds), retry=Retry(NoBackoff(), 0))
        self._gate = _Gate("the server", clock)

    def send(self, commands: Sequence[Command]) -> list[Any]:
        """All in one round trip."""
        return _exchanged(self._gate, self._client, commands)

    def close(self) -> None:
        """See `Servers`."""
        self._client.close()


class Cluster:
    """A cluster, found by any node of it. `url`: redis+cluster:// or rediss+cluster://; raises ValueError for another.

    Of commands with keys, all are of one slot; the first is where it is for EVALSHA, or directly behind the name.
    A script is loaded where commands of the same call go. While a slot is on its way from node to node, both refuse its
    steps (ASK, TRYAGAIN), and they are lost. To follow ASK would save few: the other node refuses a step as well unless
    it has each of its keys, and keys of new rows are nowhere.
    """

    def __init__(self, url: str, timeout_seconds: float, clock: Clock) -> None:
        self._url = url.replace("+cluster", "", 1)
        redis.ConnectionPool.from_url(self._url)  # whether it is one
        self._timeout = timeout_seconds
        self._clock = clock
        self._known: RedisCluster | None = None
        self._entry = _Gate("the cluster", clock)
        self._gates: dict[str, _Gate] = {}
        self._stale = False

    def send(self, commands: Sequence[Command]) -> list[Any]:
        """One round trip for each node, and another for what a node no longer has."""
        cluster = self._joined()
        if isinstance(cluster, Exception):
            return [cluster] * len(commands)
        replies = self._round(cluster, commands)
        moved = [at for at, reply in enumerate(replies) if isinstance(reply, MovedError)]
        if moved:
            self._learn(cluster)
            loads = [at for at, command in enumerate(commands) if command[0] == LOAD]
            places = sorted({*loads, *moved})
            again = self._round(cluster, [commands[at] for at in places])
            for at, reply in zip(places, again, strict=True):
                replies[at] = reply
        return replies

    def close(self) -> None:
        """See `Servers`."""
        if self._known is not None:
            self._known.close()

    def _joined(self) -> "RedisCluster | Exception":
        """The cluster, with what is known of its nodes; an error while no node tells."""
        if self._known is not None:
            if self._stale and not self._entry.shut():
                self._learn(self._known)
            return self._known
        if self._entry.shut():
            return Paused()
        try:
            self._known = RedisCluster.from_url(
                self._url,
                **_options(self._timeout),
                retry=Retry(NoBackoff(), 0),
                require_full_coverage=False,
            )
        except _FAILURES as error:
            self._entry.failed(error)
            return error
        self._entry.answered()
        return self._known

    def _learn(self, cluster: RedisCluster) -> None:
        """Ask anew which node has which slots; what was known stays where none tells."""
        try:
            cluster.nodes_manager.initialize()
        except _FAILURES as error:
            self._entry.failed(error)
        else:
            self._entry.answered()
            self._stale = False

    def _round(self, cluster: RedisCluster, commands: Sequence[Command]) -> list[Any]:
        replies: list[Any] = [None] * len(commands)
        loads = [at for at, command in enumerate(commands) if command[0] == LOAD]
        places: dict[str, list[int]] = {}
        nodes: dict[str, ClusterNode] = {}
        for at, command in enumerate(commands):
            if command[0] == LOAD:
                continue
            try:
                node: ClusterNode = cluster.nodes_manager.get_node_from_slot(key_slot(_key(command)))
            except RedisClusterException as error:
                # No node has the slot: a part of the cluster is gone.
                replies[at], self._stale = error, True
                continue
            nodes[node.name] = node
            places.setdefault(node.name, list(loads)).append(at)
        for name, chosen in places.items():
            found = self._at(cluster, nodes[name], [commands[at] for at in chosen])
            for at, reply in zip(chosen, found, strict=True):
                replies[at] = reply
        return replies

    def _at(self, cluster: RedisCluster, node: ClusterNode, commands: Sequence[Command]) -> list[Any]:
        gate = self._gates.setdefault(node.name, _Gate(f"the node {node.name}", self._clock))
        found = _exchanged(gate, cluster.get_redis_connection(node), commands)
        # Its replica may have taken its place; asked once for each try, and not while it is let be.
        self._stale = self._stale or (gate.closed and not isinstance(found[0], Paused))
        return found


class _Gate:
    """Whether an address may be tried."""

    def __init__(self, name: str, clock: Clock) -> None:
        self._name = name
        self._clock = clock
        self._again = 0.0
        self._pause = 0.0  # 0: it answered last time

    @property
    def closed(self) -> bool:
        """Whether it failed last time."""
        return bool(self._pause)

    def shut(self) -> bool:
        return self.closed and self._clock() < self._again

    def failed(self, error: Exception) -> None:
        if not self._pause:
            _log.warning("pending predictions: %s cannot be used: %s", self._name, error)
        least, most = _BACKOFF_SECONDS
        self._pause = min(max(self._pause * 2, least), most)
        self._again = self._clock() + self._pause

    def answered(self) -> None:
        if self._pause:
            self._pause = 0.0
            _log.info("pending predictions: %s answers again", self._name)


def _exchanged(gate: _Gate, client: "redis.Redis", commands: Sequence[Command]) -> list[Any]:
    """All in one round trip: replies, and errors of the server as they came."""
    if gate.shut():
        return [Paused()] * len(commands)
    try:
        pipeline: Any
        with client.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            found: list[Any] = pipeline.execute(raise_on_error=False)
    except _FAILURES as error:
        gate.failed(error)
        return [error] * len(commands)
    gate.answered()
    return found


def _options(timeout_seconds: float) -> dict[str, Any]:
    return {
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "decode_responses": False,
    }


def _key(command: Command) -> bytes:
    """EVALSHA: name, script, number of keys, keys."""
    key = command[3] if command[0] == "EVALSHA" else command[1]
    return key if isinstance(key, bytes) else str(key).encode()
