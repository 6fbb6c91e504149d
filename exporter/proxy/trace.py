"""Whether a request gets a server span, decided before its head leaves; the only place where such a span gets its ids.

W3C Trace Context, version 00 and forward-compatible later ones; B3's or Jaeger's where there is none. A context that is
malformed, repeated or not sampled is left untouched. Root spans are bounded per second, whatever the sampler says.
"""

import random
import re
from collections.abc import Callable

from exporter.proxy.foreign import DENIED, parent
from exporter.records.exchange import Trace
from exporter.wire.head import RequestHead

_TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[\x20-\x7e]*)?[ \t]*")
_ZERO_TRACE, _ZERO_SPAN = b"0" * 32, b"0" * 16
SAMPLERS = (
    *("always_on", "always_off", "traceidratio"),
    *("parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"),
)


class Sampler:
    """The standard samplers by their `OTEL_TRACES_SAMPLER` names. `decide` returns an outcome and perhaps a Trace."""

    def __init__(
        self, name: str, ratio: float, per_second: int, bits: Callable[[int], int] | None = None
    ) -> None:
        if name not in SAMPLERS:
            raise ValueError(f"sampler {name!r}: expected one of {', '.join(SAMPLERS)}")
        self._parent_based = name.startswith("parentbased_")
        kind = name.removeprefix("parentbased_")
        share = {"always_on": 1.0, "always_off": 0.0}.get(kind, ratio)
        # TraceIdRatioBased compares the lower 64 bits of the trace id, so all services decide alike.
        self._bound = round(share * (1 << 64))
        self._per_second = per_second
        self._second = 0
        self._roots = 0
        self._bits = bits or random.SystemRandom().getrandbits
        if bits is None:
            # Seeded from the system once; asking it for every id would cost a system call each.
            self._bits = random.Random(self._bits(128)).getrandbits

    def decide(self, head: RequestHead, now: int) -> tuple[str, Trace | None]:
        """`now` in monotonic nanoseconds. Outcomes: root, child, unsampled, malformed, repeated, limited."""
        if head.trace_count > 1:
            return "repeated", None
        if head.trace_count == 1:
            return self._with_parent(head)
        found = parent(head.raw)
        if found is None:
            return self._root(now)
        if isinstance(found, str):
            return found, None
        sampled = found.sampled
        if found is not DENIED and (sampled is None or not self._parent_based):
            sampled = self._chosen(found.trace_id)
        if not sampled:
            return "unsampled", None
        return "child", Trace(found.trace_id, self._span_id(), found.span_id)

    def _root(self, now: int) -> tuple[str, Trace | None]:
        trace_id = self._bits(128)
        if not trace_id or trace_id & 0xFFFFFFFFFFFFFFFF >= self._bound:
            return "unsampled", None
        second = now // 1_000_000_000
        if second != self._second:
            self._second, self._roots = second, 0
        if self._roots >= self._per_second:
            return "limited", None
        self._roots += 1
        return "root", Trace(f"{trace_id:032x}", self._span_id(), "")

    def _with_parent(self, head: RequestHead) -> tuple[str, Trace | None]:
        found = _TRACEPARENT.fullmatch(head.raw, head.trace_start, head.trace_end)
        if found is None:
            return "malformed", None
        version, trace_id, parent_id, flags, rest = found.groups()
        if (
            version == b"ff"
            or (version == b"00" and rest)
            or trace_id == _ZERO_TRACE
            or parent_id == _ZERO_SPAN
        ):
            return "malformed", None
        if self._parent_based:
            sampled = bool(int(flags, 16) & 1)
        else:
            sampled = self._chosen(trace_id.decode())
        if not sampled:
            return "unsampled", None
        return "child", Trace(trace_id.decode(), self._span_id(), parent_id.decode())

    def _chosen(self, trace_id: str) -> bool:
        return int(trace_id[16:], 16) < self._bound

    def _span_id(self) -> str:
        return f"{self._bits(64) or 1:016x}"

    def request_id(self) -> str:
        """32 hex digits for a request that came without an id."""
        return self._bits(128).to_bytes(16, "big").hex()
