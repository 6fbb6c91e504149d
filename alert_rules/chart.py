"""The chart's rules: the same files with the names of values where values stand, and what each value may be.

Helm runs no Python, so the generator writes @name@ into the chart's copies and Helm replaces it: by the default, or by
what `prometheusRule.values` says. It knows files, no rule. Invariant: the folder holds what was written, nothing older.
"""

import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import yaml

from alert_rules import values

FILES = Path(__file__).resolve().parents[1] / "helm" / "modeltap" / "files"
RULES = FILES / "alert_rules"
VALUES = FILES / "rule_values.yaml"
HEAD = "# Written by `python -m alert_rules.generate` from alert_rules/values.yaml.\n"
Again = Callable[[str, Path], "subprocess.CompletedProcess[str]"]


def described() -> str:
    """What Helm needs of each value: its default, its kind, and the numbers that it may be where they are few."""
    rows = {}
    for name, kind in values.KINDS.items():
        bounds = {"bounds": list(values.BOUNDS[kind])} if kind in values.BOUNDS else {}
        rows[name] = {"default": getattr(values, name.upper()), "kind": kind, **bounds}
    return HEAD + yaml.safe_dump(rows, sort_keys=False, width=10_000)


def _wanted(again: Again) -> dict[Path, str]:
    with tempfile.TemporaryDirectory() as folder:
        again(values.PLACEHOLDERS, Path(folder)).check_returncode()
        written = {RULES / path.name: path.read_text() for path in sorted(Path(folder).glob("*.yaml"))}
    return {**written, VALUES: described()}


def write(again: Again) -> None:
    """Bring the chart's folder up to date."""
    wanted = _wanted(again)
    RULES.mkdir(parents=True, exist_ok=True)
    for path in set(RULES.glob("*.yaml")) - wanted.keys():
        path.unlink()
    for path, text in wanted.items():
        path.write_text(text)


def stale(again: Again) -> list[str]:
    """The files of the chart that are not what would be written."""
    wanted = _wanted(again)
    differ = [path for path, text in wanted.items() if not path.is_file() or path.read_text() != text]
    older = sorted(set(RULES.glob("*.yaml")) - wanted.keys())
    return [str(path.relative_to(FILES.parents[2])) for path in (*differ, *older)]
