"""wrk, one thread, closed loop: run with `infer.lua`, whose last line gives the totals."""

import re
import subprocess
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from bench.errors import MeasureError
from bench.peer import Program
from bench.processes import pinned

SCRIPT = Path(__file__).with_name("infer.lua")
TOTALS = re.compile(r"^BENCH (.+)$", re.MULTILINE)
ERRORS = ("connect", "read", "write", "timeout", "status")
# wrk waits two seconds for answers; the rest is for its start and end on a busy machine.
GRACE_SECONDS = 15.0
WRK = Program(path="wrk", version=("wrk", "-v"), install="apt-get install wrk", debian=True)


@dataclass(frozen=True, slots=True)
class Totals:
    """What wrk counted. Its latencies are left alone: a closed loop hides the waiting that it causes."""

    requests: int
    seconds: float
    errors: tuple[tuple[str, int], ...]

    @property
    def failed(self) -> list[str]:
        """Kinds of errors that happened, with their counts; empty when every answer was 2xx or 3xx."""
        return [f"{count} {kind} errors" for kind, count in self.errors if count]


def parse(output: str) -> Totals:
    """Raises MeasureError when the script's line is absent or has other keys."""
    line = TOTALS.search(output)
    if line is None:
        raise MeasureError(f"wrk printed no totals: {output.strip()[-300:]!r}")
    values = {key: int(value) for key, _, value in (pair.partition("=") for pair in line[1].split())}
    try:
        return Totals(
            requests=values["requests"],
            seconds=values["duration_us"] / 1e6,
            errors=tuple((kind, values[kind]) for kind in ERRORS),
        )
    except KeyError as error:
        raise MeasureError(f"wrk's totals lack {error}: {line[1]!r}") from error


def run(address: str, connections: int, seconds: float, requests: Path, core: int) -> Totals:
    """Load one address (http or https); wrk knows whole seconds only, so `seconds` is rounded up.

    Raises MeasureError on any answer that is not 2xx or 3xx, any socket error, and when nothing was answered.
    """
    whole = max(1, ceil(seconds))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{whole}s", "--timeout", "5s", "-s", str(SCRIPT)]
    command += [address, "--", str(requests)]
    try:
        done = subprocess.run(
            pinned(core, command),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=whole + GRACE_SECONDS,
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise MeasureError(f"wrk did not end within {error.timeout:.0f} s") from error
    except OSError as error:
        raise MeasureError(f"cannot start wrk: {error}") from error
    totals = parse(done.stdout + done.stderr)
    if totals.failed:
        raise MeasureError(f"{', '.join(totals.failed)} in {totals.requests} requests")
    if not totals.requests:
        raise MeasureError("no request was answered")
    return totals
