"""What a process does about signals before anything slow is imported.

It imports nothing but the standard library's smallest parts: as PID 1 a signal without a handler is ignored, so every
millisecond before these calls is one in which a stop is lost.
"""

import os
import signal
from types import FrameType

_PR_SET_PDEATHSIG = 1


def end_when_told() -> None:
    """For the root until its loop runs: nothing was promised yet, so SIGTERM and SIGINT end it at once, with 0."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)


def _end(_number: int, _frame: FrameType | None) -> None:
    # Not SystemExit: raised in the middle of an import or a finalizer it could be swallowed.
    os._exit(0)


def bind_to_parent() -> None:
    """For a child: die with the root, even while stopped, and leave the terminal's signals to the root."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
