"""An open loop whose latencies count: requests leave when they are due, whoever is still waiting.

A request that finds all connections taken waits in line, and its time runs from when it was due: a peer that
stalls is charged for all whom it kept waiting. The generator's own lateness is not charged. Every answer is
checked.
"""

import ctypes
import gc
import select
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from time import perf_counter_ns

from bench import traffic
from bench.errors import MeasureError
from bench.load.client import connection
from bench.load.paced import Slot

# prctl(2): by how much the kernel may delay a timer of this thread; 50 us unless told.
PR_SET_TIMERSLACK = 29
# In line at once, in seconds of the rate; beyond, the peer does not keep up and a latency would mean nothing.
LINE_SECONDS = 1.0
LAST_SECONDS = 10.0


@dataclass(slots=True)
class Caller:
    """One connection and since when the request on it is waited for, in nanoseconds."""

    slot: Slot
    began: int = 0


@dataclass(frozen=True, slots=True)
class Taken:
    """Nanoseconds of every answered request, and the time that all of them took."""

    nanoseconds: list[int]
    seconds: float

    @property
    def requests(self) -> int:
        return len(self.nanoseconds)


class Loop:
    """`total` requests at `rate` per second; number n is due n / rate seconds after the start."""

    def __init__(self, callers: list[Caller], rate: float, total: int) -> None:
        self.interval = 1e9 / rate
        self.total = total
        self.requests = traffic.infer_requests()
        self.callers = {caller.slot.sock.fileno(): caller for caller in callers}
        self.free = list(callers)
        self.line: deque[int] = deque()
        self.longest = int(rate * LINE_SECONDS)
        self.issued = self.sent = 0
        self.taken: list[int] = []
        self.epoll = select.epoll()
        for number in self.callers:
            self.epoll.register(number, select.EPOLLIN)

    def run(self) -> Taken:
        began = perf_counter_ns()
        limit = began + int(self.total * self.interval + LAST_SECONDS * 1e9)
        while len(self.taken) < self.total:
            now = perf_counter_ns()
            self._issue(min(self.total, int((now - began) / self.interval) + 1))
            due = began + int(self.issued * self.interval)
            wait = max(0, due - perf_counter_ns()) / 1e9 if self.issued < self.total else 0.1
            # select, for epoll of this Python waits in whole milliseconds.
            select.select([self.epoll], [], [], wait)
            self._receive()
            if now > limit:
                raise MeasureError(f"{self.total - len(self.taken)} answers did not come in ten seconds")
        return Taken(self.taken, (perf_counter_ns() - began) / 1e9)

    def _issue(self, due: int) -> None:
        while self.issued < due:
            self.issued += 1
            self.line.append(0 if self.free else perf_counter_ns())
            self._send()
        if len(self.line) > self.longest:
            raise MeasureError(f"the peer does not keep up: {len(self.line)} requests wait for a connection")

    def _send(self) -> None:
        """The first in line goes, if a connection is free."""
        while self.line and self.free:
            caller = self.free.pop()
            caller.began = self.line.popleft() or perf_counter_ns()
            caller.slot.sock.sendall(self.requests[self.sent % len(self.requests)])
            self.sent += 1

    def _receive(self) -> None:
        for number, _ in self.epoll.poll(0):
            caller = self.callers[number]
            if caller.slot.complete():
                self.taken.append(perf_counter_ns() - caller.began)
                self.free.append(caller)
                self._send()


@contextmanager
def exact() -> Iterator[None]:
    """Timers as exact as the kernel has them, and no garbage collection, inside the block."""
    ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 0, 0, 0, 0)


def run(port: int, connections: int, rate: float, seconds: float) -> Taken:
    """Load one port. Raises MeasureError on a socket error, a wrong answer, or a peer that does not keep up."""
    with ExitStack() as stack:
        callers = [Caller(Slot(stack.enter_context(connection(port)))) for _ in range(connections)]
        loop = Loop(callers, rate, max(1, int(rate * seconds)))
        stack.callback(loop.epoll.close)
        with exact():
            return loop.run()
