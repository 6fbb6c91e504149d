"""The started processes: their groups are gone after `stop`; one that ends early is reported."""

import asyncio
import os
import sys
from pathlib import Path

import psutil
import pytest

from exporter.demo.children import ChildDied, Children

# A process with a child of its own that would outlive it; the child's id is its first line.
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


def test_stop_ends_the_whole_group(tmp_path: Path) -> None:
    """After `stop` neither the process nor what it started is running; a second `stop` does nothing."""

    async def scenario() -> list[int]:
        children = Children(tmp_path)
        child = await children.start("parent", (sys.executable, "-c", PARENT))
        async with asyncio.timeout(20):
            while not child.log.read_text().endswith("\n"):
                await asyncio.sleep(0.02)
        assert os.getsid(child.process.pid) == child.process.pid
        await children.stop()
        await children.stop()
        assert children.running == ()
        return [child.process.pid, int(child.log.read_text())]

    for pid in asyncio.run(scenario()):
        try:
            psutil.Process(pid).wait(10)
        except psutil.NoSuchProcess:
            continue


def test_an_early_end_is_reported_with_the_last_lines(tmp_path: Path) -> None:
    """Watching a process that ends raises ChildDied with its name, status and last lines."""

    async def scenario() -> None:
        children = Children(tmp_path)
        child = await children.start("model server", (sys.executable, "-c", "print('no port'); exit(3)"))
        async with asyncio.timeout(20):
            await child.watch()

    with pytest.raises(ChildDied, match=r"(?s)model server ended with status 3.*no port"):
        asyncio.run(scenario())


def test_a_command_that_fails_raises_and_one_that_succeeds_is_forgotten(tmp_path: Path) -> None:
    """`finish` raises ChildDied for a status other than 0, and keeps no process that has ended."""

    async def scenario() -> None:
        children = Children(tmp_path)
        await children.finish("good", (sys.executable, "-c", "pass"), 20)
        assert children.running == ()
        await children.finish("bad", (sys.executable, "-c", "exit(2)"), 20)

    with pytest.raises(ChildDied, match="bad ended with status 2"):
        asyncio.run(scenario())
