"""Write every file of rules, here and in the chart: `python -m alert_rules.generate`; `--check` only compares.

It knows the list of files and none of their rules. Invariant: nothing is written, and the check fails,
while a value makes no sensible rule or an expression names a metric that the catalogue does not declare.
The chart's rules are the same, with names where values stand (chart.py).
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

from alert_rules import (
    chart,
    children,
    classes,
    contests,
    description,
    drift,
    drift_long,
    drift_pairs,
    expected,
    figures,
    gpu,
    harm,
    life,
    load,
    performance,
    quality,
    resources,
    rollout,
    sidecar,
    slo,
    targets,
    traffic,
    values,
    worth,
)
from alert_rules.promql import undeclared_in
from alert_rules.rules import FOREIGN, Alert, Group, Record, as_yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
FILES: tuple[tuple[str, Callable[[], Group]], ...] = (
    ("traffic.yaml", traffic.group),
    ("slo.yaml", slo.group),
    ("load.yaml", load.group),
    ("rollout.yaml", rollout.group),
    ("classes.yaml", classes.group),
    ("life.yaml", life.group),
    ("description.yaml", description.group),
    ("drift.yaml", drift.group),
    ("drift_long.yaml", drift_long.group),
    ("drift_pairs.yaml", drift_pairs.group),
    ("quality.yaml", quality.group),
    ("harm.yaml", harm.group),
    ("performance.yaml", performance.group),
    ("figures.yaml", figures.group),
    ("targets.yaml", targets.group),
    ("expected.yaml", expected.group),
    ("gpu.yaml", gpu.group),
    ("children.yaml", children.group),
    ("worth.yaml", worth.group),
    ("contests.yaml", contests.group),
    ("resources.yaml", resources.group),
    ("sidecar.yaml", sidecar.group),
)
HEAD = "# Written by `python -m alert_rules.generate` from alert_rules/values.yaml; change it there.\n"
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# Ranges and their steps, offsets, intervals, and the durations of alerts; not those in names of recorded series or in
# sentences.
_DURATION = re.compile(
    r"(?P<before>\[|:(?=\d+[smhd]\])|offset |^ +(?:(?:keep_firing_)?for|interval): )"
    r"(?P<number>\d+)(?P<unit>[smhd])(?P<after>(?=:\d+[smhd]\])|\]|\)| |$)",
    re.MULTILINE,
)


def undeclared(group: Group, before: frozenset[str] = frozenset()) -> Iterator[str]:
    """One line for each rule that reads what neither the catalogue nor a recording rule makes, there or before."""
    recorded = before | {rule.name for rule in group.records} | FOREIGN
    rules: list[Record | Alert] = [*group.records, *group.alerts]
    for rule in rules:
        names = undeclared_in(rule.expr, recorded)
        if names:
            yield f"{rule.name}: {', '.join(names)} not in the catalogue"


def render(group: Group) -> str:
    """The file that Prometheus reads, an expression on one line for readable diffs."""
    return HEAD + yaml.dump(
        as_yaml(group), Dumper=yaml.CSafeDumper, sort_keys=False, width=10_000, allow_unicode=True
    )


def faster(text: str, factor: float) -> str:
    """The same rules with every duration divided, for a rehearsal; none but nought gets below two seconds."""

    def shorter(found: re.Match[str]) -> str:
        seconds = int(found["number"]) * SECONDS[found["unit"]] / factor
        divided = max(round(seconds * 1000), 2000) if seconds else 0
        return f"{found['before']}{divided}ms{found['after']}"

    return _DURATION.sub(shorter, text)


def write(folder: Path, factor: float = 1.0) -> None:
    """Write all files of rules into that folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, build in FILES:
        text = render(build())
        (folder / name).write_text(text if factor == 1.0 else faster(text, factor))


def problems() -> list[str]:
    """What is wrong with the values or the expressions, one line each, with the file."""
    found = [f"alert_rules/values.yaml: {line}" for line in values.problems()]
    if found:
        return found
    recorded: frozenset[str] = frozenset()
    for name, build in FILES:
        group = build()
        # A long window reads the panes of a file before it.
        found += [f"alert_rules/{name}: {line}" for line in undeclared(group, recorded)]
        recorded |= {rule.name for rule in group.records}
    return found


def stale() -> list[str]:
    """The files that are not what would be written."""
    read = ((name, HERE / name, render(build())) for name, build in FILES)
    return [
        f"alert_rules/{name}" for name, path, text in read if not path.is_file() or path.read_text() != text
    ]


def again(path: str, out: Path, factor: float = 1.0) -> subprocess.CompletedProcess[str]:
    """Write the rules of other values by another process: names of series are made of values at import."""
    command = [
        sys.executable,
        "-m",
        "alert_rules.generate",
        "--out",
        str(out.resolve()),
        "--faster",
        f"{factor}",
    ]
    environment = {**os.environ, values.VARIABLE: path}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m alert_rules.generate", description="Write the alert rules."
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if a file is not as written"
    )
    parser.add_argument(
        "--out", type=Path, default=HERE, help="folder to write into (default: beside the code)"
    )
    parser.add_argument("--faster", type=float, default=1.0, help="divide every duration, for a rehearsal")
    parser.add_argument(
        "--values", type=Path, help="YAML file with values of your own; what it leaves out stays"
    )
    chosen = parser.parse_args(arguments)
    if chosen.faster < 1 or (chosen.out == HERE and (chosen.faster > 1 or chosen.values)):
        parser.error(
            "--faster (a number of at least 1) and --values need --out: the files here are those of values.yaml"
        )
    if chosen.values:
        done = again(str(chosen.values.resolve()), chosen.out, chosen.faster)
        print(done.stdout or done.stderr, end="", file=sys.stderr if done.returncode else sys.stdout)
        return done.returncode
    return _generate(chosen)


def _generate(chosen: argparse.Namespace) -> int:
    if os.environ.get(values.VARIABLE) == values.PLACEHOLDERS:
        write(chosen.out)
        return 0
    found = problems()
    if chosen.check and not found:
        found = [
            f"{name} is stale; run: python -m alert_rules.generate"
            for name in (*stale(), *chart.stale(again))
        ]
    elif not found:
        write(chosen.out, chosen.faster)
        if chosen.out == HERE:
            chart.write(again)
    message = "\n".join(found) or f"{len(FILES)} files of rules up to date"
    print(message, file=sys.stderr if found else sys.stdout)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
