"""Guarded: a queue and a thread before a store, so that nobody waits for it, whatever it does.

Knows no store. Invariants: `offer` never waits and every future it gives is resolved, with what the store said or
with what stands for a loss; everything offered is done, dropped with a reason, or waiting. A store that hangs fills the
queue, and what is offered then is dropped and counted; nothing else comes of it.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import numpy as np

from exporter.pending.contract import Label, Released, Rows, Store, Taken

_log = logging.getLogger(__name__)
DROP_REASONS: Final = ("queue_full", "timed_out", "failed", "shutdown")
# Rows of several requests that go to the store in one call.
_TOGETHER: Final = 2048
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """`queue`: rows and labels that may wait. `patience_seconds`: how long a question may, whose asker waits too."""

    queue: int = 100_000
    patience_seconds: float = 5.0


class _Job(Generic[Result]):
    """One call; `rows` if it is a put, which may be put together with others."""

    __slots__ = ("call", "deadline", "failed", "future", "items", "now", "rows")

    def __init__(self, call: Callable[[Store], Result], failed: Result, items: int) -> None:
        self.call = call
        self.failed = failed
        self.items = items
        self.future: Future[Result] = Future()
        self.deadline = float("inf")
        self.rows: Rows | None = None
        self.now = 0.0


class Guarded:
    """`released` is called in the thread with labels that rows met as they came; what it raises is counted as failed.

    `start` comes before `stop`; `stop` is safe twice and without `start`. `clock` is monotonic seconds.
    """

    def __init__(
        self,
        store: Store,
        released: Callable[[list[Released]], None],
        limits: GuardLimits = GuardLimits(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self.dropped = dict.fromkeys(DROP_REASONS, 0)
        self._released = released
        self._limits = limits
        self._clock = clock
        self._changed = threading.Condition()
        self._queue: deque[_Job[Any]] = deque()
        self._waiting = 0
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._failing = False

    @property
    def waiting(self) -> int:
        """Rows and labels in the queue."""
        return self._waiting

    def start(self) -> None:
        """Start the thread; nothing if it runs already."""
        if self._thread is None:
            # A daemon: a disk that hangs must not hold up the end of the process.
            self._thread = threading.Thread(target=self._run, name=f"pending-{self.store.name}", daemon=True)
            self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Do what is queued, then close the store; what is not done within `timeout` seconds is dropped, and False."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        thread = self._thread
        if thread is not None:
            thread.join(max(timeout, 0.0))
        with self._changed:
            left = list(self._queue)
            self._queue.clear()
            self._waiting = 0
        for job in left:
            self._drop(job, "shutdown")
        if thread is not None and thread.is_alive():
            return False
        self.store.close()
        return True

    def offer(self, rows: Rows, now: float) -> bool:
        """Queue predictions; False if they were dropped, which is counted. Many small ones are put together."""
        job: _Job[None] = _Job(lambda _: self._put(rows, now), None, len(rows.keys))
        job.rows, job.now = rows, now
        return self._offer(job)

    def take(self, labels: Sequence[Label], now: float) -> "Future[list[Taken]]":
        """What becomes of labels; `lost` for all of them if they were dropped.

        Who cancels a future that has begun is handed rows that nobody counts: shield it.
        """
        failed = [Taken("lost")] * len(labels)
        return self.ask(lambda store: store.take(labels, now), failed, len(labels))

    def ask(self, call: Callable[[Store], Result], failed: Result, items: int = 0) -> "Future[Result]":
        """Anything else that a store does, in its turn; `failed` stands for a loss of so many `items`."""
        job = _Job(call, failed, items)
        job.deadline = self._clock() + self._limits.patience_seconds
        self._offer(job)
        return job.future

    def _offer(self, job: _Job[Any]) -> bool:
        with self._changed:
            reason = "shutdown" if self._stopping else ""
            # A call without items takes room as well: no queue of them may grow for ever.
            if not reason and self._waiting + max(job.items, 1) > self._limits.queue:
                reason = "queue_full"
            if not reason:
                self._queue.append(job)
                self._waiting += max(job.items, 1)
                self._changed.notify()
                return True
        self._drop(job, reason)
        return False

    def _drop(self, job: _Job[Any], reason: str) -> None:
        with self._changed:
            self.dropped[reason] += job.items
        if not job.future.done() and (job.future.running() or job.future.set_running_or_notify_cancel()):
            job.future.set_result(job.failed)

    def _run(self) -> None:
        while jobs := self._next():
            if jobs[0].rows is not None:
                jobs = [_together(jobs, self._put)]
            (job,) = jobs
            if job.deadline < self._clock():
                self._drop(job, "timed_out")
            elif job.future.set_running_or_notify_cancel():
                self._do(job)

    def _next(self) -> list[_Job[Any]]:
        """The next call, or as many puts as go together; nothing at the end."""
        with self._changed:
            while not self._queue and not self._stopping:
                self._changed.wait()
            jobs: list[_Job[Any]] = []
            items = 0
            while self._queue and (
                not jobs or (jobs[-1].rows is not None and self._queue[0].rows is not None)
            ):
                if jobs and items + self._queue[0].items > _TOGETHER:
                    break
                jobs.append(self._queue.popleft())
                items += jobs[-1].items
                self._waiting -= max(jobs[-1].items, 1)
            return jobs

    def _put(self, rows: Rows, now: float) -> None:
        self._released(self.store.put(rows, now))

    def _do(self, job: _Job[Any]) -> None:
        try:
            found = job.call(self.store)
        except MemoryError:
            raise  # memory is out: it ends the process
        except Exception:  # noqa: BLE001 - the thread's frame: one batch's failure is counted, the next goes on
            if not self._failing:
                _log.exception(
                    "pending predictions: %s failed; such failures are counted from here on", self.store.name
                )
            self._failing = True
            self._drop(job, "failed")
            return
        self._failing = False
        job.future.set_result(found)


def _together(jobs: Sequence[_Job[Any]], put: Callable[[Rows, float], None]) -> _Job[None]:
    """One put of all of them, as of the last."""
    given = [job.rows for job in jobs if job.rows is not None]
    rows = given[0]
    if len(given) > 1:
        names = [key for one in given for key in one.keys]
        rows = Rows(names, np.concatenate([one.values for one in given]))
    now = jobs[-1].now
    return _Job(lambda _: put(rows, now), None, sum(job.items for job in jobs))
