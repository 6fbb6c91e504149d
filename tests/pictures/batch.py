"""Batch jobs of the scene: `modeltap job` again and again over a script, and the Pushgateway that holds what they tell.

Run as `python -m tests.pictures.batch SECONDS STATUS` it is the script: it computes, writes and tells its rows.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from tests.environments.single import single
from tests.pictures.stage import python, started

PUSH_SECONDS = 5
# Name, seconds that a run takes, seconds between two, seconds within which it has to succeed, exit statuses in turn.
JOBS: Sequence[tuple[str, float, float, int, Sequence[int]]] = (
    ("score-portfolio", 45, 30, 120, (0,)),
    ("export-features", 20, 40, 600, (0, 3, 0)),
)


async def jobs(stack: AsyncExitStack, folder: Path, port: int, host: str) -> str:
    """The gateway, at its address; what is run is run by `repeated`."""
    command = [str(single("pushgateway")), f"--web.listen-address={host}:{port}", "--log.level=warn"]
    await started(stack, folder / "pushgateway.log", command)
    return f"http://{host}:{port}"


async def repeated(folder: Path, gateway: str, job: tuple[str, float, float, int, Sequence[int]]) -> None:
    """One job, run after run, for as long as it may."""
    name, seconds, pause, every, statuses = job
    flags = ("--name", name, "--pushgateway", gateway, "--interval", str(PUSH_SECONDS), "--every", str(every))
    turn = 0
    while True:
        script = python("tests.pictures.batch", str(seconds), str(statuses[turn % len(statuses)]))
        async with AsyncExitStack() as stack:
            command = python("exporter", "job", *flags, "--", *script)
            await started(stack, folder / f"{name}.log", command)
            # A run that its own seconds have not ended is ended by the stack.
            await asyncio.sleep(seconds + 10)
        await asyncio.sleep(pause)
        turn += 1


def main(seconds: float, status: int) -> int:
    """A job of this long: rows in growing memory, a tenth of the time at work."""
    kept: list[bytes] = []
    ends = time.monotonic() + seconds
    with (
        open(int(os.environ["MODELTAP_ROWS_FD"]), "w", buffering=1) as rows,
        tempfile.TemporaryFile() as scratch,
    ):
        while time.monotonic() < ends:
            until = time.monotonic() + 0.05
            while time.monotonic() < until:
                sum(range(1000))
            kept.append(bytes(200_000))
            scratch.write(kept[-1])
            scratch.flush()
            print('{"rows": 250, "failed": 3}' if len(kept) % 7 == 0 else 250, file=rows)
            time.sleep(0.45)
    return status


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2])))
