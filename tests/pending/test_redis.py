"""The Redis store on a real server that is killed, frozen, full, restarted, or a cluster."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from exporter.pending.contract import Limits
from exporter.pending.redis import PARTITIONS, Redis
from tests.environments.single import single
from tests.pending.stores import T0, V1, label, rows
from tests.receivers.redis import RedisServer

NAMES = tuple(f"id {number}" for number in range(300))


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server that may be harmed."""
    with RedisServer(tmp_path_factory.mktemp("r")) as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


def joined(store: Redis, names: tuple[str, ...] = NAMES) -> Counter[str]:
    return Counter(one.outcome for one in store.take([label(name) for name in names], T0))


def test_a_server_that_is_killed_and_comes_back(own: RedisServer, clock: Clock) -> None:
    """Meanwhile everything is lost, counted, and fails at once; what was kept before joins afterwards."""
    store = Redis(own.url, Limits(), timeout_seconds=20.0, clock=clock)
    store.put(rows(*NAMES), T0)
    own.kill()
    assert store.put(rows("b"), T0) == []
    assert store.lost["unreachable"] == 1
    assert joined(store) == {"lost": 300}
    assert store.lost["backoff"] == 300
    assert store.counts() is None and store.versions() == {} and store.cohorts() == []
    assert not store.add_cells(1, {"a": 1}, 3600) and store.claim(1, "me", T0, T0) is None
    assert not store.settle(1, "me", T0)
    store.expire(T0)
    store.learn({V1: "churn 1"})
    own.start()
    assert joined(store, ("b",)) == {"lost": 1}, "it waits before it tries again"
    clock.now += 11
    assert joined(store) == {"joined": 300}
    assert joined(store, ("b",)) == {"parked": 1}
    found = store.counts()
    assert found is not None and found.balanced and found.joined == 300
    store.close()


def test_pauses_grow_to_their_bound(clock: Clock, tmp_path: Path) -> None:
    """A server that is down is tried again after 0.1 s, then after twice as long each time, at most after ten."""
    store = Redis(f"unix://{tmp_path}/none.sock", Limits(), clock=clock)
    for pause in (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10):
        tried = store.lost["unreachable"]
        store.put(rows("a"), T0)
        clock.now += pause * 0.99
        store.put(rows("a"), T0)
        assert store.lost["unreachable"] == tried + 1, pause
        clock.now += pause * 0.02
    assert store.lost["backoff"] == 9
    store.close()


def test_a_server_that_hangs(own: RedisServer, clock: Clock) -> None:
    """A call ends after the time-out; what it was about is counted."""
    store = Redis(own.url, Limits(), timeout_seconds=0.2, clock=clock)
    own.freeze()
    assert joined(store) == {"lost": 300}
    assert store.lost["timeout"] == 300
    own.thaw()
    store.close()


def test_a_server_that_forgot_its_scripts(server: RedisServer) -> None:
    """They are sent again, and nothing is lost or done twice."""
    server.command("FLUSHALL")
    store = Redis(server.url, Limits(), timeout_seconds=20.0)
    store.put(rows(*NAMES), T0)
    server.command("SCRIPT FLUSH")
    assert joined(store) == {"joined": 300}
    assert sum(store.lost.values()) == 0
    store.close()


def test_a_server_that_is_full(own: RedisServer) -> None:
    """What it refuses is counted; what it has is still taken once there is room."""
    store = Redis(own.url, Limits(), timeout_seconds=20.0)
    store.put(rows("a"), T0)
    own.command("CONFIG SET", "maxmemory", "1kb")
    assert store.put(rows("b", "c"), T0) == []
    assert store.lost["refused"] == 2
    own.command("CONFIG SET", "maxmemory", "0")
    assert joined(store, ("a", "b")) == {"joined": 1, "parked": 1}
    store.close()


def test_a_server_that_refuses_the_password(own: RedisServer) -> None:
    """It counts as one that cannot be reached; its answer is told, the password is not."""
    own.command("CONFIG SET", "requirepass", "right")
    store = Redis(own.url.replace("unix://", "unix://:wrong@"), Limits(), timeout_seconds=20.0)
    assert joined(store, ("a",)) == {"lost": 1}
    assert sum(store.lost.values()) == 1
    store.close()


@pytest.mark.parametrize("called", ["", "valkey"])
def test_a_cluster_takes_every_step(called: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No step has keys of two slots: a cluster would refuse it."""
    command = single(called) if called else None
    with RedisServer(tmp_path_factory.mktemp("r"), range(16384), command) as cluster:
        store = Redis(cluster.url, Limits(), timeout_seconds=20.0)
        store.put(rows(*NAMES), T0)
        assert joined(store) == {"joined": 300}
        assert joined(store, ("early",)) == {"parked": 1}
        assert store.add_cells(int(T0 // 3600), {"a": 1}, T0)
        assert store.claim(int(T0 // 3600), "me", T0 + 60, T0) is not None
        assert store.settle(int(T0 // 3600), "me", T0)
        store.learn({V1: "churn 1"})
        store.expire(T0 + 1e9)
        assert store.cohorts() == [] and store.versions() == {V1: "churn 1"}
        assert sum(store.lost.values()) == 0
        slots = {cluster.command("CLUSTER KEYSLOT", f"{{mt:{number}}}") for number in range(PARTITIONS)}
        assert len(slots) == PARTITIONS, "partitions are spread"
        store.close()


def test_keys_leave_by_the_servers_own_clock(server: RedisServer) -> None:
    """Each has a time to live, so that a store nobody uses any more empties itself."""
    server.command("FLUSHALL")
    store = Redis(server.url, Limits(age_seconds=6400, park_seconds=50), timeout_seconds=20.0)
    store.put(rows("a", "b"), T0)
    joined(store, ("a", "early"))
    lives = sorted(server.command("PTTL", name) for name in _keys(server) if len(name) > 18)
    assert len(lives) == 3
    assert 0 < lives[0] <= 50_000
    assert all(6_380_000 < life <= 6_500_000 for life in lives[1:])
    store.close()


def _keys(server: RedisServer) -> list[bytes]:
    client = redis.Redis.from_url(server.url)
    try:
        return [bytes(name) for name in client.scan_iter(count=1000)]
    finally:
        client.close()


def test_a_row_takes_as_much_as_is_counted(server: RedisServer) -> None:
    """What the server says it uses is within the estimate, and no more than 200 bytes a row."""
    server.command("FLUSHALL")
    store = Redis(server.url, Limits(), timeout_seconds=20.0)
    before = server.command("INFO", "memory")["used_memory_dataset"]
    count = 50_000
    for at in range(0, count, 1000):
        store.put(rows(*(f"id {number}" for number in range(at, at + 1000))), T0)
    used = (server.command("INFO", "memory")["used_memory_dataset"] - before) / count
    found = store.counts()
    assert found is not None and found.pending == count
    assert used <= 200
    assert found.held_bytes / count >= 0.8 * used
    store.close()


def test_the_other_server_is_a_valkey(valkey: RedisServer) -> None:
    """So that the contract is held to it, and not to the same server twice."""
    assert valkey.command("INFO", "server")["server_name"] == "valkey"


def test_namespaces_are_apart(server: RedisServer) -> None:
    """Two models on one server do not see each other's rows."""
    server.command("FLUSHALL")
    one, two = (Redis(server.url, Limits(), name, timeout_seconds=20.0) for name in ("one", "two"))
    one.put(rows("a"), T0)
    assert joined(two, ("a",)) == {"parked": 1}
    assert joined(one, ("a",)) == {"joined": 1}
    one.close()
    two.close()
