"""What a process does about signals before anything slow is imported.

It imports nothing but the standard library's smallest parts: as PID 1 a signal without a handler is ignored, so every
millisecond before these calls is one in which a stop is lost.
"""

import os
import signal
from types import FrameType

_PR_SET_PDEATHSIG = 1
_reload_asked = False


def end_when_told() -> None:
    """For the root until its loop runs: nothing was promised yet, so SIGTERM and SIGINT end it at once, with 0.

    SIGHUP is only remembered: the configuration may have been read already.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    signal.signal(signal.SIGHUP, _remember)


def _end(_number: int, _frame: FrameType | None) -> None:
    # Not SystemExit: raised in the middle of an import or a finalizer it could be swallowed.
    os._exit(0)


def _remember(_number: int, _frame: FrameType | None) -> None:
    global _reload_asked
    _reload_asked = True


def reload_asked() -> bool:
    """Whether SIGHUP came before the root's loop ran."""
    return _reload_asked


def bind_to_parent() -> None:
    """For a child: die with the root, even while stopped, and leave the terminal's signals to the root."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
