"""What a load costs a peer: CPU by role from before the load until the peer is at rest again.

Waiting for rest matters: the sidecar's analysis works behind the traffic at the lowest priority, and what it
still owes when the load ends belongs to that load.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from bench.errors import MeasureError
from bench.peer import Account, Target

Result = TypeVar("Result")

REST_INTERVAL_SECONDS = 0.1
# At rest: less than 3 % of a core in an interval; what a peer does without traffic has to stay below that.
REST_SHARE = 0.03
REST_LIMIT_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Charge(Generic[Result]):
    """The load's own result, the CPU seconds by role (total under ""), and what the peer's books gained.

    `books` is None for a peer that keeps none. `at_rest` is False when the peer was still working after three
    seconds: its CPU is then not complete.
    """

    result: Result
    cpu: dict[str, float]
    books: Account | None
    at_rest: bool


def settle(target: Target) -> bool:
    """Wait until the process tree is nearly idle, three seconds at most; whether it came to rest."""
    limit = time.perf_counter() + REST_LIMIT_SECONDS
    previous = target.cpu()
    while previous and time.perf_counter() < limit:
        began = time.perf_counter()
        time.sleep(REST_INTERVAL_SECONDS)
        current = target.cpu()
        used = target.spent(previous, current)[""]
        if used < REST_SHARE * (time.perf_counter() - began):
            return True
        previous = current
    return not previous


def _books(target: Target) -> Account | None:
    return target.peer.account(target.site) if target.peer.account is not None else None


def charge(target: Target, load: Callable[[], Result]) -> Charge[Result]:
    """Run a load against a target and count its cost. The peer's books are read outside of the count."""
    opened = _books(target)
    settle(target)
    before = target.cpu()
    result = load()
    at_rest = settle(target)
    spent = target.spent(before, target.cpu())
    closed = _books(target)
    books = None
    if opened is not None and closed is not None:
        books = Account(closed.exchanges - opened.exchanges, closed.dropped - opened.dropped)
    return Charge(result, spent, books, at_rest)


def observed_percent(books: Account, requests: int, slack: int) -> float:
    """Share of the exchanges that were not dropped, in per cent.

    Raises MeasureError when the peer's own count differs from the load generator's by more than `slack`
    (requests that were in flight when the load ended).
    """
    if abs(books.exchanges - requests) > slack:
        raise MeasureError(f"the peer counted {books.exchanges:.0f} exchanges, the load generator {requests}")
    if not books.exchanges:
        return 0.0
    return 100.0 * max(0.0, 1.0 - books.dropped / books.exchanges)
