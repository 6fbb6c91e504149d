"""memory.py: a process that allocates without end is ended by itself, and never gets far beyond its bound."""

import subprocess
import sys

import pytest

from exporter.processes.memory import SPARE_BYTES, mappable
from exporter.processes.tree import MEMORY_EXIT

MIB = 1 << 20
# What the interpreter maps and touches between the refusal and the end.
MARGIN = 2 * MIB
SCRIPT = """
import asyncio, os, sys, threading
import numpy, uvloop
from exporter.processes import memory

def at(field):
    with open("/proc/self/status") as stream:
        return next(int(line.split()[1]) << 10 for line in stream if line.startswith(field))

kept = []

def ended(status):
    kept.clear()  # room to tell
    print(at("VmHWM"), flush=True)
    leave(status)

leave, os._exit = os._exit, ended
memory._LOOK_SECONDS = {look}
memory.prepare()

async def main():
    bound = at("VmRSS") + {room}
    print(bound, flush=True)
    memory.keep_below(bound)
    {allocate}

uvloop.run(main())
"""
FATAL = "with memory.fatal():\n        while True: kept.append({})"
LOOP = "asyncio.get_running_loop().call_soon(lambda: bytearray(1 << 40)); await asyncio.sleep(60)"
THREAD = "threading.Thread(target=lambda: bytearray(1 << 40)).start(); await asyncio.sleep(60)"
ALLOCATIONS = (
    ("a MiB at a time", FATAL.format("bytearray(b'x' * (1 << 20))")),
    ("small objects", FATAL.format("object()")),
    ("arrays", FATAL.format("numpy.ones(100_000)")),
    ("far too much at once", FATAL.format("bytearray(1 << 40)")),
    ("on the loop, caught by nobody", LOOP),
    ("in a thread, caught by nobody", THREAD),
)


def run(look: float, room: int, allocate: str) -> tuple[int, list[int], str]:
    """Exit status, what was printed (the bound, the highest resident memory), and the log."""
    script = SCRIPT.format(look=look, room=room, allocate=allocate)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    return done.returncode, [int(word) for word in done.stdout.split()], done.stderr


@pytest.mark.parametrize("allocate", [row[1] for row in ALLOCATIONS], ids=[row[0] for row in ALLOCATIONS])
def test_the_kernel_holds_between_two_looks(allocate: str) -> None:
    """Without a single further look the process ends at its bound, with the status that tells why."""
    status, (bound, highest), log = run(3600.0, 16 * MIB, allocate)
    assert status == MEMORY_EXIT, log
    assert "an allocation was refused at the memory bound" in log
    assert highest <= bound + SPARE_BYTES + MARGIN


def test_a_look_ends_it() -> None:
    """Memory that grows within what may be mapped is found by the next look."""
    status, (bound, _), log = run(0.001, MIB, "kept.append(b'x' * (4 << 20)); await asyncio.sleep(60)")
    assert status == MEMORY_EXIT, log
    assert f"memory bound of {bound} bytes reached" in log


def test_a_bound_below_what_is_held() -> None:
    """A bound that is reached at the start ends the process at once, by the bound's name."""
    status, (bound, _), log = run(3600.0, -MIB, "await asyncio.sleep(60)")
    assert status == MEMORY_EXIT
    assert f"memory bound of {bound} bytes reached" in log


@pytest.mark.parametrize(
    "start",
    [
        "for _ in range(7): threading.Thread(target=lambda: threading.Event().wait(0.01)).start()",
        "await asyncio.get_running_loop().getaddrinfo('localhost', 80)",
    ],
    ids=["as many as gRPC's", "libuv's pool"],
)
def test_threads_start_at_the_bound(start: str) -> None:
    """Stacks are no allocation: what a library starts at once finds room with none left."""
    status, _, log = run(3600.0, MIB // 2, start)
    assert status == 0, log


@pytest.mark.parametrize(
    ("resident", "mapped", "more"), [(60, 200, 20), (79, 200, 1), (80, 200, 0), (90, 200, 0), (60, 61, 20)]
)
def test_mappable(resident: int, mapped: int, more: int) -> None:
    """What is mapped already, what is free below the bound, and the spare; never less than the spare."""
    assert mappable(resident * MIB, mapped * MIB, 80 * MIB) == (mapped + more) * MIB + SPARE_BYTES
