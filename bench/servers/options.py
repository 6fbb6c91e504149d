"""The command line and the event loop that the benchmark's servers share."""

import argparse
import asyncio
import contextlib
import ssl
from collections.abc import Callable, Coroutine

import uvloop

LOOPBACK = "127.0.0.1"


def ports(description: str, upstream: bool) -> argparse.Namespace:
    """`listen` and, where asked for, `upstream`: port numbers on 127.0.0.1; `tls`: a PEM file or ""."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--listen", type=int, required=True, metavar="PORT")
    if upstream:
        parser.add_argument("--upstream", type=int, required=True, metavar="PORT")
        parser.add_argument("--tls", default="", metavar="PEM", help="certificate and key; speak TLS")
    return parser.parse_args()


def run(main: Coroutine[None, None, None]) -> None:
    """Run on uvloop until a signal ends the process."""
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(main)


async def serve(factory: Callable[[], asyncio.Protocol], port: int, tls: str = "") -> None:
    """Serve a protocol on loopback for ever, over TLS if there is a certificate for it."""
    context = None
    if tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(tls)
    server = await asyncio.get_running_loop().create_server(
        factory, LOOPBACK, port, backlog=1024, ssl=context
    )
    await server.serve_forever()
