"""The command line and the event loop that the benchmark's servers share."""

import argparse
import asyncio
import contextlib
from collections.abc import Callable, Coroutine

import uvloop

LOOPBACK = "127.0.0.1"


def ports(description: str, upstream: bool) -> argparse.Namespace:
    """`listen` and, where asked for, `upstream`: port numbers on 127.0.0.1."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--listen", type=int, required=True, metavar="PORT")
    if upstream:
        parser.add_argument("--upstream", type=int, required=True, metavar="PORT")
    return parser.parse_args()


def run(main: Coroutine[None, None, None]) -> None:
    """Run on uvloop until a signal ends the process."""
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(main)


async def serve(factory: Callable[[], asyncio.Protocol], port: int) -> None:
    """Serve a protocol on loopback for ever."""
    server = await asyncio.get_running_loop().create_server(factory, LOOPBACK, port, backlog=1024)
    await server.serve_forever()
