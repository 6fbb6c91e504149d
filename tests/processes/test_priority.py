"""priority.py: in a process of its own, whose threads are looked at from within."""

import subprocess
import sys

SCRIPT = """
import os, threading, time
from exporter.processes import priority

over = threading.Event()
threads = [threading.Thread(target=over.wait) for _ in range(3)]
for thread in threads:
    thread.start()

def nice():
    return {{os.getpriority(os.PRIO_PROCESS, int(name)) for name in os.listdir("/proc/self/task")}}

before = nice()
priority.START_CPU_SECONDS = {seconds}
priority.yield_later()
{work}
print(before == nice(), nice() == {{19}})
over.set()
"""
BURN = "while time.process_time() < 60 and nice() != {19}: pass"


def run(seconds: float, work: str) -> list[bool]:
    """Whether every thread has its first priority in the end, and whether every one has the lowest."""
    script = SCRIPT.format(seconds=seconds, work=work)
    # A session of its own: where those are scheduled as groups, the group of whoever runs the tests would yield too.
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
        start_new_session=True,
    )
    return [word == "True" for word in done.stdout.split()]


def test_it_yields_when_it_has_had_its_share() -> None:
    """After so much CPU every thread has the lowest priority, those of libraries too; not before."""
    assert run(0.02, BURN) == [False, True]
    assert run(1000.0, "") == [True, False]


def test_it_yields_when_it_has_started() -> None:
    """Told to yield it does so at once; safe twice, and the share of CPU is forgotten."""
    assert run(1000.0, "priority.yield_to_all(); priority.yield_to_all()") == [False, True]
