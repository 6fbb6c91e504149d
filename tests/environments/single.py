"""One command out of one Debian package, without the rest of it; `python tests/environments/single.py` fetches all.

It knows nothing of the tests that use it. Invariant: the command is complete or absent, and two callers at once never
write it together.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

if __package__:
    from tests.environments.tools import ROOT, Unavailable, downloaded, locked
else:
    from tools import ROOT, Unavailable, downloaded, locked


class Package(NamedTuple):
    """`member`: the path of the command within the package of that suite. `command`: what it is to be called."""

    suite: str
    name: str
    member: str
    command: str = ""

    @property
    def file(self) -> str:
        """The name of the command, by which some know what they are to do."""
        return self.command or Path(self.member).name


# A receiver of OTLP metrics that can be queried as Prometheus is: Debian builds Prometheus without its own. forky has
# 1.145; what trixie and older suites have cannot read OTLP with exponential histograms.
VICTORIA = Package("forky", "victoria-metrics", "./usr/bin/victoria-metrics")
# 2.42, which Debian 12 has and many clusters still run.
PROMETHEUS_2 = Package("bookworm", "prometheus", "./usr/bin/prometheus")
PROMTOOL_2 = Package("bookworm", "prometheus", "./usr/bin/promtool")
# 1.5, the one that Debian 12 has.
PUSHGATEWAY = Package("bookworm", "prometheus-pushgateway", "./usr/bin/prometheus-pushgateway")
# 8.0, for the same libraries as Debian 12's Redis. Its server and what checks its files are one.
VALKEY = Package("bookworm-backports", "valkey-tools", "./usr/bin/valkey-check-rdb", "valkey-server")
_ALL = {
    "victoria": VICTORIA,
    "prometheus-2": PROMETHEUS_2,
    "promtool-2": PROMTOOL_2,
    "pushgateway": PUSHGATEWAY,
    "valkey": VALKEY,
}


def single(called: str, root: Path = ROOT) -> Path:
    """The command as `.tools/<called>/<its name>`, fetched at the first call. Raises Unavailable."""
    package = _ALL[called]
    root.mkdir(parents=True, exist_ok=True)
    place = root / called / package.file
    with locked(root / f"{called}.lock"):
        if not os.access(place, os.X_OK):
            _fetch(place, package)
    return place


def _fetch(place: Path, package: Package) -> None:
    work = place.parent / "work"
    (file,) = downloaded(work, package.suite, [package.name])
    fresh = work / place.name
    with fresh.open("wb") as output:
        unpacking = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(file)], stdout=subprocess.PIPE)
        with unpacking:
            taken = subprocess.run(
                ["tar", "-xO", package.member],
                stdin=unpacking.stdout,
                stdout=output,
                timeout=300,
                check=False,
            )
    if taken.returncode or not fresh.stat().st_size:
        raise Unavailable(f"{package.name} of {package.suite} has no {package.member}")
    fresh.chmod(0o755)
    fresh.rename(place)
    shutil.rmtree(work)


def main() -> int:
    try:
        for called in _ALL:
            print(f"{called:13} {single(called)}")
    except Unavailable as error:
        print(f"single: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
