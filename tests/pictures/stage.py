"""Processes of a scene: started bound to this one, ended in order, their output in files.

It knows nothing of what they do. Invariant: whichever way the stack is left, none of them runs on.
"""

import asyncio
import os
import re
import sys
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 120


def python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


async def started(
    stack: AsyncExitStack, log: Path, command: Sequence[str], environment: Mapping[str, str] | None = None
) -> Path:
    """A process that ends with the stack; where its output goes."""
    # Whatever ends this process ends the scene with it.
    bound = ["setpriv", "--pdeathsig", "TERM", "--", *command]
    known = {**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})}
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(*bound, stdout=file, stderr=file, cwd=ROOT, env=known)

    async def end() -> None:
        if process.returncode is None:
            process.terminate()
        await process.wait()

    stack.push_async_callback(end)
    return log


async def told(log: Path, pattern: str) -> tuple[str, ...]:
    """The groups of `pattern` in a log, once they are there; TimeoutError with the log's end."""
    for _ in range(READY_SECONDS * 10):
        found = re.search(pattern, log.read_text(errors="replace"))
        if found:
            return found.groups()
        await asyncio.sleep(0.1)
    raise TimeoutError(f"{log}: {log.read_text(errors='replace')[-2000:]}")


def beside(stack: AsyncExitStack, *works: Coroutine[None, None, None]) -> None:
    """Work that goes on until the stack is left."""
    tasks = [asyncio.create_task(work) for work in works]

    async def end() -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    stack.push_async_callback(end)
