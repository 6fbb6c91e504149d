"""Write every dashboard as JSON beside this file: `python -m dashboards.generate`; `--check` only compares.

It knows the list of dashboards and none of their panels. Invariant: nothing is written, and the check fails,
while a query names a metric that the catalogue does not declare.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alert_rules.generate import FILES
from alert_rules.promql import FOREIGN, interpolate, undeclared_in
from dashboards.boards import BOARDS

HERE = Path(__file__).resolve().parent
DASHBOARDS = BOARDS


def queries(dashboard: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every query with the place where it stands: panels' targets, variables, annotations."""
    for panel in dashboard["panels"]:
        for target in (
            *panel.get("targets", ()),
            *(t for inner in panel.get("panels", ()) for t in inner["targets"]),
        ):
            yield f"panel {panel['title']!r}", target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            inside = variable["query"].removeprefix("label_values(").removesuffix(")")
            yield f"variable {variable['name']!r}", inside.rpartition(",")[0]
    for annotation in dashboard["annotations"]["list"]:
        if "expr" in annotation:
            yield f"annotation {annotation['name']!r}", annotation["expr"]


def undeclared(dashboard: dict[str, Any]) -> list[str]:
    """One line for each query that reads what no code exports, no rule records, and no foreign exporter has."""
    recorded = frozenset(rule.name for _, group in FILES for rule in group().records)
    read = (
        (place, undeclared_in(interpolate(query), recorded | FOREIGN)) for place, query in queries(dashboard)
    )
    return [f"{place}: {', '.join(names)} not in the catalogue" for place, names in read if names]


def render(dashboard: dict[str, Any]) -> str:
    return json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m dashboards.generate", description="Write the Grafana dashboards."
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if a file is not what would be written"
    )
    check: bool = parser.parse_args(arguments).check
    problems = []
    for name, build in DASHBOARDS:
        made = build()
        wrong = undeclared(made)
        problems += [f"dashboards/{name}: {line}" for line in wrong]
        path = HERE / name
        if check and (not path.is_file() or path.read_text() != render(made)):
            problems.append(f"dashboards/{name} is stale; run: python -m dashboards.generate")
        elif not check and not wrong:
            path.write_text(render(made))
    print(
        "\n".join(problems) or f"{len(DASHBOARDS)} dashboard(s) up to date",
        file=sys.stderr if problems else sys.stdout,
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
