"""A real cluster of three Redis or Valkey nodes on loopback.

with RedisCluster(folder) as cluster:
    ...  # connect to cluster.url
"""

from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Self

from tests.receivers.redis import RedisServer, until

SLOTS = 16384
NODES = 3


class RedisCluster:
    """A context manager; `nodes` are servers that can be killed one by one."""

    def __init__(self, folder: Path) -> None:
        ends = [SLOTS * number // NODES for number in range(NODES + 1)]
        self.nodes = [RedisServer(folder / str(first), range(first, last)) for first, last in pairwise(ends)]
        self._stack = ExitStack()

    @property
    def url(self) -> str:
        """By its first node, as the store takes it."""
        return f"redis+cluster://127.0.0.1:{self.nodes[0].port}"

    def owner(self, slot: int) -> RedisServer:
        """The node that began with the slot."""
        return self.nodes[next(at for at in range(NODES) if slot < SLOTS * (at + 1) // NODES)]

    def flush(self) -> None:
        """Empty all."""
        for node in self.nodes:
            node.command("FLUSHALL")

    def move(self, slot: int, target: RedisServer) -> None:
        """Give an empty slot to another node, without a word to any client."""
        name = target.command("CLUSTER MYID")
        for node in (target, *self.nodes):
            node.command("CLUSTER", "SETSLOT", slot, "NODE", name)

    def migrating(self, slot: int, source: RedisServer, target: RedisServer) -> None:
        """The slot is on its way: keys that the source does not have are asked of the target."""
        target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", source.command("CLUSTER MYID"))
        source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", target.command("CLUSTER MYID"))

    def settled(self) -> None:
        """Wait until each node knows all."""
        for node in self.nodes:
            until(lambda node=node: _whole(node))  # type: ignore[misc]

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for node in self.nodes:
                stack.enter_context(node)
            first, *others = self.nodes
            for epoch, node in enumerate(self.nodes, start=1):
                node.command("CLUSTER", "SET-CONFIG-EPOCH", epoch)
            for node in others:
                node.command("CLUSTER", "MEET", "127.0.0.1", first.port, first.bus)
            self.settled()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _whole(node: RedisServer) -> bool:
    told = node.command("CLUSTER INFO")
    return bool(told["cluster_state"] == "ok" and told["cluster_slots_ok"] == str(SLOTS))
