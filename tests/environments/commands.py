"""Commands of the system that tests of the examples need: found on the path, else taken from Debian.

`kustomize()` builds a folder of manifests, `systemd_analyze()` judges units. Nothing here knows what they are run on.
Two callers at once wait for one another.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.environments.tools import ROOT, SUITES, Unavailable, downloaded, locked

TIMEOUT_S = 300


def kustomize() -> Sequence[str]:
    """The start of a command line that takes a folder. Raises Unavailable."""
    for name, *words in (("kubectl", "kustomize"), ("kustomize", "build")):
        if found := shutil.which(name):
            return (found, *words)
    work = ROOT / "kustomize"
    with locked(ROOT / "kustomize.lock"):
        if not (work / "root" / "usr" / "bin" / "kustomize").is_file():
            for package in downloaded(work, SUITES[0], ("kustomize",)):
                subprocess.run(
                    ["dpkg", "-x", package, work / "root"], timeout=TIMEOUT_S, check=True, capture_output=True
                )
    return (str(work / "root" / "usr" / "bin" / "kustomize"), "build")


def systemd_analyze() -> Path:
    """The command; installed at the first call if need be. Raises Unavailable."""
    if found := shutil.which("systemd-analyze"):
        return Path(found)
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise Unavailable("systemd-analyze was not found (apt-get install systemd)")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    with locked(ROOT / "systemd.lock"):
        for words in (("update",), ("install", "-y", "--no-install-recommends", "systemd")):
            subprocess.run(
                ["apt-get", "-qq", *words],
                env=environment,
                timeout=TIMEOUT_S,
                check=True,
                capture_output=True,
            )
    return Path(shutil.which("systemd-analyze") or "/usr/bin/systemd-analyze")
