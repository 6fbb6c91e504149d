"""Find a Redis or Valkey server, or install Debian's: `python tests/environments/redis_server.py` prints where it is.

It knows nothing of the tests that use it. Two callers at once wait for one another.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

COMMANDS = ("redis-server", "valkey-server")
TIMEOUT_S = 300
HINT = "apt-get install redis-server"
# No service is started by an installation in this run level.
_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}


class Unavailable(Exception):
    """There is no server to be had; the text says why."""


def redis_server() -> Path:
    """The command; installed at the first call if need be. Raises Unavailable."""
    if found := _found():
        return found
    with open(Path(tempfile.gettempdir()) / "redis-server.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if found := _found():
            return found
        if shutil.which("apt-get") is None or os.geteuid() != 0:
            raise Unavailable(f"none of {', '.join(COMMANDS)} was found ({HINT})")
        _run("apt-get", "-qq", "update")
        _run("apt-get", "-qq", "install", "-y", "--no-install-recommends", "redis-server")
    if found := _found():
        return found
    raise Unavailable(f"{HINT} installed none of {', '.join(COMMANDS)}")


def _found() -> Path | None:
    places = (shutil.which(command) for command in COMMANDS)
    return next((Path(place) for place in places if place), None)


def _run(*command: str) -> None:
    try:
        subprocess.run(
            command, env={**os.environ, **_ENVIRONMENT}, timeout=TIMEOUT_S, capture_output=True, check=True
        )
    except subprocess.CalledProcessError as error:
        raise Unavailable(f"{' '.join(command)}: {error.stderr.decode(errors='replace').strip()}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{' '.join(command)}: {error}") from error


def main() -> int:
    """Print where it is; 1 and the reason on stderr if there is none."""
    try:
        print(redis_server())
    except Unavailable as error:
        print(f"redis_server: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
