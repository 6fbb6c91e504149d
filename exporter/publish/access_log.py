"""AccessLog: a line of JSON for each exchange, or for a share of them, to a file or standard output.

Refuses to slow anybody: `offer` takes a lock for an append, a thread of its own encodes and writes, and whoever does
not read standard output only loses lines. Invariant: selected = written + dropped{reason} + queued, at every moment.
The log of the sidecar gets one line per change of state.
"""

import errno
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from exporter.publish.access_line import Line, line
from exporter.publish.line_output import Output
from exporter.records.exchange import Exchange
from exporter.records.queue import share
from exporter.records.sample import Sample

_log = logging.getLogger(__name__)
DROP_REASONS: Final = ("queue_full", "closed", "disk", "error", "shutdown")
CAPACITY: Final = 8192  # lines, of about 700 bytes as they wait
_REST_SECONDS: Final = 0.05  # lines gather: a wake-up for each would cost more than the line
_SHORTEST_WAIT, _LONGEST_WAIT = 0.002, 0.1
# After the timeout of `stop` the thread is left alone.
_LAST_WAIT_SECONDS: Final = 0.5


class AccessLog:
    """`sample` is the share of exchanges, by request id; those that failed are always selected.

    `created` is the unix time in seconds from which it counts.
    """

    def __init__(self, output: Output, sample: float, created: float, capacity: int = CAPACITY) -> None:
        self._output = output
        self._sample = sample
        self._created = created
        self._capacity = capacity
        self._lock = threading.Lock()
        self._waiting: deque[Line] = deque()
        self._queued = self._selected = self._written = 0
        self._dropped = dict.fromkeys(DROP_REASONS, 0)
        self._closed = self._reopen = False
        self._trouble = ""
        self._next = b""  # taken, and in no group yet
        self._encode: Callable[[Line], bytes] = msgspec.json.Encoder().encode
        self._ending = threading.Event()
        self._arrived = threading.Event()
        self._until = float("inf")  # monotonic; after that nothing is waited for
        self._thread: threading.Thread | None = None

    # ---------------------------------------------------------------- any thread

    def start(self) -> None:
        """Start the thread; nothing if it runs already."""
        if self._thread is None:
            # A daemon: a disk that hangs must not hold up the end of the process.
            self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
            self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Write what waits, then end; what cannot be written within `timeout` seconds is dropped and counted."""
        self._until = time.monotonic() + max(timeout, 0.0)
        self._ending.set()
        self._arrived.set()
        finished = True
        if self._thread is not None:
            self._thread.join(max(timeout, 0.0) + _LAST_WAIT_SECONDS)
            finished = not self._thread.is_alive()
        with self._lock:
            lost, self._queued, self._closed = self._queued, 0, True
            self._waiting.clear()
            self._dropped["shutdown"] += lost
        if lost:
            _log.warning("access log: %d lines could not be written before the end", lost)
        return finished and not lost

    def offer(self, exchange: Exchange, decoded: str = "", rows: int = 0) -> bool:
        """Whether the exchange was selected and queued; what is selected and dropped is counted."""
        if exchange.error_type == "" and share(exchange.request_id) >= self._sample:
            return False
        made = line(exchange, decoded, rows)
        with self._lock:
            self._selected += 1
            if self._closed or self._queued >= self._capacity:
                self._dropped["shutdown" if self._closed else "queue_full"] += 1
                return False
            self._waiting.append(made)
            self._queued += 1
        if not self._arrived.is_set():
            self._arrived.set()
        return True

    def configure(self, sample: float) -> None:
        """Another share from now on, and the file opened anew: somebody may have moved it."""
        self._sample = sample
        self._reopen = True

    def samples(self) -> Iterator[Sample]:
        """The ledger, all of it as of one moment."""
        with self._lock:
            selected, written, queued = self._selected, self._written, self._queued
            dropped = dict(self._dropped)
        created = self._created
        yield Sample("modeltap.access_log.selected", (), selected, created)
        yield Sample("modeltap.access_log.written", (), written, created)
        for reason, count in dropped.items():
            yield Sample("modeltap.access_log.dropped", (reason,), count, created)
        yield Sample("modeltap.access_log.queue.length", (), queued)

    # ---------------------------------------------------------------- the log's thread

    def _run(self) -> None:
        while not self._over():
            self._arrived.wait()
            self._arrived.clear()
            while (lines := self._taken()) and not self._over():
                self._deliver(lines)
            if self._ending.is_set() and not self._waiting and not self._next:
                break
            self._ending.wait(_REST_SECONDS)
        self._output.close()

    def _over(self) -> bool:
        return self._ending.is_set() and time.monotonic() >= self._until

    def _taken(self) -> list[bytes]:
        """Lines that go out together: within the bound of the output, or a single one."""
        found: list[bytes] = []
        size = 0
        while self._next or self._encoded():
            if found and size + len(self._next) > self._output.group_bytes:
                break
            size += len(self._next)
            found.append(self._next)
            self._next = b""
        return found

    def _encoded(self) -> bool:
        """Whether there is a next line; what cannot be encoded is lost."""
        while True:
            with self._lock:
                made = self._waiting.popleft() if self._waiting else None
            if made is None:
                return False
            try:
                self._next = self._encode(made) + b"\n"
            except ValueError as error:
                self._settle(1, "error", f"{type(error).__name__}: {error}")
            else:
                return True

    def _deliver(self, lines: list[bytes]) -> None:
        if self._reopen:
            self._reopen = False
            self._output.reopen()
        rest = b"".join(lines)
        wait = _SHORTEST_WAIT
        while rest:
            try:
                rest = rest[self._output.write(rest) :]
                wait = _SHORTEST_WAIT
            except BlockingIOError:
                if self._over():
                    return  # `stop` counts them
                self._pause(wait)
                wait = min(2 * wait, _LONGEST_WAIT)
            except OSError as error:
                reason = "closed" if error.errno == errno.EPIPE else "disk"
                self._settle(len(lines), reason, error.strerror or str(error))
                return
        self._settle(len(lines), "", "")

    def _pause(self, seconds: float) -> None:
        """Until somebody may have read; the end is looked for meanwhile."""
        if self._ending.is_set():
            time.sleep(min(seconds, max(self._until - time.monotonic(), 0.0)))
        else:
            self._ending.wait(seconds)

    def _settle(self, count: int, reason: str, why: str) -> None:
        with self._lock:
            if self._closed:
                return  # counted when it was closed
            self._queued -= count
            if reason:
                self._dropped[reason] += count
            else:
                self._written += count
        if reason != self._trouble:
            self._trouble = reason
            if reason:
                _log.warning("access log: lines are lost (%s): %.200s", reason, why)
            else:
                _log.info("access log: lines are written again")
