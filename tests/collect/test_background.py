"""Calls that block, fail, are late and hang, each asked for without waiting."""

import threading
import time

import pytest

from exporter.collect.background import Background, Hung, Pending


class Gate:
    """A call that answers its number once it is let go."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        number = self.calls
        assert self.open.wait(30)
        return number


def test_answer_and_error() -> None:
    """What is called answers or raises as if it had been called here."""
    background: Background[int] = Background("x", wait=30)
    assert background.ask(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        background.ask(lambda: 1 // 0)
    assert background.ask(lambda: 8) == 8
    assert background.hangs == 0


def test_late_answer_is_given_once() -> None:
    """An answer that comes after the wait is the next one's, while it is young; then the work is done anew."""
    clock, gate = [0.0], Gate()
    background: Background[int] = Background("x", wait=0.0, hung=10.0, monotonic=lambda: clock[0])
    for clock[0] in (0.0, 5.0):
        with pytest.raises(Pending):
            background.ask(gate)
    gate.open.set()
    _idle(background)
    assert background.ask(gate) == 1
    assert gate.calls == 1


def test_hang_is_counted_once_and_its_answer_not_shown() -> None:
    """What hangs is asked nothing more; what it says in the end is too old; a second hang counts again."""
    clock, gate = [0.0], Gate()
    background: Background[int] = Background("x", wait=0.0, hung=10.0, monotonic=lambda: clock[0])
    for start, hangs in ((0.0, 1), (100.0, 2)):
        gate.open.clear()
        clock[0] = start
        with pytest.raises(Pending):
            background.ask(gate)
        for clock[0] in (start + 11, start + 60):
            with pytest.raises(Hung):
                background.ask(gate)
        assert (background.hangs, gate.calls) == (hangs, hangs)
        gate.open.set()
        _idle(background)
    waited: Background[int] = background
    waited._wait = 30
    assert waited.ask(gate) == 3


def _idle(background: Background[int]) -> None:
    deadline = time.monotonic() + 30
    while not background.idle:
        assert time.monotonic() < deadline
        time.sleep(0.005)
