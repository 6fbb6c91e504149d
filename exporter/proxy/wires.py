"""What a tap asks of its connection pair, and nothing of sockets: a tap can be driven without any."""

from typing import Protocol

from exporter.proxy.refusals import Refusal


class Wires(Protocol):
    """What a tap asks of its connection pair."""

    peer: str

    def forward(self, data: bytes) -> None:
        """Send to the model."""

    def answer(self, data: bytes) -> None:
        """Send to the client."""

    def opaque(self, protocol: str) -> None:
        """From now on relay without following."""

    def refuse(self, refusal: Refusal, bodiless: bool = False) -> None:
        """Answer locally in place of the model, then close with a linger."""

    def abort(self) -> None:
        """Reset both sides."""

    def hold(self, held: bool) -> None:
        """True: so much waits behind a held head that the client should not be read. False: nothing waits any more."""

    def gone(self) -> bool:
        """Whether the client reset the connection while it was not read."""

    def head_begins(self, now: int) -> None:
        """The beginning of a head is held: it should become whole in time."""

    def keep_slot(self) -> None:
        """What was admitted goes on as a tunnel: its slot is free when the connection ends."""
