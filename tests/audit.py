"""`python -m tests.audit`: known weaknesses of all that `pip install modeltap` brings along, by pip-audit.

It asks PyPI about each package in the version that is installed here. Exit status 0 if none is known, 1 if one is,
3 if nobody could be asked: a mirror that has the packages need not have that part. `--soft` makes 0 of 3, with the same
line. Invariant: what was not asked about is never told as free of weaknesses.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.environments.make import environment
from tests.licences import runtime

# Weaknesses that are none here, each with the reason. It may only shrink.
IGNORED: Final[dict[str, str]] = {}
CLEAN, WEAK, UNASKED = 0, 1, 3
_SECONDS: Final = 45.0


@dataclass(frozen=True, slots=True)
class Found:
    """Lines about weaknesses; names that were asked about, and those that were not with the reason."""

    weak: tuple[str, ...]
    asked: tuple[str, ...]
    unasked: dict[str, str]


def read(told: str) -> Found:
    """pip-audit's JSON; ValueError if it is none."""
    weak, asked, unasked = [], [], {}
    dependencies: list[dict[str, Any]] = json.loads(told)["dependencies"]
    for one in dependencies:
        if "skip_reason" in one:
            unasked[one["name"]] = one["skip_reason"]
            continue
        asked.append(one["name"])
        for weakness in one["vulns"]:
            if not IGNORED.keys() & {weakness["id"], *weakness.get("aliases", ())}:
                better = ", ".join(weakness["fix_versions"]) or "none yet"
                weak.append(f"{one['name']} {one['version']}: {weakness['id']}, mended in: {better}")
    return Found(tuple(weak), tuple(asked), unasked)


def judge(found: Found) -> tuple[int, list[str]]:
    """The exit status, and what to say."""
    if not found.asked:
        why = next(iter(found.unasked.values()), "there are no packages")
        return UNASKED, [f"audit: nothing was checked: {why}"]
    lines = [f"audit: not checked: {name}: {why}" for name, why in found.unasked.items()]
    lines += [f"audit: {line}" for line in found.weak]
    return (WEAK if found.weak else CLEAN), [
        *lines,
        f"audit: {len(found.asked)} packages, {len(found.weak)} weak",
    ]


def asked(command: Sequence[str | Path]) -> Found:
    """What pip-audit says of the runtime set; nothing asked where it cannot say anything."""
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder) / "requirements.txt"
        pins.write_text("".join(f"{name}=={one.version}\n" for name, one in sorted(runtime().items())))
        flags = [
            "--no-deps",
            "--disable-pip",
            "--format",
            "json",
            "--progress-spinner",
            "off",
            "--timeout",
            "10",
        ]
        try:
            done = subprocess.run(
                [*command, "-r", pins, *flags], capture_output=True, text=True, timeout=_SECONDS, check=False
            )
            return read(done.stdout)
        except subprocess.TimeoutExpired:
            why = f"no answer within {_SECONDS:g} s"
        except (ValueError, KeyError):
            why = (done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]
    return Found((), (), {"": why})


def main(arguments: Sequence[str]) -> int:
    """Ask, say, judge."""
    parser = argparse.ArgumentParser(prog="python -m tests.audit", description=__doc__.partition("\n")[0])
    parser.add_argument("--soft", action="store_true", help="status 0 where nobody could be asked")
    soft = parser.parse_args(arguments).soft
    # By its module: a command of its own names the folder in which it was installed, and a checkout may be moved.
    status, lines = judge(asked([environment("audit") / "bin" / "python", "-m", "pip_audit"]))
    print("\n".join(lines))
    return CLEAN if soft and status == UNASKED else status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
