"""A stand-in for the `modeltap` command, so that the demo's order and lifetimes are tested by themselves.

`profile` writes a file; `run` is a small reverse proxy that counts what it relays and answers `/readyz` and
`/metrics`. With MODELTAP_STANDIN=profile or run it fails in that command; with `late`, after it was ready.
"""

import argparse
import asyncio
import os
import socket
import struct
import sys
from pathlib import Path

import aiohttp
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest


class Relay:
    """Forwards to `upstream`, counting requests and errors as the sidecar names them."""

    def __init__(self, upstream: str, client: aiohttp.ClientSession) -> None:
        self.upstream = upstream
        self.client = client
        self.registry = CollectorRegistry()
        self.durations = Histogram(
            "model_request_duration_seconds", "Duration.", ["operation"], registry=self.registry
        )
        self.errors = Counter(
            "model_request_errors", "Errors.", ["operation", "error_type"], registry=self.registry
        )

    async def relay(self, request: web.Request) -> web.Response:
        """One exchange; an upstream that resets makes this side reset too."""
        with self.durations.labels("predict").time():
            try:
                async with self.client.post(
                    self.upstream + request.path, data=await request.read()
                ) as answer:
                    body, status = await answer.read(), answer.status
            except aiohttp.ClientError:
                self.errors.labels("predict", "reset").inc()
                assert request.transport is not None
                sock = request.transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                request.transport.abort()
                return web.Response()
        if status >= 500:
            self.errors.labels("predict", "5xx").inc()
        return web.Response(body=body, status=status, content_type="application/json")

    async def metrics(self, _: web.Request) -> web.Response:
        """The counts."""
        return web.Response(body=generate_latest(self.registry), content_type="text/plain")


async def ready(_: web.Request) -> web.Response:
    """Answer the probe."""
    return web.Response()


async def run(args: argparse.Namespace) -> None:
    """Serve on the three addresses."""
    async with aiohttp.ClientSession() as client:
        relay = Relay(args.upstream, client)
        routes = (
            (args.admin, web.get("/metrics", relay.metrics)),
            (args.listen, web.post("/{path:.*}", relay.relay)),
            (args.health, web.get("/readyz", ready)),
        )
        for address, route in routes:
            app = web.Application()
            app.add_routes([route])
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", int(address.rpartition(":")[2])).start()
        if os.environ.get("MODELTAP_STANDIN") == "late":
            await asyncio.sleep(0.5)
            print("the stand-in ends of itself", file=sys.stderr, flush=True)
            os._exit(1)  # at once: requests under way would have last words of their own
        await asyncio.Event().wait()


def main() -> None:
    """Read the command line as modeltap does."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    profile, sidecar = commands.add_parser("profile"), commands.add_parser("run")
    for flag in ("--data", "--out"):
        profile.add_argument(flag, type=Path, required=True)
    for flag in ("--model", "--features"):
        profile.add_argument(flag, required=True)
    profile.add_argument("--prediction", action="append", required=True)
    for flag in ("--test-rows", "--score", "--target"):
        profile.add_argument(flag, required=True)
    for flag in ("--upstream", "--listen", "--admin", "--health", "--reference", "--max-concurrency"):
        sidecar.add_argument(flag, required=True)
    args = parser.parse_args()
    if os.environ.get("MODELTAP_STANDIN") == args.command:
        sys.exit(f"the stand-in refuses to {args.command}")
    if args.command == "profile":
        args.out.write_text(args.data.read_text().splitlines()[0])
    else:
        asyncio.run(run(args))


if __name__ == "__main__":
    main()
