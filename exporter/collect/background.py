"""Calls that may block for good, each in a thread of its own, waited for a little and never twice at once.

Knows nothing of what is called. Invariant: an answer is given once, and none whose call began more than `hung`
seconds ago; the thread of a call that hangs is left alone, for nothing can end it.
"""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class Pending(Exception):
    """The call is under way; ask again."""


class Hung(Exception):
    """The call has been under way for longer than any should take."""


class _Call(Generic[Answer]):
    """One call: begun at `began`, over when `over` is set."""

    def __init__(self, work: Callable[[], Answer], name: str, began: float) -> None:
        self._work = work
        self.began = began
        self.over = threading.Event()
        self.hung = False
        self._answer: list[Answer] = []
        self._error: Exception | None = None
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        try:
            self._answer.append(self._work())
        except Exception as error:  # noqa: BLE001 - it is raised to whoever asked
            self._error = error
        finally:
            self.over.set()

    def answer(self) -> Answer:
        if self._error is not None:
            raise self._error
        return self._answer[0]


class Background(Generic[Answer]):
    """For one caller at a time. `wait`: how long `ask` may take; `hung`: from when on a call hangs; in seconds."""

    def __init__(
        self,
        name: str,
        wait: float = 1.0,
        hung: float = 10.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.hangs = 0
        self._name = name
        self._wait = wait
        self._hung = hung
        self._monotonic = monotonic
        self._call: _Call[Answer] | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return self._call is None or self._call.over.is_set()

    def ask(self, work: Callable[[], Answer]) -> Answer:
        """What `work` answers, or what it raises; Pending or Hung while it, or the one asked before, is under way."""
        call = self._call
        if call is not None and call.over.is_set() and self._monotonic() - call.began > self._hung:
            call = None  # what it says is as old as its beginning
        if call is None:
            call = self._call = _Call(work, self._name, self._monotonic())
            call.over.wait(self._wait)
        if call.over.is_set():
            self._call = None
            return call.answer()
        taken = self._monotonic() - call.began
        if taken <= self._hung:
            raise Pending
        self.hangs += not call.hung
        call.hung = True
        raise Hung(f"no answer since {taken:.0f} seconds")
