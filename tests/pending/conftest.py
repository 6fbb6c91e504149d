"""A server for all tests of this folder, emptied before each; and every store."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporter.pending.contract import Limits, Store
from tests.pending.stores import STORES
from tests.receivers.redis import RedisServer

Make = Callable[[Limits], Store]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real server; tests that harm it start their own."""
    with RedisServer(tmp_path_factory.mktemp("r")) as running:
        yield running


@pytest.fixture(params=sorted(STORES))
def make(request: pytest.FixtureRequest, server: RedisServer, tmp_path: Path) -> Iterator[Make]:
    """Opens one of the stores; again for a second client of it, but in memory, where it is a new one."""
    server.command("FLUSHALL")
    opened: list[Store] = []

    def made(limits: Limits) -> Store:
        opened.append(STORES[request.param](tmp_path, server.url, limits))
        return opened[-1]

    yield made
    for store in opened:
        store.close()


@pytest.fixture
def store(make: Make) -> Store:
    """One with the default bounds."""
    return make(Limits())
