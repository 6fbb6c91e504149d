"""Signals that go on to the child. What would only end it, because it does not ask for that signal, is kept from it."""

import signal
from pathlib import Path
from typing import Final

# The stop is not among them: a model is told to stop when its traffic has ended.
PASSED: Final = (
    *(signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT),
    *(signal.SIGWINCH, signal.SIGCONT, signal.SIGURG),
)
_HARMLESS: Final = frozenset((signal.SIGWINCH, signal.SIGCONT, signal.SIGURG))


def welcome(pid: int, number: int, proc: Path = Path("/proc")) -> bool:
    """Whether the process handles that signal, or is not harmed by it."""
    if number in _HARMLESS:
        return True
    try:
        status = (proc / str(pid) / "status").read_text()
    except OSError:
        return False
    mask = next((line for line in status.splitlines() if line.startswith("SigCgt:")), "SigCgt: 0")
    return bool(int(mask.split()[1], 16) >> (number - 1) & 1)


def named(value: str) -> signal.Signals:
    """The signal of a name with or without SIG; ValueError for any other word."""
    word = value.upper().removeprefix("SIG")
    found = next((one for one in signal.Signals if one.name == f"SIG{word}"), None)
    if found is None:
        raise ValueError("expected the name of a signal, such as TERM, INT or QUIT")
    return found
