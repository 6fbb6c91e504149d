"""Fetch VictoriaMetrics, a receiver of OTLP metrics that can be queried as Prometheus is, into `.tools/victoria`.

`python tests/environments/victoria.py` prints where it is; `victoria()` returns the command. Debian builds Prometheus
without its own OTLP receiver. Of the package only the one command is unpacked. Invariant: the command is complete or
absent, and two callers at once never write it together.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

if __package__:
    from tests.environments.tools import ROOT, Unavailable, downloaded, locked
else:
    from tools import ROOT, Unavailable, downloaded, locked

# forky has 1.145; what trixie and older suites have cannot read OTLP with exponential histograms.
SUITE = "forky"
PACKAGE = "victoria-metrics"
MEMBER = "./usr/bin/victoria-metrics"


def victoria(root: Path = ROOT) -> Path:
    """The command, fetched at the first call. Raises Unavailable, naming what was tried."""
    root.mkdir(parents=True, exist_ok=True)
    place = root / "victoria" / "victoria-metrics"
    with locked(root / "victoria.lock"):
        if not os.access(place, os.X_OK):
            _fetch(place)
    return place


def _fetch(place: Path) -> None:
    work = place.parent / "work"
    (package,) = downloaded(work, SUITE, [PACKAGE])
    fresh = work / "victoria-metrics"
    with fresh.open("wb") as file:
        unpacking = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE)
        with unpacking:
            taken = subprocess.run(
                ["tar", "-xO", MEMBER], stdin=unpacking.stdout, stdout=file, timeout=300, check=False
            )
    if taken.returncode or not fresh.stat().st_size:
        raise Unavailable(f"{PACKAGE} of {SUITE} has no {MEMBER}")
    fresh.chmod(0o755)
    fresh.rename(place)
    shutil.rmtree(work)


def main() -> int:
    try:
        print(f"victoria      {victoria()}")
    except Unavailable as error:
        print(f"victoria: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
