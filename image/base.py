"""Make the two base images from Debian's packages where no registry is reached: one to run on, one to build on.

`python image/base.py`, as root, with podman and debootstrap. The first holds Python and certificates; the second is
the same with a C compiler and pip's means on top, so that nothing of them can be in the first. Both get the updates
that Debian has at that hour: they are no more reproducible than any base that is kept up to date.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
SECURITY = "http://deb.debian.org/debian-security"
RUN_ON = "localhost/modeltap-base:{suite}"
BUILD_ON = "localhost/modeltap-build:{suite}"
NEEDED = ("python3", "ca-certificates")
BUILD_NEEDS = ("python3-venv", "python3-dev", "gcc", "libc6-dev")
# What nobody reads in a container, and what tells of the machine it was made on.
LEFT_OUT = (
    *("./var/lib/apt/lists/*", "./var/cache/*", "./var/log/*", "./tmp/*", "./proc/*", "./sys/*", "./dev/*"),
    *("./usr/share/doc/*", "./usr/share/man/*", "./usr/share/info/*", "./usr/share/locale/*"),
    *("./etc/resolv.conf", "./etc/hostname", "./etc/machine-id"),
)
# An imported image has no PATH of its own, and finds nothing without one.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class BaseFailed(Exception):
    """A base could not be made; the text says which command failed and how it ended."""


def run(command: Sequence[str]) -> None:
    """Run it with its output shown; what fails is told by name."""
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C", "PATH": PATH}
    done = subprocess.run(command, env=quiet, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise BaseFailed(f"`{' '.join(command)}` ended with {done.returncode}")


def bootstrap(rootfs: Path, suite: str, mirror: str) -> None:
    """The smallest system that debootstrap makes."""
    run(["debootstrap", "--variant=minbase", suite, str(rootfs), mirror])


def sources(suite: str, mirror: str) -> str:
    """Where packages come from, with the updates that a base without them would lack."""
    return f"deb {mirror} {suite} main\ndeb {mirror} {suite}-updates main\ndeb {SECURITY} {suite}-security main\n"


def install(rootfs: Path, packages: Sequence[str]) -> None:
    """Bring it up to date and add those packages, without what they only recommend."""
    apt = ["chroot", str(rootfs), "apt-get", "--quiet=2", "--yes", "--no-install-recommends"]
    run([*apt, "update"])
    run([*apt, "dist-upgrade"])
    run([*apt, "install", *packages])


def import_image(rootfs: Path, tag: str) -> None:
    """Pack it, less what is left out, and give it to podman under that tag."""
    left_out = [f"--exclude={pattern}" for pattern in LEFT_OUT]
    tar = ["tar", "--create", "--numeric-owner", "--sort=name", f"--directory={rootfs}", *left_out, "."]
    with subprocess.Popen(tar, stdout=subprocess.PIPE) as packing:
        podman = ["podman", "import", "--quiet", "--change", f"ENV PATH={PATH}", "-", tag]
        taking = subprocess.run(podman, stdin=packing.stdout, stdout=subprocess.DEVNULL, check=False)
    if packing.returncode or taking.returncode:
        raise BaseFailed(
            f"`tar | podman import` of {tag} ended with {packing.returncode}, {taking.returncode}"
        )


def make(rootfs: Path, suite: str, mirror: str) -> list[str]:
    """Both images; the tags that they have."""
    if not (rootfs / "etc" / "debian_version").exists():
        bootstrap(rootfs, suite, mirror)
    (rootfs / "etc" / "apt" / "sources.list").write_text(sources(suite, mirror))
    made = []
    for tag, packages in ((RUN_ON, NEEDED), (BUILD_ON, BUILD_NEEDS)):
        install(rootfs, packages)
        import_image(rootfs, tag.format(suite=suite))
        made.append(tag.format(suite=suite))
    return made


def lacking() -> list[str]:
    """What this needs and does not find, in words."""
    found = [
        f"{name} (a package of that name)" for name in ("podman", "debootstrap") if not shutil.which(name)
    ]
    return found + (["root's rights"] if os.geteuid() else [])


def main(arguments: list[str]) -> int:
    """Make them and print their tags; exit status 2 says what is lacking, 1 what failed."""
    parser = argparse.ArgumentParser(prog="base.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--suite", default=SUITE, help="Debian's release (default %(default)s)")
    parser.add_argument("--mirror", default=MIRROR, help="where its packages are (default %(default)s)")
    parser.add_argument("--rootfs", type=Path, help="go on in this folder, which debootstrap made before")
    given = parser.parse_args(arguments)
    if missing := lacking():
        print(f"base.py needs {', '.join(missing)}", file=sys.stderr)
        return 2
    folder = tempfile.mkdtemp(prefix="modeltap-base-")
    try:
        rootfs = given.rootfs or Path(folder, "rootfs")
        print("\n".join(make(rootfs, given.suite, given.mirror)))
    except BaseFailed as error:
        print(f"base.py: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
