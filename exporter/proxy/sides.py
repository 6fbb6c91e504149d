"""The two ends of a connection pair as the event loop sees them: callbacks that only pass on to the pair.

They derive from nothing: a compiled class cannot have a base that is not, and the loop asks for none.
"""

import asyncio
from time import monotonic_ns
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from exporter.proxy.pair import Pair


def client_side(pair: "Pair") -> asyncio.Protocol:
    """The protocol for the client's transport."""
    return cast(asyncio.Protocol, ClientSide(pair))


def upstream_side(pair: "Pair") -> asyncio.Protocol:
    """The protocol for the model's transport."""
    return cast(asyncio.Protocol, UpstreamSide(pair))


class ClientSide:
    """Callbacks of the client's socket."""

    __slots__ = ("pair",)

    def __init__(self, pair: "Pair") -> None:
        self.pair = pair

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accepted."""
        self.pair.accepted(transport)  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        self.pair.client_data(data)

    def eof_received(self) -> bool:
        """The client sends no more; it may still read, but not over TLS: there the loop would complain of True."""
        self.pair.client_eof()
        client = self.pair.client
        return client is not None and client.can_write_eof()

    def pause_writing(self) -> None:
        """The client does not read."""
        self.pair.client_full(monotonic_ns())

    def resume_writing(self) -> None:
        """The client reads again."""
        self.pair.client_drained(monotonic_ns())

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone."""
        self.pair.client_lost(exc)


class UpstreamSide:
    """Callbacks of the model's socket."""

    __slots__ = ("pair",)

    def __init__(self, pair: "Pair") -> None:
        self.pair = pair

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self.pair.connected(transport)  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        """Bytes from the model."""
        self.pair.upstream_data(data)

    def eof_received(self) -> bool:
        """The model sends no more."""
        self.pair.upstream_eof()
        upstream = self.pair.upstream
        return upstream is not None and upstream.can_write_eof()

    def pause_writing(self) -> None:
        """The model does not read."""
        self.pair.upstream_full(True)

    def resume_writing(self) -> None:
        """The model reads again."""
        self.pair.upstream_full(False)

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone."""
        self.pair.upstream_lost(exc)
