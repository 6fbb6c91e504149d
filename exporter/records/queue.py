"""The queue between a data-plane worker and the analysis: numbered batches one way, acknowledgements the other.

Bounded in bytes that are not acknowledged, not by any kernel buffer. It refuses rather than waits. Its ledger holds
at every moment: offered = acknowledged + dropped{reason} + unacknowledged. Sans-io: bytes go out through `write`.
"""

from collections import deque
from collections.abc import Callable
from typing import Final
from zlib import crc32

from exporter.records.exchange import Exchange
from exporter.records.messages import Batch, encode_batch
from exporter.records.totals import Writer

CAPACITY: Final = 16 << 20  # bytes not acknowledged
BATCH_BYTES: Final = 256 << 10
BATCH_EXCHANGES: Final = 64
_MARK: Final = 18  # bytes of two integers
_ENVELOPE: Final = 400  # bytes that an exchange takes beside heads, bodies, path and request id, generously


class Frames:
    """Cuts a byte stream into the payloads of its frames."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._size = 0
        self._need = 4

    def feed(self, data: bytes) -> list[bytes]:
        """Every payload that is complete now, once: whatever becomes of one, the next call goes on behind them."""
        self._chunks.append(data)
        self._size += len(data)
        if self._size < self._need:
            return []
        payloads: list[bytes] = []
        buffer = b"".join(self._chunks)
        at = 0
        while len(buffer) - at >= 4:
            end = at + 4 + int.from_bytes(buffer[at : at + 4], "little")
            if end > len(buffer):
                break
            payloads.append(buffer[at + 4 : end])
            at = end
        rest = buffer[at:]
        self._chunks = [rest] if rest else []
        self._size = len(rest)
        # A large frame is joined once when it is whole, not at every read.
        self._need = 4 + int.from_bytes(rest[:4], "little") if len(rest) >= 4 else 4
        return payloads


def share(request_id: str) -> float:
    """A number in [0, 1) from the request id, the same in every replica: below the rate, an exchange is kept."""
    return crc32(request_id.encode("utf-8", "surrogateescape")) / 4294967296.0


def pressure_rate(used: int, capacity: int = CAPACITY) -> float:
    """1 up to half full, then halved with each further eighth."""
    eighths = 8 * used // capacity
    return 1.0 if eighths < 4 else 0.5 ** (eighths - 3)


class Sender:
    """The data plane's end. Every offered exchange ends up acknowledged, dropped for a reason, or still on its way."""

    def __init__(self, totals: Writer) -> None:
        self._totals = totals
        self._write: Callable[[bytes], None] | None = None
        self._pending: list[Exchange] = []
        self._pending_bytes = 0
        self._number = 0
        self._flying: deque[tuple[int, int, int]] = deque()
        self._used = 0
        self._count = 0
        self._slots = totals.slots
        self._waiting_slot = totals.scalar("unacknowledged")
        self._offered_slot = totals.scalar("offered")
        self._budget_rate = 1.0
        self.rate = 1.0
        self._report()

    @property
    def connected(self) -> bool:
        """Whether an analysis is listening."""
        return self._write is not None

    @property
    def pending(self) -> int:
        """Exchanges that wait for the next flush."""
        return len(self._pending)

    def connect(self, write: Callable[[bytes], None]) -> None:
        """A new analysis listens; what the last one had not acknowledged is lost."""
        self.disconnect()
        self._write = write
        self._budget_rate = 1.0
        self._report()

    def disconnect(self) -> None:
        """The analysis is gone. Safe twice."""
        if self._count:
            self._totals.count("dropped", "analysis_lost", self._count)
        self._write = None
        self._pending, self._pending_bytes, self._used, self._count = [], 0, 0, 0
        self._flying.clear()
        self._report()

    def admits(self, request_id: str, rare: bool = False) -> bool:
        """Count one exchange as offered, and say whether to build and `put` it; if not, it is counted as dropped.

        Asked before the Exchange is made, so that under pressure nothing is spent on what would be dropped. What is
        `rare` is never thinned.
        """
        totals = self._totals
        self._slots[self._offered_slot] += 1
        if self._write is None:
            totals.count("dropped", "analysis_down")
            return False
        if self.rate < 1.0 and not rare:
            place = share(request_id)
            if place >= self._budget_rate:
                totals.count("dropped", "cpu_budget")
                return False
            if place >= self.rate:
                totals.count("dropped", "sampled")
                return False
        return True

    def put(self, exchange: Exchange) -> bool:
        """Take an admitted exchange; False (and counted) if it would not fit."""
        # The request head twice: path and request id are parts of it that travel a second time.
        size = _ENVELOPE + 2 * len(exchange.request_head) + len(exchange.response_head)
        size += len(exchange.request_body) + len(exchange.response_body)
        if exchange.stream is not None:
            size += _MARK * len(exchange.stream.ends)
        if self._used + size > CAPACITY:
            self._totals.count("dropped", "queue_full")
            return False
        self._pending.append(exchange)
        self._pending_bytes += size
        self._used += size
        self._count += 1
        self._slots[self._waiting_slot] = self._count
        if len(self._pending) >= BATCH_EXCHANGES or self._pending_bytes >= BATCH_BYTES:
            self.flush()
        return True

    def flush(self) -> None:
        """Send what is pending as one batch."""
        if not self._pending or self._write is None:
            return
        self._number += 1
        exchanges, self._pending = self._pending, []
        size, self._pending_bytes = self._pending_bytes, 0
        count = len(exchanges)
        try:
            payload = encode_batch(Batch(self._number, exchanges))
        except (TypeError, ValueError, OverflowError):
            self._totals.count("dropped", "encode_failed", count)
            self._used -= size
            self._count -= count
            self._report()
            return
        self._flying.append((self._number, count, size))
        self._report()
        self._write(payload)

    def acknowledge(self, number: int) -> None:
        """Everything up to that batch was processed."""
        done = 0
        while self._flying and self._flying[0][0] <= number:
            _, count, size = self._flying.popleft()
            done += count
            self._used -= size
        self._count -= done
        self._totals.add("acknowledged", done)
        self._report()

    def limit(self, rate: float) -> None:
        """The analysis' CPU budget allows this share; what is no number limits nothing."""
        self._budget_rate = max(0.0, min(1.0, rate))
        self._report()

    def _report(self) -> None:
        self.rate = min(self._budget_rate, pressure_rate(self._used))
        totals = self._totals
        totals.set("unacknowledged", self._count)
        totals.set("queue_bytes", self._used)
        totals.set("sampling_millionths", round(self.rate * 1_000_000))
