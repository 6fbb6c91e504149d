"""An open loop at a fixed rate on a few connections: what a peer costs when it is not driven to its limit.

Sends what is due every millisecond (epoll's resolution), so its latencies would be worth nothing and are not
taken. Every answer is checked. When the peer falls behind the rate, that is an error, not a slower figure.
"""

import select
import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass

from bench import traffic
from bench.errors import MeasureError
from bench.load.client import body_length, connection

TICK_SECONDS = 0.001
SHARE_OWED = 0.95


@dataclass(slots=True)
class Slot:
    """One connection; `data` is what came of the answer so far."""

    sock: socket.socket
    data: bytes = b""

    def complete(self) -> bool:
        """Read what is there; True when the answer is whole. Raises MeasureError when it is wrong."""
        more = self.sock.recv(65536)
        if not more:
            raise MeasureError(f"connection ended in an answer: {self.data[:60]!r}")
        self.data += more
        end = self.data.find(b"\r\n\r\n")
        if end < 0 or len(self.data) < end + 4 + body_length(self.data[: end + 4]):
            return False
        if self.data[end + 4 :] != traffic.ANSWER_BODY:
            raise MeasureError(f"body is not the upstream's: {self.data[end + 4 :][:80]!r}")
        self.data = b""
        return True


@dataclass(frozen=True, slots=True)
class Totals:
    """Answered requests and the time they took."""

    requests: int
    seconds: float


class Pacer:
    """Keeps to a schedule: request number n is due n / rate seconds after the start."""

    def __init__(self, slots: list[Slot], rate: float, requests: list[bytes]) -> None:
        self.rate = rate
        self.requests = requests
        self.slots = {slot.sock.fileno(): slot for slot in slots}
        self.free = list(slots)
        self.sent = 0
        self.answered = 0
        self.epoll = select.epoll()
        for number in self.slots:
            self.epoll.register(number, select.EPOLLIN)

    def run(self, seconds: float) -> Totals:
        """Send for `seconds`, then wait for the last answers (the connection's own limit of ten seconds)."""
        began = time.perf_counter()
        while (now := time.perf_counter() - began) < seconds:
            self._send(min(int(now * self.rate) - self.sent, len(self.free)))
            self._receive(TICK_SECONDS)
        limit = time.perf_counter() + 10.0
        while len(self.free) < len(self.slots):
            self._receive(TICK_SECONDS)
            if time.perf_counter() > limit:
                raise MeasureError(f"{len(self.slots) - len(self.free)} answers did not come in ten seconds")
        return Totals(self.answered, time.perf_counter() - began)

    def _send(self, count: int) -> None:
        for _ in range(count):
            self.free.pop().sock.sendall(self.requests[self.sent % len(self.requests)])
            self.sent += 1

    def _receive(self, wait_seconds: float) -> None:
        for number, _ in self.epoll.poll(wait_seconds):
            slot = self.slots[number]
            if slot.complete():
                self.free.append(slot)
                self.answered += 1


def run(port: int, connections: int, rate: float, seconds: float, features: int = traffic.FEATURES) -> Totals:
    """Load one port at `rate` requests a second, each of so many features.

    Raises MeasureError on a socket error, a wrong answer, or less than 95 % of the rate.
    """
    with ExitStack() as stack:
        slots = [Slot(stack.enter_context(connection(port))) for _ in range(connections)]
        pacer = Pacer(slots, rate, traffic.infer_requests(features=features))
        stack.callback(pacer.epoll.close)
        totals = pacer.run(seconds)
    if totals.requests < SHARE_OWED * rate * seconds:
        reached = totals.requests / totals.seconds
        raise MeasureError(f"{reached:,.0f} requests/s answered where {rate:,.0f} were asked for")
    return totals
