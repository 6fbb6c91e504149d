"""Giving a connected socket to the event loop without a task.

The loop's own calls for that are coroutines which wait once for the transport, and with TLS for the handshake. Taken
from wait to wait by hand they cost a quarter of what a task does, and can be ended where that is safe.
"""

import _socket
import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

# Which wait of the coroutine is that for the TLS handshake.
PLAIN, ACCEPTING, DIALLING = 0, 1, 2


class Stream(socket.socket):
    """A socket whose family and type are the plain integers: the loop asks, and enums cost 2 µs per connection."""

    __slots__ = ()
    family = _socket.socket.family  # type: ignore[assignment]
    type = _socket.socket.type  # type: ignore[assignment]


class Handover:
    """`start` once, then maybe `cancel`; `ended` is called once, within `start` only if the loop refuses the socket.

    `ended` gets None, or what it failed with: OSError (ssl.SSLError included), RuntimeError, CancelledError.
    """

    __slots__ = ("_at", "_cancelled", "_coroutine", "_ended", "_handshake", "_waiter")

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, Any],
        handshake: int,
        ended: Callable[[BaseException | None], None],
    ) -> None:
        """A coroutine of `connect_accepted_socket` (PLAIN or ACCEPTING) or of `create_connection` (DIALLING)."""
        self._coroutine = coroutine
        self._handshake = handshake
        self._ended = ended
        self._at = 0
        self._waiter: asyncio.Future[Any] | None = None
        self._cancelled = False

    def start(self) -> None:
        """Have the loop take the socket."""
        self._step(None)

    def cancel(self) -> None:
        """End a TLS handshake, now or once it begins. What is no handshake is over in the next turn of the loop.

        It is let be: half way through it would be unclear whose the descriptor is, and whether the protocol was told.
        Safe twice, and when it is over.
        """
        self._cancelled = True
        if self._waiter is not None and self._at == self._handshake:
            self._waiter.cancel()

    def _step(self, _waiter: object) -> None:
        self._waiter = None
        try:
            waiter = self._coroutine.send(None)
        except StopIteration:
            self._ended(None)
        except (OSError, RuntimeError, asyncio.CancelledError) as error:
            self._ended(error)
        else:
            self._at += 1
            self._waiter = waiter
            waiter.add_done_callback(self._step)
            if self._cancelled:
                self.cancel()
