"""Facts about the machine and the programs, and what is missing for a run.

Refuses to install anything unless asked: `install` runs apt-get, nothing else does.
"""

import os
import platform
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bench import interpreter
from bench.errors import SetupError
from bench.peer import Program

VERSION_SECONDS = 20.0
LIBRARIES = ("uvloop", "aiohttp")


@dataclass(frozen=True, slots=True)
class Cores:
    """Where things run: the proxy on one, upstream and load generator on the other."""

    proxy: int
    load: int

    @property
    def apart(self) -> bool:
        return self.proxy != self.load


def choose_cores(allowed: Iterable[int]) -> Cores:
    """The first two cores that this process may use; one core serves both where there is no second."""
    ordered = sorted(allowed)
    if not ordered:
        raise ValueError("no core is allowed")
    return Cores(proxy=ordered[0], load=ordered[min(1, len(ordered) - 1)])


def descriptor_limit() -> int:
    """How many descriptors each process of the run may have: the limit is raised as far as it can be."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def cpu_model(cpuinfo: str) -> str:
    """`model name` of `/proc/cpuinfo`, or "unknown" (ARM kernels print none)."""
    for line in cpuinfo.splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"


def facts(cores: Cores) -> dict[str, str]:
    """What a reader needs to judge the figures, as printable text."""
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    return {
        "cpu": cpu_model(Path("/proc/cpuinfo").read_text(errors="replace")),
        "cores": f"{os.cpu_count()} (proxy on {cores.proxy}, upstream and load on {cores.load})",
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load average at start": load,
        "python of the load and the relays": interpreter.of_program(sys.executable),
        **{library: version(library) for library in LIBRARIES},
    }


def missing(programs: Iterable[Program]) -> list[Program]:
    """Those that cannot be found, each once."""
    return [program for program in dict.fromkeys(programs) if shutil.which(program.path) is None]


def require(programs: Iterable[Program]) -> None:
    """Raises SetupError naming everything that is missing and how to get it."""
    lacking = missing(programs)
    if lacking:
        lines = [f"  {program.path}: {program.install}" for program in lacking]
        hint = "or leave its peers and scenarios out with --only (see --list)"
        if any(program.debian for program in lacking):
            hint = "--install runs apt-get; " + hint
        raise SetupError("\n".join(["not found:", *lines, hint]))


def install(programs: Iterable[Program]) -> None:
    """Install what is missing and has a Debian package. Raises SetupError when apt-get fails."""
    packages = [program.install.rpartition(" ")[2] for program in missing(programs) if program.debian]
    if not packages:
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    print("running:", *command, file=sys.stderr)
    try:
        status = subprocess.run(command, check=False, stdout=sys.stderr).returncode
    except OSError as error:
        raise SetupError(f"cannot run apt-get: {error}") from error
    if status:
        raise SetupError(f"{' '.join(command)} ended with status {status}")


def first_line(command: Sequence[str]) -> str:
    """What a program says about its version, on either stream; wrk ends with status 1 and still tells."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=VERSION_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"unknown ({error})"
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0].strip() if lines else "unknown"


def versions(programs: Iterable[Program]) -> dict[str, str]:
    """By program's name."""
    return {Path(p.path).name: first_line(p.version) for p in dict.fromkeys(programs)}
