"""Fetch current Prometheus, promtool, Alertmanager and amtool into `.tools/bin`, or find installed ones.

`python tests/environments/tools.py` prints what it found; `tools()` returns the folder of the four commands.
The packages come from a newer Debian suite and are unpacked beside the repository, so that nothing of the
system changes but the templates that Alertmanager opens at a fixed path; the mirror is the one that this machine's
apt uses already. It knows nothing of the tests that
use them. Invariant: `.tools/bin` is complete or absent, and two callers at once never write it together.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2] / ".tools"
# forky has Prometheus 3.5 and Alertmanager 0.33, trixie 2.53 and 0.28; all of them run on Debian 12.
SUITES = ("forky", "trixie")
PACKAGES = ("prometheus", "promtool", "prometheus-alertmanager")
# Our name for the command -> Debian's names for it.
COMMANDS = {
    "prometheus": ("prometheus",),
    "promtool": ("promtool",),
    "alertmanager": ("prometheus-alertmanager", "alertmanager"),
    "amtool": ("amtool",),
}
TEMPLATES = Path("/usr/share/prometheus/alertmanager")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
UPDATE_TIMEOUT_S = 180
DOWNLOAD_TIMEOUT_S = 600
INSTALL_HINT = "apt-get install prometheus prometheus-alertmanager"


class Unavailable(Exception):
    """The four commands cannot be had from this source; the text says why."""


def tools(root: Path = ROOT) -> Path:
    """The folder with `prometheus`, `promtool`, `alertmanager` and `amtool`; fetched at the first call.

    Raises Unavailable, naming what is missing and what was tried, where no source has them.
    """
    root.mkdir(parents=True, exist_ok=True)
    with locked(root / "lock"):
        if not _complete(root / "bin"):
            _publish(_first_source(root), root)
        _put_templates(root)
    return root / "bin"


def _put_templates(root: Path) -> None:
    """Debian's Alertmanager opens its templates at an absolute path, wherever the command itself lies."""
    for suite in SUITES:
        for found in (root / suite / "root" / TEMPLATES.relative_to("/")).glob("*.tmpl"):
            try:
                TEMPLATES.mkdir(parents=True, exist_ok=True)
                if not (TEMPLATES / found.name).exists():
                    shutil.copyfile(found, TEMPLATES / found.name)
            except OSError as error:
                raise Unavailable(f"{TEMPLATES} cannot be filled ({error}); {INSTALL_HINT}") from error


def versions(folder: Path) -> dict[str, str]:
    """The first line that each command says about itself."""
    return {name: _run([str(folder / name), "--version"], timeout=30).splitlines()[0] for name in COMMANDS}


def _first_source(root: Path) -> dict[str, Path]:
    refusals = []
    for suite in SUITES:
        try:
            return _from_suite(root / suite, suite)
        except Unavailable as error:
            refusals.append(f"{suite}: {error}")
    try:
        return _from_distribution()
    except Unavailable as error:
        refusals.append(f"this distribution: {error}")
    raise Unavailable("no Prometheus tools to be had:\n  " + "\n  ".join(refusals))


def _from_suite(work: Path, suite: str) -> dict[str, Path]:
    packages = downloaded(work, suite, PACKAGES)
    for package in packages:
        _run(["dpkg", "-x", str(package), str(work / "root")], timeout=120)
    for folder in ("debs", "lists", "cache"):
        shutil.rmtree(work / folder)
    return _found_in([work / "root" / "usr" / "bin"])


def downloaded(work: Path, suite: str, packages: Sequence[str]) -> list[Path]:
    """Packages of a Debian suite, with a configuration of apt's in `work`, as any user. Raises Unavailable."""
    for command in ("apt-get", "apt-config", "dpkg"):
        if shutil.which(command) is None:
            raise Unavailable(f"{command} is missing; this needs Debian or a distribution made from it")
    if not KEYRING.is_file():
        raise Unavailable(f"{KEYRING} is missing (package debian-archive-keyring)")
    shutil.rmtree(work, ignore_errors=True)
    for folder in ("lists/partial", "cache/archives/partial", "debs", "root"):
        (work / folder).mkdir(parents=True)
    sources = (f"deb [signed-by={KEYRING}] {uri} {suite} main\n" for uri in _mirrors())
    (work / "sources.list").write_text("".join(sources))
    apt = ["apt-get", *_apt_options(work)]
    _run([*apt, "-qq", "update"], timeout=UPDATE_TIMEOUT_S)
    _run([*apt, "-qq", "download", *packages], timeout=DOWNLOAD_TIMEOUT_S, cwd=work / "debs")
    return sorted((work / "debs").glob("*.deb"))


def _apt_options(work: Path) -> Iterator[str]:
    settings = {
        "Dir::Etc::sourcelist": work / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": work / "lists",
        "Dir::Cache": work / "cache",
        "APT::Sandbox::User": "root",
        "APT::Update::Error-Mode": "any",
        "Acquire::Languages": "none",
        "Acquire::Retries": 2,
        "Acquire::http::Timeout": 30,
    }
    for key, value in settings.items():
        yield from ("-o", f"{key}={value}")


def _mirrors() -> list[str]:
    """The archives from which this machine takes its own release, as apt itself reads its sources."""
    codename = _codename()
    lines = _run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"], timeout=60
    )
    pairs = (line.split() for line in lines.splitlines())
    wanted = {codename, "stable", "testing", "unstable", "sid"}
    uris = dict.fromkeys(pair[0] for pair in pairs if len(pair) == 2 and pair[1] in wanted)
    if not uris:
        raise Unavailable(f"apt's own sources name no archive for {codename}")
    return list(uris)[:1]


def _codename() -> str:
    release = Path("/etc/os-release")
    lines = release.read_text().splitlines() if release.is_file() else []
    fields = dict(line.split("=", 1) for line in lines if "=" in line)
    if "debian" not in (fields.get("ID", "").strip('"'), *fields.get("ID_LIKE", "").strip('"').split()):
        raise Unavailable("/etc/os-release does not say that this is Debian or made from it")
    return fields.get("VERSION_CODENAME", "stable").strip('"')


def _from_distribution() -> dict[str, Path]:
    """What is installed; as root, installed now if it is not."""
    try:
        return _found_in(_search_path())
    except Unavailable:
        if shutil.which("apt-get") is None or os.geteuid() != 0:
            raise
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    _run(["apt-get", "-qq", "update"], timeout=UPDATE_TIMEOUT_S)
    install = [
        "apt-get",
        "-qq",
        "install",
        "-y",
        "--no-install-recommends",
        "prometheus",
        "prometheus-alertmanager",
    ]
    _run(install, timeout=DOWNLOAD_TIMEOUT_S, environment=environment)
    return _found_in(_search_path())


def _search_path() -> list[Path]:
    return [Path(folder) for folder in (*os.environ.get("PATH", "").split(os.pathsep), "/usr/bin") if folder]


def _found_in(folders: Sequence[Path]) -> dict[str, Path]:
    places: dict[str, Path] = {}
    for name, spellings in COMMANDS.items():
        candidates = (folder / spelling for folder in folders for spelling in spellings)
        if place := next((place for place in candidates if os.access(place, os.X_OK)), None):
            places[name] = place
    missing = [name for name in COMMANDS if name not in places]
    if missing:
        raise Unavailable(f"{', '.join(missing)} not found (on Debian: {INSTALL_HINT})")
    for place in places.values():
        _run([str(place), "--version"], timeout=30)
    return places


def _publish(places: dict[str, Path], root: Path) -> None:
    """Make `bin` in one step: a reader without the lock sees all four links or none."""
    fresh = root / "bin.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    for name, place in places.items():
        # Relative inside the repository, so that a moved checkout keeps its tools.
        target = os.path.relpath(place, fresh) if place.is_relative_to(root) else str(place)
        (fresh / name).symlink_to(target)
    shutil.rmtree(root / "bin", ignore_errors=True)
    fresh.rename(root / "bin")


def _complete(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in COMMANDS)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _run(
    command: Sequence[str], timeout: float, cwd: Path | None = None, environment: dict[str, str] | None = None
) -> str:
    try:
        done = subprocess.run(
            command, cwd=cwd, env=environment, timeout=timeout, capture_output=True, text=True, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{' '.join(command[:1])}: {error}") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise Unavailable(f"{' '.join(command)} ended with {done.returncode}: {' / '.join(said[-3:])}")
    # Some releases of these tools print their version to stderr.
    return done.stdout or done.stderr


def main() -> int:
    try:
        folder = tools()
        found = versions(folder)
    except Unavailable as error:
        print(f"tools: {error}", file=sys.stderr)
        return 1
    for name, version in found.items():
        print(f"{name:13} {version}  ({(folder / name).resolve()})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
