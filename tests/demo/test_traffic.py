"""The traffic: phases that scale, rows in their order, every request with one outcome."""

import asyncio
import itertools
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from exporter.demo import data, traffic
from exporter.demo.model import Model
from exporter.demo.server import FAULTS_PATH, ModelServer
from exporter.demo.traffic import PHASES, Replay, Tally, Traffic, schedule


def test_phases_fill_the_duration_once() -> None:
    """With a duration each phase comes once, in order, and together they take all of it."""
    parts = list(schedule(60.0))
    assert [phase.name for phase, _ in parts] == ["healthy", "drifting", "slow", "failing"]
    assert sum(seconds for _, seconds in parts) == pytest.approx(60.0)


def test_phases_go_on_without_a_duration() -> None:
    """Without one, the phases begin again after the last."""
    names = [phase.name for phase, _ in itertools.islice(schedule(None), 6)]
    assert names[4:] == ["healthy", "drifting"]


def test_only_the_first_phase_replays_training_rows() -> None:
    """Drift is in the rows that are replayed; the model is sound until it is slow."""
    assert [phase.later for phase in PHASES] == [False, True, True, True]
    assert [phase.faults == traffic.NO_FAULTS for phase in PHASES] == [True, True, False, False]


def test_rows_are_replayed_in_order_and_begin_again(folder: Path) -> None:
    """Every row comes once, in the order of time, before the first comes again."""
    later = data.load(folder).later
    replay = Replay(later)
    taken = [replay.take(700) for _ in range(3)]
    rows = [row for part in taken for row in part.features.tolist()]
    assert rows == later.features.tolist() + later.features[:600].tolist()


def test_every_request_has_one_outcome(fitted: Model, folder: Path) -> None:
    """Of a server that fails and resets at times, each request is counted once, by how it ended."""

    async def scenario() -> Tally:
        runner = web.AppRunner(ModelServer(fitted).application(), access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            periods = data.load(folder)
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            driver, tally = Traffic(url, periods.training, periods.later), Tally()
            async with aiohttp.ClientSession(url) as client:
                faults = {"error_ratio": 0.3, "reset_ratio": 0.3}
                async with client.put(FAULTS_PATH, json=faults) as response:
                    assert response.status == 200
            await driver.run(PHASES[1], 1.0, tally)
            assert driver.month == "2021-01"
            return tally
        finally:
            await runner.cleanup()

    tally = asyncio.run(scenario())
    assert tally.sent == sum(tally.outcomes.values()) > 0
    assert set(tally.outcomes) == {"ok", "5xx", "reset"}
    assert len(tally.probabilities) == len(tally.labels) == len(tally.months) > 0


def test_a_server_that_is_gone_is_counted_as_refused(folder: Path) -> None:
    """Requests to a port where nobody listens end as refused, and `stop` ends the phase early."""

    async def scenario() -> Tally:
        periods, tally = data.load(folder), Tally()
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        driver = Traffic(f"http://127.0.0.1:{port}", periods.training, periods.later)
        asyncio.get_running_loop().call_later(0.3, driver.stop)
        async with asyncio.timeout(30):
            await driver.run(PHASES[0], 3600.0, tally)
        return tally

    tally = asyncio.run(scenario())
    assert tally.sent == tally.outcomes["refused"] > 0
