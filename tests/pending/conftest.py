"""A server for all tests of this folder, emptied before each; and every store."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporter.pending.contract import Limits, Store
from tests.environments.redis_server import redis_server
from tests.environments.single import single
from tests.pending.stores import STORES
from tests.receivers.redis import RedisServer

Make = Callable[[Limits], Store]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real server; tests that harm it start their own."""
    with RedisServer(tmp_path_factory.mktemp("r")) as running:
        yield running


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Valkey; the libraries that it needs are those of the other server."""
    redis_server()
    with RedisServer(tmp_path_factory.mktemp("v"), command=single("valkey")) as running:
        yield running


@pytest.fixture(params=[*sorted(STORES), "valkey"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Opens one of the stores; again for a second client of it, but in memory, where it is a new one."""
    kind, shared = ("redis", "valkey") if request.param == "valkey" else (request.param, "server")
    server: RedisServer = request.getfixturevalue(shared)
    server.command("FLUSHALL")
    opened: list[Store] = []

    def made(limits: Limits) -> Store:
        opened.append(STORES[kind](tmp_path, server.url, limits))
        return opened[-1]

    yield made
    for store in opened:
        store.close()


@pytest.fixture
def store(make: Make) -> Store:
    """One with the default bounds."""
    return make(Limits())
