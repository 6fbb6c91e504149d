"""The inside of a child: messages in order, beats, the end; and what the analysis gives up."""

import asyncio
import os
import signal
import socket
from pathlib import Path
from typing import Any

import psutil

from exporter.children import serve
from exporter.processes.tree import receive, send
from tests.app.command import gone, lives
from tests.app.conftest import Start


class Listener:
    """A role that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def message(self, message: dict[str, Any], fds: list[int]) -> None:
        """Take a turn, so that two messages could overtake each other."""
        await asyncio.sleep(0)
        self.told.append(message["kind"])

    async def stop(self, seconds: float) -> None:
        """The last thing."""
        self.told.append(f"stopped within {seconds:g} s")


def test_messages_come_in_order() -> None:
    """One message at a time, in order, beats from the first one on, and an orderly end."""

    async def main() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            theirs.setblocking(False)
            role = Listener()
            for kind in ("start", "log_level", "link", "stop", "too late"):
                send(ours, {"kind": kind, "level": "info", "seconds": 3})
            async with asyncio.timeout(20):
                await serve(theirs, role)
            assert role.told == ["start", "link", "stopped within 3 s"]
            assert receive(ours) == ({"kind": "beat"}, [])

    asyncio.run(main())


def test_children_leave_signals_to_the_root(start: Start) -> None:
    """Children live in sessions of their own and go on after SIGINT and SIGTERM."""
    sidecar = start("--workers", "2")
    sidecar.metrics()
    children = [sidecar.analysis(), *sidecar.children("worker")]
    assert len(children) == 3
    for number in (signal.SIGINT, signal.SIGTERM):
        for child in children:
            os.kill(child, number)
    sidecar.metrics()
    assert sidecar.post()[0] == 200
    assert all(map(lives, children))
    assert [os.getsid(child) for child in children] == children


def test_the_analysis_yields(start: Start) -> None:
    """The analysis has the lowest priority and the highest OOM score; the root keeps its own."""
    sidecar = start()
    sidecar.metrics()
    analysis = psutil.Process(sidecar.analysis())
    assert analysis.nice() == 19
    groups = Path(f"/proc/{analysis.pid}/autogroup")
    if groups.exists() and groups.read_text().strip():
        assert groups.read_text().split()[-1] == "19", "its session's group is as nice as it is itself"
    assert psutil.Process(sidecar.root).nice() == psutil.Process().nice()
    scores = []
    for pid in (analysis.pid, sidecar.root, os.getpid()):
        with open(f"/proc/{pid}/oom_score_adj") as stream:
            scores.append(int(stream.read()))
    assert scores[0] == 1000
    assert scores[1] == scores[2]


def test_children_of_a_worker_tree_end_with_it(start: Start) -> None:
    """Told to stop, a root leaves no child behind."""
    sidecar = start("--workers", "2")
    children = [sidecar.analysis(), *sidecar.children("worker")]
    sidecar.signal(signal.SIGTERM)
    assert sidecar.ended() == 0
    gone(*children)
