"""Write the locks that the image is built from: `lock/base.txt`, one for each extra, and `lock/build.txt`.

`python image/lock.py` asks the package index, by uv, for all platforms at once. Versions are those that the tests
run with (tests/environments/main.txt); each file pins by hash what its extra adds to the base. The demo is no part
of an image.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
if str(REPOSITORY) not in sys.path:
    sys.path.insert(0, str(REPOSITORY))  # run as a file, as the Makefile does

from tests.environments.make import environment  # noqa: E402

LOCKS = REPOSITORY / "image" / "lock"
TESTED = REPOSITORY / "tests" / "environments" / "main.txt"
NOT_SHIPPED = frozenset({"demo"})
HEADER = "# Written by `python image/lock.py`.\n"
# pip itself is part of how the image comes out.
BUILD_ALSO = ("pip",)


def blocks(text: str) -> dict[str, str]:
    """A requirements file as name -> its lines, hashes included."""
    parts = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)
    return {re.split(r"[=\[ ;]", part, maxsplit=1)[0]: part for part in parts if part.strip()}


def resolve(source: Path, extras: tuple[str, ...] = ()) -> dict[str, str]:
    """What that file of requirements asks for, pinned, for every platform and Python that we support."""
    uv = environment("uv") / "bin" / "uv"
    options = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate"]
    chosen = [part for extra in extras for part in ("--extra", extra)]
    command = [
        str(uv),
        "pip",
        "compile",
        "--quiet",
        *options,
        "--constraint",
        str(TESTED),
        *chosen,
        str(source),
    ]
    return blocks(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def locks(project: Path) -> dict[str, dict[str, str]]:
    """All of them, by the name of their file."""
    declared = tomllib.loads(project.read_text())
    base = resolve(project)
    made = {"base": base}
    for extra in sorted(set(declared["project"]["optional-dependencies"]) - NOT_SHIPPED):
        made[extra] = {name: text for name, text in resolve(project, (extra,)).items() if name not in base}
    with tempfile.NamedTemporaryFile("w", suffix=".in") as wanted:
        wanted.write("\n".join([*declared["build-system"]["requires"], *BUILD_ALSO]))
        wanted.flush()
        made["build"] = resolve(Path(wanted.name))
    return made


def main() -> int:
    """Write them."""
    LOCKS.mkdir(exist_ok=True)
    for name, content in locks(REPOSITORY / "pyproject.toml").items():
        (LOCKS / f"{name}.txt").write_text(HEADER + "".join(content[each] for each in sorted(content)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
