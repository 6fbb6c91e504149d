"""Late: server spans of exchanges that were not sampled, chosen when they are over: those that failed and the slowest.

Such a span stands alone: the model was told of no sampled trace, so it has no children, and its caller's span is likely
to be missing too. It is marked `modeltap.sampled="late"`, has the trace id that the request came with, if any, and
there are at most so many in a second. Bounded: one estimate per model and operation, of the first MAX_KEYS.

Slow is what is above the running estimate of the 99 % quantile. Each duration moves the estimate of its logarithm by
STEP * (0.99 - [it was below]): the stochastic approximation of Robbins and Monro (1951) with a constant step, which
follows a level that changes within a few hundred exchanges and holds one number.
"""

import random
import re
from collections.abc import Iterator
from math import exp, log

import msgspec

from exporter.publish.sender import Tally
from exporter.publish.server_span import Decoded, Span, server_span
from exporter.records.exchange import ERROR_OWNERS, Exchange, Trace, header
from exporter.records.routes import SIDE_OPERATIONS
from exporter.records.sample import Sample

QUANTILE, STEP = 0.99, 0.1
WARM_UP = 200  # exchanges of a key before any of them is called slow
MAX_KEYS = 64
REASONS = ("error", "slow", "limited")
_PARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?"
)


class Late:
    """`per_second` 0 chooses none. `created` is the unix time in seconds from which it counts."""

    def __init__(self, per_second: int, created: float) -> None:
        self._per_second = per_second
        self._bits = random.SystemRandom().getrandbits
        self._second = self._taken = 0
        self._levels: dict[tuple[str, str], tuple[int, float]] = {}
        self._chosen = Tally("modeltap.spans.late", tuple((reason,) for reason in REASONS), created)

    def span(self, exchange: Exchange, decoded: Decoded) -> Span | None:
        """The span of an exchange that was sampled, or that is chosen now; else None."""
        if exchange.trace is not None:
            return server_span(exchange, decoded)
        if not self._per_second or exchange.operation in SIDE_OPERATIONS:
            return None
        reason = self._reason(exchange)
        if not reason:
            return None
        if not self._allowed(exchange.start + exchange.duration):
            self._chosen.add(("limited",))
            return None
        self._chosen.add((reason,))
        chosen = msgspec.structs.replace(exchange, trace=self._trace(exchange.request_head))
        return server_span(chosen, decoded, late=True)

    def samples(self) -> Iterator[Sample]:
        """Spans by the reason why they were chosen, and those over the ceiling."""
        if self._per_second:
            yield from self._chosen.samples()

    def _reason(self, exchange: Exchange) -> str:
        """Why it is worth a span, or ""; the estimate learns from what did not fail."""
        if ERROR_OWNERS.get(exchange.error_type) in ("server", "sidecar"):
            return "error"
        key = (exchange.model_name, exchange.operation)
        if exchange.error_type or exchange.duration <= 0 or not self._knows(key):
            return ""
        seen, level = self._levels.get(key, (0, log(exchange.duration)))
        slow = exchange.duration > exp(level)
        self._levels[key] = seen + 1, level + STEP * (QUANTILE - (not slow))
        return "slow" if slow and seen >= WARM_UP else ""

    def _knows(self, key: tuple[str, str]) -> bool:
        return key in self._levels or len(self._levels) < MAX_KEYS

    def _allowed(self, now: int) -> bool:
        second = now // 1_000_000_000
        if second != self._second:
            self._second, self._taken = second, 0
        self._taken += 1
        return self._taken <= self._per_second

    def _trace(self, head: bytes) -> Trace:
        found = _PARENT.fullmatch(header(head, b"traceparent"))
        span_id = f"{self._bits(64) or 1:016x}"
        if found is None:
            return Trace(f"{self._bits(128) or 1:032x}", span_id, "")
        return Trace(found[1].decode(), span_id, found[2].decode())
