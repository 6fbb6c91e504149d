"""The model server on real sockets: both protocols, metadata, refusals, and faults on demand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web

from exporter.demo import traffic
from exporter.demo.model import Model
from exporter.demo.server import FAULTS_PATH, Faults, ModelServer

ROWS = [[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8], [2.0] * 8]


@asynccontextmanager
async def served(fitted: Model) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the server, both on sockets of this process."""
    runner = web.AppRunner(ModelServer(fitted).application(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as client:
            yield client
    finally:
        await runner.cleanup()


async def answer(
    client: aiohttp.ClientSession, path: str, body: dict[str, Any] | None = None
) -> tuple[int, Any]:
    """Status and JSON of a POST, or of a GET without a body."""
    async with client.request("GET" if body is None else "POST", path, json=body) as response:
        return response.status, await response.json()


def test_every_form_gets_the_same_prediction(fitted: Model) -> None:
    """The same rows get the same probabilities in every form of both protocols."""

    async def scenario() -> None:
        async with served(fitted) as client:
            expected = fitted.predict(np.array(ROWS))[0].tolist()
            for form in traffic.FORMS:
                status, body = await answer(client, form.path, form.write(ROWS, "a"))
                assert (status, form.read(body)) == (200, expected)

    asyncio.run(scenario())


def test_metadata_and_health_are_answered(fitted: Model) -> None:
    """The addresses of both protocols beside inference answer as the protocols say."""

    async def scenario() -> None:
        async with served(fitted) as client:
            assert await answer(client, "/v2/health/live") == (200, {"live": True})
            assert await answer(client, "/v2/health/ready") == (200, {"ready": True})
            assert await answer(client, "/v2/models/housing/ready") == (
                200,
                {"name": "housing", "ready": True},
            )
            assert await answer(client, "/v1/models/housing") == (200, {"name": "housing", "ready": True})
            assert (await answer(client, "/v2"))[1]["name"] == "modeltap-demo"
            status, body = await answer(client, "/v2/models/housing")
            assert (status, body["versions"], len(body["inputs"])) == (200, ["1"], 8)

    asyncio.run(scenario())


def test_what_is_unknown_or_wrong_is_refused_with_an_error_object(fitted: Model) -> None:
    """An unknown model or version is a 404, a bad body a 400; both carry {"error": text}."""

    async def scenario() -> None:
        async with served(fitted) as client:
            for path in (
                "/v2/models/other/infer",
                "/v2/models/housing/versions/9/infer",
                "/v1/models/other:predict",
            ):
                status, body = await answer(client, path, {})
                assert (status, list(body)) == (404, ["error"])
            assert (await answer(client, "/v1/models/housing:predict", {}))[0] == 400

    asyncio.run(scenario())


def test_faults_fail_and_reset_until_they_are_taken_back(fitted: Model) -> None:
    """With faults on, every prediction fails as asked; with them off again the model answers."""

    async def scenario() -> None:
        form = traffic.FORMS[0]
        async with served(fitted) as client:
            async with client.put(FAULTS_PATH, json={"error_ratio": 1.0}) as response:
                assert response.status == 200
            assert (await answer(client, form.path, form.write(ROWS, "")))[0] == 500
            async with client.put(FAULTS_PATH, json={"reset_ratio": 1.0}) as response:
                assert response.status == 200
            with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
                await answer(client, form.path, form.write(ROWS, ""))
            async with client.put(FAULTS_PATH, json={}) as response:
                assert response.status == 200
            assert (await answer(client, form.path, form.write(ROWS, "")))[0] == 200
            async with client.put(FAULTS_PATH, json={"error_ratio": 2}) as response:
                assert response.status == 400

    asyncio.run(scenario())


@pytest.mark.parametrize("wrong", [{"delay_seconds": -1}, {"error_ratio": 0.6, "reset_ratio": 0.6}])
def test_impossible_faults_are_refused(wrong: dict[str, float]) -> None:
    """Faults out of range raise ValueError."""
    with pytest.raises(ValueError, match="expected"):
        Faults(**wrong)
