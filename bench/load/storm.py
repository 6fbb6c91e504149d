"""A storm of scrapes: more of them than can be answered, for as long as a block lasts.

It is what keeps an analysis at work whatever its speed, and it does not touch the path of the traffic. wrk sends
it at the lowest priority, so that it takes from the load core only what the load leaves.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil

from bench.errors import MeasureError
from bench.processes import pinned

CONNECTIONS = 8
STOP_SECONDS = 5.0


@contextmanager
def scraping(address: str, core: int, seconds: float) -> Iterator[None]:
    """Scrape that address all the time inside the block, which must not last longer than `seconds`."""
    command = ["nice", "-n", "19", "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{ceil(seconds)}s", address]
    try:
        process = subprocess.Popen(
            pinned(core, command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise MeasureError(f"cannot start wrk: {error}") from error
    with process:
        try:
            yield
            if process.poll() is not None:
                raise MeasureError("the storm of scrapes ended before the load did")
        finally:
            process.kill()
            process.wait(STOP_SECONDS)
