"""Write the table of values into the chart's README; `--check` compares and changes nothing.

The table comes from values.yaml: a line `# -- text` describes the key under it and all that the key
holds. This file reads the layout that our values.yaml has (two-space indent, one comment
line a key) and refuses another; it does not know YAML.

Invariant: every key of values.yaml is described, itself or by the key that it stands under.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path

CHART = Path(__file__).resolve().parent / "modeltap"
BEGIN = "<!-- values: written by helm/readme.py -->"
END = "<!-- end of values -->"
KEY = re.compile(r"^(?P<indent> *)(?P<name>[A-Za-z][A-Za-z0-9]*):(?: (?P<default>.*))?$")
COMMENT = re.compile(r"^ *# -- (?P<text>.+)$")


class Undocumented(Exception):
    """A key of values.yaml has no `# --` line; the text says which key and line."""


@dataclass(frozen=True, slots=True)
class Value:
    """One documented key: dotted name, default as written, description."""

    name: str
    default: str
    description: str


def documented(text: str) -> list[Value]:
    """Read the described keys of a values.yaml in their order.

    Raises Undocumented for a key that holds a value and has no description above it or its parents.
    """
    values: list[Value] = []
    path: list[str] = []
    described: str | None = None
    pending = ""
    for number, line in enumerate(text.splitlines(), start=1):
        comment, key = COMMENT.match(line), KEY.match(line)
        if comment:
            pending = comment["text"]
        if key is None:
            continue
        path = [*path[: len(key["indent"]) // 2], key["name"]]
        name = ".".join(path)
        if described is not None and name.startswith(described + "."):
            continue
        described = name if pending else None
        if pending:
            values.append(Value(name, key["default"] or "see values.yaml", pending))
        elif key["default"] is not None:
            raise Undocumented(f"values.yaml line {number}: {name} has no line '# -- …' above it")
        pending = ""
    return values


def table(values: list[Value]) -> str:
    """Render the values as a Markdown table."""
    rows = [f"| `{v.name}` | {_default(v.default)} | {_cell(v.description)} |" for v in values]
    return "\n".join(["| value | default | meaning |", "|---|---|---|", *rows])


def _default(text: str) -> str:
    return text if text.startswith("see ") else f"`{_cell(text)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def rewritten(readme: str, values: str) -> str:
    """Return the README with its table replaced. Raises ValueError when it has no place for one."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md needs the lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n{table(documented(values))}\n{END}{after}"


def main(arguments: list[str], chart: Path = CHART) -> int:
    """Bring the table up to date, or with `--check` return 1 when it is not."""
    parser = argparse.ArgumentParser(prog="readme.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="only compare; exit status 1 if it differs")
    check = parser.parse_args(arguments).check
    path = chart / "README.md"
    text = path.read_text()
    wanted = rewritten(text, (chart / "values.yaml").read_text())
    if wanted == text:
        return 0
    if check:
        print("the table of values in README.md is stale; run: python helm/readme.py", file=sys.stderr)
        return 1
    path.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
