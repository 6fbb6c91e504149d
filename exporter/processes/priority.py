"""The analysis is the one that yields: lowest priority, and first to go when memory is short.

Except while it starts. At the lowest priority its half second of imports took 5 to 40 s on a machine whose cores were
busy with others, longer than a scraper waits; at a normal one 3 s. So it keeps the priority it was given until it can
answer, for one second of CPU at most; what dies again and again yields from its first instruction, see `tree.py`.
Measured with traffic on the same core, 12 rounds each in turn, the first 1.2 s: p50 0.65 -> 0.97 ms, p99 12.1 ->
13.9 ms.
"""

import logging
import os
import signal
from contextlib import suppress
from pathlib import Path

log = logging.getLogger("modeltap")
START_CPU_SECONDS = 1.0
_LOWEST = 19
_FIRST_TO_GO = 1000


def yield_later() -> None:
    """Call `yield_to_all` when this process has used a second of CPU, unless somebody does before. Main thread only."""
    signal.signal(signal.SIGPROF, lambda *_: yield_to_all())
    signal.setitimer(signal.ITIMER_PROF, START_CPU_SECONDS)


def yield_to_all() -> None:
    """From now on everybody else comes first, as far as that is permitted here. Main thread only; safe twice."""
    signal.setitimer(signal.ITIMER_PROF, 0.0)
    try:
        for thread in _threads():
            with suppress(ProcessLookupError):  # it ended meanwhile
                os.setpriority(os.PRIO_PROCESS, thread, _LOWEST)
    except OSError as error:
        log.warning("the analysis keeps its priority: %s", error.strerror)
    with suppress(OSError):
        # Where sessions are scheduled as groups, niceness counts only within this one, which has no other member.
        Path("/proc/self/autogroup").write_text(str(_LOWEST))


def first_to_go() -> None:
    """When memory is short, this process is the one to be ended."""
    try:
        with open("/proc/self/oom_score_adj", "w") as stream:
            stream.write(str(_FIRST_TO_GO))
    except OSError as error:
        log.warning("the analysis keeps its OOM score: %s", error.strerror)


def _threads() -> list[int]:
    """On Linux a priority is a thread's own: libraries have started some by now."""
    try:
        return [int(name) for name in os.listdir("/proc/self/task")]
    except OSError:
        return [0]
