"""The demo's model server: `python -m exporter.demo.server --model FILE --port N`, a process of its own.

It serves one model over HTTP/1.1 keep-alive in Open Inference Protocol V2 and KServe V1, and knows nothing of
the sidecar. `PUT /demo/faults` (an address that the demo calls directly, past the sidecar) makes it slow or
makes it fail. Invariant: at most SLOTS predictions are in hand; whoever comes later waits.
"""

import argparse
import asyncio
import json
import random
import socket
import struct
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from exporter import __version__
from exporter.demo import protocols
from exporter.demo.model import Model, load

SLOTS = 4
FAULTS_PATH = "/demo/faults"


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong from now on: seconds added to each prediction, and the shares (0..1) that fail."""

    delay_seconds: float = 0.0
    error_ratio: float = 0.0
    reset_ratio: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.delay_seconds <= 60:
            raise ValueError(f"delay_seconds: expected 0..60, found {self.delay_seconds}")
        if min(self.error_ratio, self.reset_ratio) < 0 or self.error_ratio + self.reset_ratio > 1:
            raise ValueError("error_ratio and reset_ratio: expected shares whose sum is at most 1")


class ModelServer:
    """The handlers around one model. `seed` decides which requests fail while faults are on."""

    def __init__(self, model: Model, seed: int = 0) -> None:
        # per process
        self.model = model
        self.slots = asyncio.Semaphore(SLOTS)
        self.pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="predict")
        self.random = random.Random(seed)
        self.faults = Faults()

    def application(self) -> web.Application:
        """The routes of both protocols, and the one that sets the faults."""
        app = web.Application(middlewares=[_errors_as_json])
        app.router.add_get("/v2", self.server_metadata)
        for path in ("/v2/health/live", "/v2/health/ready"):
            app.router.add_get(path, self.health)
        for path in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
            app.router.add_get(path, self.model_metadata)
            app.router.add_get(f"{path}/ready", self.model_ready)
            app.router.add_post(f"{path}/infer", self.infer)
        app.router.add_get("/v1/models", self.list_models)
        app.router.add_get("/v1/models/{model}", self.model_ready)
        app.router.add_post("/v1/models/{model}:predict", self.predict)
        app.router.add_put(FAULTS_PATH, self.set_faults)
        app.on_cleanup.append(self._close)
        return app

    async def server_metadata(self, _: web.Request) -> web.Response:
        return web.json_response({"name": "modeltap-demo", "version": __version__, "extensions": []})

    async def health(self, request: web.Request) -> web.Response:
        return web.json_response({request.path.rsplit("/", 1)[1]: True})

    async def list_models(self, _: web.Request) -> web.Response:
        return web.json_response({"models": [self.model.name]})

    async def model_metadata(self, request: web.Request) -> web.Response:
        self._require(request)
        return web.json_response(
            protocols.metadata_v2(self.model.name, self.model.version, self.model.features)
        )

    async def model_ready(self, request: web.Request) -> web.Response:
        self._require(request)
        return web.json_response({"name": self.model.name, "ready": True})

    async def infer(self, request: web.Request) -> web.StreamResponse:
        self._require(request)
        parsed = protocols.read_v2(await request.read(), self.model.features)
        outputs = await self._outputs(request, parsed.rows)
        return web.json_response(protocols.answer_v2(parsed, self.model.name, self.model.version, outputs))

    async def predict(self, request: web.Request) -> web.StreamResponse:
        self._require(request)
        rows = protocols.read_v1(await request.read(), self.model.features)
        return web.json_response(protocols.answer_v1(await self._outputs(request, rows)))

    async def set_faults(self, request: web.Request) -> web.Response:
        try:
            self.faults = Faults(**json.loads(await request.read()))
        except (TypeError, ValueError) as error:
            raise protocols.BadRequest(f"faults: {error}") from error
        return web.json_response({})

    async def _outputs(self, request: web.Request, rows: Any) -> Any:
        async with self.slots:
            faults = self.faults
            if faults.delay_seconds:
                await asyncio.sleep(faults.delay_seconds)
            draw = self.random.random()
            if draw < faults.reset_ratio:
                _reset(request)
            if draw < faults.reset_ratio + faults.error_ratio:
                raise RuntimeError("the demo's model fails on purpose")
            return await asyncio.get_running_loop().run_in_executor(self.pool, self.model.predict, rows)

    def _require(self, request: web.Request) -> None:
        name, version = request.match_info["model"], request.match_info.get("version", self.model.version)
        if (name, version) != (self.model.name, self.model.version):
            raise web.HTTPNotFound(reason=f"no model {name} version {version}"[:200])

    async def _close(self, _: web.Application) -> None:
        self.pool.shutdown(wait=False)


def _reset(request: web.Request) -> None:
    """End the connection with RST, as a server does that dies with unread input."""
    transport = request.transport
    if transport is not None:
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


@web.middleware
async def _errors_as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Both protocols answer an error with {"error": text}."""
    try:
        return await handler(request)
    except protocols.BadRequest as error:
        return web.json_response({"error": str(error)}, status=400)
    except web.HTTPException as error:
        return web.json_response({"error": error.reason}, status=error.status)
    except RuntimeError as error:
        return web.json_response({"error": f"RuntimeError : {error}"}, status=500)


async def serve(model: Model, port: int) -> None:
    """Serve on 127.0.0.1 until cancelled; prints the address once it accepts. Port 0 takes a free one."""
    runner = web.AppRunner(ModelServer(model).application(), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        host, bound = runner.addresses[0][:2]
        print(f"listening http://{host}:{bound}", flush=True)
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def main() -> None:
    """Read the arguments and serve; SIGINT and SIGTERM end the process."""
    parser = argparse.ArgumentParser(
        prog="python -m exporter.demo.server", description="The demo's model server."
    )
    parser.add_argument("--model", type=Path, required=True, help="file written by the demo")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    args = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(load(args.model), args.port))


if __name__ == "__main__":
    main()
