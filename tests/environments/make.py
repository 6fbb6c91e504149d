"""Make the virtualenv of one kind of test: `make.py NAME` prints where it is.

Each `NAME.txt` beside this file is a list of pinned requirements. The environment lives in
`.tools/envs/NAME` under the repository's root and is made again only when that list changes. This
file knows nothing of what is installed.

Invariant: an environment whose stamp equals its list's digest is complete, because the stamp is
written last; two processes that ask at once wait for one another on a lock file.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

LISTS = Path(__file__).resolve().parent
ENVIRONMENTS = LISTS.parents[1] / ".tools" / "envs"
STAMP = "requirements.sha256"


class EnvironmentFailed(Exception):
    """The environment could not be made; the text says which list and what pip answered."""


def environment(name: str) -> Path:
    """Return the virtualenv that holds what `NAME.txt` pins, making it when it is missing or stale.

    Raises EnvironmentFailed when there is no such list or pip cannot install it.
    """
    requirements = LISTS / f"{name}.txt"
    if not requirements.is_file():
        known = ", ".join(sorted(path.stem for path in LISTS.glob("*.txt"))) or "none"
        raise EnvironmentFailed(f"no list {requirements.name!r} in {LISTS.name}/; known names: {known}")
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    target = ENVIRONMENTS / name
    with (ENVIRONMENTS / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_current(target, _digest(requirements)):
            _make(target, requirements)
    return target


def _digest(requirements: Path) -> str:
    # The interpreter is part of the key: a virtualenv of another minor version finds no packages.
    version = f"{sys.version_info.major}.{sys.version_info.minor}\n".encode()
    return hashlib.sha256(version + requirements.read_bytes()).hexdigest()


def _is_current(target: Path, digest: str) -> bool:
    stamp = target / STAMP
    return stamp.is_file() and stamp.read_text() == digest and (target / "bin" / "python").exists()


def _make(target: Path, requirements: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    venv.create(target, with_pip=True, symlinks=True)
    pip = [str(target / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, "-r", str(requirements)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise EnvironmentFailed(f"pip could not install {requirements.name}:\n{done.stderr.strip()}")
    (target / STAMP).write_text(_digest(requirements))


def main(arguments: list[str]) -> int:
    """Print the environment's path; exit status 2 says that the name or the list is at fault."""
    if len(arguments) != 1:
        print("usage: make.py NAME", file=sys.stderr)
        return 2
    try:
        print(environment(arguments[0]))
    except EnvironmentFailed as error:
        print(f"make.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
