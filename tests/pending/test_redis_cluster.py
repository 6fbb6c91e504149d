"""The Redis store on a real cluster of three nodes: slots that move, a node that dies and comes back."""

import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from redis.cluster import NodesManager

from exporter.pending.contract import Limits
from exporter.pending.redis import PARTITIONS, Redis
from tests.pending.stores import HOUR, T0, V1, label, rows
from tests.pending.test_redis import NAMES, Clock
from tests.receivers.redis import RedisServer
from tests.receivers.redis_cluster import RedisCluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """One that stays whole."""
    with RedisCluster(tmp_path_factory.mktemp("c")) as running:
        yield running


@pytest.fixture
def store(cluster: RedisCluster) -> Iterator[Redis]:
    """A store on it, empty, whose nodes have no scripts yet."""
    cluster.flush()
    for node in cluster.nodes:
        node.command("SCRIPT", "FLUSH")
    made = Redis(cluster.url, Limits(), timeout_seconds=20.0)
    yield made
    made.close()


def joined(store: Redis) -> Counter[str]:
    return Counter(one.outcome for one in store.take([label(name) for name in NAMES], T0))


def slots_of(cluster: RedisCluster) -> list[int]:
    """Of the partitions, in order."""
    return [cluster.nodes[0].command("CLUSTER KEYSLOT", f"{{mt:{number}}}") for number in range(PARTITIONS)]


def ends(cluster: RedisCluster, slot: int) -> tuple[RedisServer, RedisServer]:
    """The node that has the slot, and another."""
    source = cluster.owner(slot)
    return source, next(node for node in cluster.nodes if node is not source)


def test_all_nodes_keep_a_part(cluster: RedisCluster, store: Redis) -> None:
    """Everything that a store does, and nothing lost; each node has rows."""
    store.put(rows(*NAMES), T0)
    assert all(node.command("DBSIZE") > 0 for node in cluster.nodes)
    found = store.counts()
    assert found is not None and found.pending == len(NAMES)
    assert joined(store) == {"joined": 300}
    hour = int(T0 // HOUR)
    assert store.add_cells(hour, {"a": 1}, T0)
    assert store.claim(hour, "me", T0 + 60, T0) is not None
    assert store.settle(hour, "me", T0)
    store.learn({V1: "churn 1"})
    assert store.versions() == {V1: "churn 1"}
    store.expire(T0 + 1e9)
    assert store.cohorts() == []
    assert sum(store.lost.values()) == 0


def test_a_slot_that_moved_is_followed(cluster: RedisCluster, store: Redis) -> None:
    """The old node refuses the step, which was not done, and the new one does it."""
    store.put(rows(*NAMES), T0)
    cluster.flush()
    slot = slots_of(cluster)[3]
    source, target = ends(cluster, slot)
    cluster.move(slot, target)
    store.put(rows(*NAMES), T0)
    assert joined(store) == {"joined": 300}
    assert sum(store.lost.values()) == 0
    cluster.flush()
    cluster.move(slot, source)


def test_a_slot_on_its_way_is_refused(cluster: RedisCluster, store: Redis) -> None:
    """No node takes a step there: its rows are lost and counted; afterwards all is well."""
    store.put(rows(*NAMES), T0)
    cluster.flush()
    slot = slots_of(cluster)[5]
    source, target = ends(cluster, slot)
    cluster.migrating(slot, source, target)
    store.put(rows(*NAMES), T0)
    cluster.move(slot, source)
    found = store.counts()
    assert found is not None and 0 < store.lost["refused"] == len(NAMES) - found.pending
    cluster.flush()
    store.put(rows(*NAMES), T0)
    assert joined(store) == {"joined": 300}


def test_a_node_that_dies_takes_its_part_with_it(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others go on; what was its is lost, counted, and joins when it is back.

    Who has what is asked once for each try of it, for a round trip more in each call would be paid by all.
    """
    clock = Clock()
    looks: list[object] = []
    real = NodesManager.initialize

    def looked(self: NodesManager, *given: Any, **more: Any) -> None:
        looks.append(self)
        real(self, *given, **more)

    monkeypatch.setattr(NodesManager, "initialize", looked)
    with RedisCluster(tmp_path_factory.mktemp("c")) as cluster:
        store = Redis(cluster.url, Limits(), timeout_seconds=20.0, clock=clock)
        store.put(rows(*NAMES), T0)
        dead = cluster.nodes[2]
        dead.kill()
        own = sum(1 for slot in slots_of(cluster) if cluster.owner(slot) is dead)
        first = joined(store)
        assert first["joined"] + first["lost"] == len(NAMES)
        assert first["joined"] > 0 and first["lost"] > 0 and own > 0
        assert store.lost["unreachable"] == first["lost"]
        again = joined(store)
        assert again["lost"] == first["lost"] and store.lost["backoff"] == first["lost"]
        known = len(looks)
        for _ in range(5):
            joined(store)
        assert len(looks) == known
        dead.start()
        cluster.settled()
        clock.now += 11
        assert joined(store) == {"duplicate": first["joined"], "joined": first["lost"]}
        store.close()


def test_no_cluster_at_all(caplog: pytest.LogCaptureFixture) -> None:
    """Everything is lost at once, told once, and tried again later."""
    clock = Clock()
    store = Redis("redis+cluster://127.0.0.1:1", Limits(), clock=clock)
    with caplog.at_level(logging.WARNING):
        assert joined(store) == {"lost": 300}
        assert joined(store) == {"lost": 300}
    assert store.lost == {"unreachable": 300, "timeout": 0, "refused": 0, "backoff": 300}
    assert len([record for record in caplog.records if "the cluster cannot be used" in record.message]) == 1
    store.close()


def test_a_node_taken_for_a_server_says_what_was_expected(
    cluster: RedisCluster, caplog: pytest.LogCaptureFixture
) -> None:
    """It refuses what other nodes have; the warning names the scheme."""
    store = Redis(f"redis://127.0.0.1:{cluster.nodes[0].port}", Limits(), timeout_seconds=20.0)
    with caplog.at_level(logging.WARNING):
        store.put(rows(*NAMES), T0)
    assert store.lost["refused"] > 0
    assert "redis+cluster://" in caplog.text
    store.close()
