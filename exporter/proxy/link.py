"""The data plane's end of the channel to the analysis: batches out, acknowledgements and news in."""

import asyncio
import socket
from typing import cast

from exporter.proxy.plane import Plane
from exporter.records.messages import Ack, Learned, Sampling, decode_control
from exporter.records.queue import Frames


class Link(asyncio.Protocol):
    """One per connection to an analysis; a new analysis is a new link."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._frames = Frames()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The sender's own bound is the one that counts, so the transport may buffer."""
        self._transport = cast(
            asyncio.WriteTransport, transport
        )  # uvloop's transports derive from none of asyncio's
        self._plane.sender.connect(self._transport.write)

    def data_received(self, data: bytes) -> None:
        """Control messages."""
        for payload in self._frames.feed(data):
            message = decode_control(payload)
            if isinstance(message, Ack):
                self._plane.sender.acknowledge(message.number)
            elif isinstance(message, Sampling):
                self._plane.sender.limit(message.rate)
            elif isinstance(message, Learned):
                self._plane.labels.learn(message.versions)

    def connection_lost(self, exc: Exception | None) -> None:
        """The analysis is gone, unless a newer link took over already."""
        if self._plane.link is self:
            self._plane.sender.disconnect()
            self._plane.link = None

    def close(self) -> None:
        """Drop this link for a newer one."""
        if self._transport is not None:
            self._transport.abort()


async def attach(plane: Plane, sock: socket.socket) -> None:
    """Use `sock` as the channel from now on."""
    before, link = plane.link, Link(plane)
    plane.link = link
    if before is not None:
        before.close()
        plane.sender.disconnect()
    await plane.loop.create_connection(lambda: link, sock=sock)
