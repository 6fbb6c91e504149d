"""Build the image with podman or docker, say what came out, and keep its bill of materials in dist/.

`python image/build.py [--base IMAGE] [--offline]`; `make image` is the same. The time in the image is that of the
last commit, so that the same sources and base give the same layers. Offline, wheels come from the host's package
index, checked against the locks; the build itself then reaches no network, and its bases must be here (`image/base.py`
makes them).
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
WHEELHOUSE = REPOSITORY / "wheelhouse"
LOCKS = REPOSITORY / "image" / "lock"
DIST = REPOSITORY / "dist"
BILL = "/opt/modeltap/sbom.cdx.json"
# Sources that are no checkout have no commit; any fixed time will do for them.
NO_COMMIT = ("1735689600", "unknown")


class BuildFailed(Exception):
    """The image could not be built; the text says what failed or is lacking."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line says; `build_base` is `base` where nothing else is named."""

    tag: str
    base: str | None = None
    build_base: str | None = None
    extras: str = ""
    offline: bool = False
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the sources are from: their version, the commit and its time in Unix seconds."""

    version: str
    revision: str
    epoch: str


def output(command: Sequence[str]) -> str:
    """What it prints; raises BuildFailed with its last words."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY)
    if done.returncode:
        raise BuildFailed(
            f"`{' '.join(command)}` ended with {done.returncode}: {done.stderr.strip()[-2000:]}"
        )
    return done.stdout


def engine() -> str:
    """podman, or docker where there is no podman."""
    for name in ("podman", "docker"):
        if shutil.which(name):
            return name
    raise BuildFailed("neither podman nor docker is installed")


def version() -> str:
    """The version that the sources tell."""
    found = re.search(r'^__version__ = "(.+)"$', (REPOSITORY / "exporter" / "__init__.py").read_text(), re.M)
    assert found, "exporter/__init__.py tells no __version__"
    return found[1]


def origin() -> Origin:
    """From the last commit, or a fixed time where there is none."""
    try:
        epoch, revision = output(["git", "log", "-1", "--format=%ct %H"]).split()
    except (BuildFailed, OSError, ValueError):
        epoch, revision = NO_COMMIT
    return Origin(version(), revision, epoch)


def arguments(wanted: Wanted, origin: Origin) -> dict[str, str]:
    """The build arguments of the Dockerfile."""
    created = datetime.fromtimestamp(int(origin.epoch), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    given = {
        "VERSION": origin.version,
        "REVISION": origin.revision,
        "CREATED": created,
        "SOURCE_DATE_EPOCH": origin.epoch,
    }
    chosen = {"BASE": wanted.base, "BUILD_BASE": wanted.build_base, "EXTRAS": wanted.extras}
    return given | {name: value for name, value in chosen.items() if value}


def command(name: str, wanted: Wanted, origin: Origin) -> list[str]:
    """The engine's command line."""
    given = [part for each in arguments(wanted, origin).items() for part in ("--build-arg", "=".join(each))]
    # Only this form has a HEALTHCHECK. BuildKit takes the time from the build argument.
    podman = ["--format", "docker", "--timestamp", origin.epoch] if name == "podman" else []
    offline = ["--network", "none", "--build-arg", "PIP_NO_INDEX=1"] if wanted.offline else []
    fresh = ["--no-cache"] if wanted.fresh else []
    return [name, "build", *podman, *given, *offline, *fresh, "--tag", wanted.tag, "."]


def download(base: str, extras: str, name: str) -> None:
    """Fill the wheelhouse with what the locks pin, for the Python of that base."""
    asked = "import sys; print('%d.%d' % sys.version_info[:2])"
    python = output([name, "run", "--rm", "--network", "none", base, "python3", "-c", asked]).strip()
    shutil.rmtree(WHEELHOUSE, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    which = ["--only-binary", ":all:", "--python-version", python, "--dest", str(WHEELHOUSE)]
    for lock in ["build", "base", *filter(None, extras.split(","))]:
        output([*pip, *which, "--requirement", str(LOCKS / f"{lock}.txt")])


def build(wanted: Wanted, name: str) -> None:
    """Build it; the engine's own output is shown."""
    if wanted.offline:
        if not wanted.base:
            raise BuildFailed(
                "--offline needs --base, an image that is here: `python image/base.py` makes one"
            )
        download(wanted.base, wanted.extras, name)
    line = command(name, wanted, origin())
    if code := subprocess.run(line, cwd=REPOSITORY, check=False).returncode:
        raise BuildFailed(
            f"`{name} build` ended with {code}. Where no registry is reached: `make image-base`, then `make"
            " image BASE=localhost/modeltap-base:bookworm`"
        )


def report(wanted: Wanted, name: str) -> str:
    """Size and layers in words; the bill of materials goes to dist/."""
    DIST.mkdir(exist_ok=True)
    bill = DIST / f"modeltap-{version()}.cdx.json"
    bill.write_text(
        output([name, "run", "--rm", "--network", "none", "--entrypoint", "cat", wanted.tag, BILL])
    )
    shown = output([name, "image", "inspect", "--format", "{{.Size}} {{.RootFS.Layers}}", wanted.tag])
    size, _, layers = shown.strip().partition(" ")
    last = layers.strip("[]").split()[-1]
    return f"{wanted.tag}: {int(size) / 1e6:.0f} MB, top layer {last}\n{bill.relative_to(REPOSITORY)}"


def parse(words: list[str]) -> Wanted:
    """The command line."""
    parser = argparse.ArgumentParser(prog="build.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tag", default=f"modeltap:{version()}", help="default %(default)s")
    parser.add_argument("--base", help="image to run on (default: that of the Dockerfile)")
    parser.add_argument("--build-base", help="image to build on, with the same Python (default: the same)")
    parser.add_argument("--extras", default="", help="optional dependencies by name, separated by commas")
    parser.add_argument(
        "--offline", action="store_true", help="wheels from the host, no network in the build"
    )
    parser.add_argument("--fresh", action="store_true", help="use no layer of an earlier build")
    return Wanted(**vars(parser.parse_args(words)))


def main(words: list[str]) -> int:
    """Build and report; exit status 1 says what failed."""
    wanted = parse(words)
    try:
        name = engine()
        build(wanted, name)
        print(report(wanted, name))
    except BuildFailed as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
