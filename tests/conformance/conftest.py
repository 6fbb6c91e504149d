"""Coroutine tests run on uvloop, as the data plane does; generated conversations are the same in every run."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from tests.proxy.lab import Lab


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that the data plane runs on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    """A worker between a scripted model and raw clients."""
    async with Lab() as made:
        yield made
