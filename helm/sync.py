"""Copy the dashboards into the chart; `--check` compares and changes nothing.

Helm reads no file outside a chart, and symbolic links break on some checkouts, so the chart holds
copies. This file knows nothing of what a dashboard says. The chart's alert rules are no copies: they have
names where values stand, and alert_rules/generate.py writes them.

Invariant: after a run the chart's folder holds exactly the copies, nothing older.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
FILES = Path("helm", "modeltap", "files")


@dataclass(frozen=True, slots=True)
class Difference:
    """One file of the chart that is not what it should be; `content` is None where it must go."""

    path: Path
    reason: str
    content: bytes | None


def differences(repository: Path) -> list[Difference]:
    """Compare the chart's copies with their sources; an empty list means that they agree."""
    wanted = _wanted(repository)
    target = repository / FILES
    present = set(target.glob("dashboards/*.json"))
    found = [Difference(path, "has no source", None) for path in sorted(present - wanted.keys())]
    for path, content in sorted(wanted.items()):
        if path not in present:
            found.append(Difference(path, "is missing", content))
        elif path.read_bytes() != content:
            found.append(Difference(path, "differs from its source", content))
    return found


def _wanted(repository: Path) -> dict[Path, bytes]:
    folder = repository / FILES / "dashboards"
    return {folder / path.name: path.read_bytes() for path in (repository / "dashboards").glob("*.json")}


def apply(difference: Difference) -> None:
    """Make one file of the chart what it should be."""
    if difference.content is None:
        difference.path.unlink()
        return
    difference.path.parent.mkdir(parents=True, exist_ok=True)
    difference.path.write_bytes(difference.content)


def main(arguments: list[str], repository: Path = REPOSITORY) -> int:
    """Bring the copies up to date, or with `--check` return 1 when they are not."""
    parser = argparse.ArgumentParser(prog="sync.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="only compare; exit status 1 if they differ")
    check = parser.parse_args(arguments).check
    found = differences(repository)
    for difference in found:
        print(f"{difference.path.relative_to(repository)} {difference.reason}")
        if not check:
            apply(difference)
    if found and check:
        print("run: python helm/sync.py", file=sys.stderr)
    return 1 if found and check else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
