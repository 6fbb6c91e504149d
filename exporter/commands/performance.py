"""`modeltap performance`: what labels say of the predictions of each day, from a running sidecar's store.

A line for each output of a model version, role and period: how many rows were predicted, how many have a label, and
figures with their 95 % interval. An open period still gets labels; its figures are those of the labels so far, and
bounds say what accuracy can still become. Below it, a line for each contest of two models.
Exit status: 0; 1 if nobody is there or it joins no labels; 2 for a wrong command line.
"""

import argparse
import http.client
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from exporter.commands.posting import add_place, headers, tls
from exporter.commands.reach import places
from exporter.settings.config import ConfigError

_PATH: Final = "/v1/performance"
_SECONDS: Final = 60.0
BY: Final = ("hour", "day", "all")
# What a line shows of each form, those that are there.
_SHOWN: Final = (
    "accuracy",
    "precision",
    "recall",
    "auc_roc",
    "brier",
    "ece",
    "rmse",
    "mae",
    "r2",
    "interval_coverage",
)
# Of back-filled series; no family of a scrape, so that the two never meet.
SERIES: Final = "model:performance:cohort"
_LABELS: Final = ("model_name", "model_version", "output", "role")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `modeltap performance`."""
    add = parser.add_argument
    add("--by", choices=BY, default="day", help="length of a period (default day)")
    add("--model", metavar="NAME", default="", help="only of this model")
    add("--version", metavar="VERSION", default="", help="only of this version")
    add("--json", action="store_true", help="everything, as JSON")
    add(
        "--openmetrics",
        action="store_true",
        help="closed periods as OpenMetrics, for `promtool tsdb create-blocks-from openmetrics`",
    )
    add_place(parser)


def run(args: argparse.Namespace) -> int:
    """Ask, print."""
    wanted = {"by": args.by, "model_name": args.model, "model_version": args.version}
    path = f"{_PATH}?{urlencode({name: value for name, value in wanted.items() if value})}"
    try:
        found = _asked(args, path)
    except (ConfigError, ValueError, OSError) as error:
        for line in str(error).splitlines():
            print(f"modeltap performance: {line}", file=sys.stderr)
        return 1 if isinstance(error, ConnectionError) else 2
    if args.json:
        print(json.dumps(found, indent=1))
    elif args.openmetrics:
        print("\n".join(openmetrics(found["rows"])))
    else:
        print("\n".join((*lines(found["rows"]), *contests(found.get("contests", [])))))
    return 0


def _asked(args: argparse.Namespace, path: str) -> dict[str, Any]:
    context = tls(args)
    problems = []
    for host, port in places("admin", vars(args), os.environ):
        connection = (
            http.client.HTTPConnection(host, port, timeout=_SECONDS)
            if context is None
            else http.client.HTTPSConnection(host, port, timeout=_SECONDS, context=context)
        )
        try:
            connection.request("GET", path, headers=headers(args))
            answer = connection.getresponse()
            raw = answer.read()
        except (http.client.HTTPException, OSError) as error:
            problems.append(f"{host}:{port}: {error}")
            continue
        finally:
            connection.close()
        if answer.status == 404:
            raise ConnectionError(f"{host}:{port} joins no labels; expected a sidecar with --label-store")
        if answer.status != 200:
            raise ConnectionError(
                f"{host}:{port} answers {answer.status}: {raw[:200].decode('utf-8', 'replace')}"
            )
        found: dict[str, Any] = json.loads(raw)
        return found
    raise ConnectionError(
        f"no sidecar is there: {'; '.join(problems)}; expected --admin HOST:PORT of a running one"
    )


def lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A table for a terminal."""
    if not rows:
        return ["no predictions have waited for labels yet"]
    heads = (
        "period",
        "state",
        "model",
        "version",
        "role",
        "output",
        "predicted",
        "labelled",
        "coverage",
        "figures",
    )
    table = [heads, *(_line(row) for row in rows)]
    widths = [max(len(line[place]) for line in table) for place in range(len(heads) - 1)]
    return [
        "  ".join(
            (*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[-1])
        ).rstrip()
        for line in table
    ]


def _line(row: Mapping[str, Any]) -> tuple[str, ...]:
    coverage = "-" if row["coverage"] is None else f"{row['coverage']:.1%}"
    named = (row["from"].removesuffix(":00:00Z").removesuffix("T00"), row["state"])
    told = tuple(str(row[name]) for name in ("model_name", "model_version", "role", "output"))
    return (*named, *told, f"{row['predicted']:.0f}", f"{row['labelled']:.0f}", coverage, _figures(row))


def _figures(row: Mapping[str, Any]) -> str:
    """Those of a policy, where there is one, once the period is closed."""
    side = "figures_with_policy" if row["state"] == "settled" and "figures_with_policy" in row else "figures"
    found = []
    for name in _SHOWN:
        of = [
            one
            for one in row[side]
            if one["name"] == name and (not one.get("of") or name in ("precision", "recall"))
        ]
        positive = of[-1:] if name in ("precision", "recall") else of
        for one in positive:
            mark = "?" if one["state"] == "insufficient" else ""
            of_class = f"({one['of']})" if one.get("of") else ""
            found.append(f"{name}{of_class} {one['value']:.4g}{mark} [{one['low']:.4g}, {one['high']:.4g}]")
    if (truth := row.get("truth", {})).get("statistics"):
        found.append(_truth(truth))
    if row["state"] == "open" and "accuracy" in row.get("bounds", {}):
        low, high = row["bounds"]["accuracy"]
        if low < high:
            found.append(f"accuracy can become {low:.4g} to {high:.4g}")
    return "; ".join(found)


def _truth(told: Mapping[str, Any]) -> str:
    """How far the labels' own distribution is from the reference's, and whether that is more than chance explains."""
    psi = next(one for one in told["statistics"] if one["statistic"] == "psi")
    marks = [
        *(["drifted"] if psi["drifted"] else []),
        *(["seldom labelled groups"] if told["state"] == "biased" else []),
    ]
    said = f", {', '.join(marks)}" if marks else ""
    return f"truth psi {psi['value']:.4g} (critical {psi['critical_value']:.4g}{said})"


def contests(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Who is better, of rows that both scored (paired) or of traffic that is split between them."""
    if not found:
        return []
    told = ["", "contests: how much less the challenger loses, with an interval that holds at every look"]
    for one in found:
        whose = f"{one['model_name']} {one['model_version']} ({one['role']}) against {one['champion']}"
        what = f"{one['output']}, {one['statistic']}, {one['comparison']}, {one['rows']} rows"
        interval = f"{one['advantage']:.4g} [{one['low']:.4g}, {one['high']:.4g}]"
        figure = "" if one["verdict"] == "insufficient" else f" {interval}"
        told.append(f"{whose}; {what}: {one['verdict']}{figure}")
    return told


def openmetrics(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Series of figures, with the time at which their period was over; open periods are left out."""
    yield f"# HELP {SERIES} Figures of a period of predictions, by their labels."
    yield f"# TYPE {SERIES} gauge"
    series: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if row["state"] == "open":
            continue
        time = datetime.fromisoformat(row["to"]).timestamp()
        side = "figures_with_policy" if "figures_with_policy" in row else "figures"
        own = [("coverage", "", row["coverage"])] if row["coverage"] is not None else []
        for name, of, value in (*own, *((one["name"], one.get("of", ""), one["value"]) for one in row[side])):
            pairs = [*((label, row[label]) for label in _LABELS), ("figure", name), ("of", of)]
            labels = ",".join(f'{key}="{_escaped(text)}"' for key, text in pairs if text)
            series.setdefault(f"{SERIES}{{{labels}}}", []).append((time, value))
    for name, points in series.items():
        for time, value in sorted(points):
            yield f"{name} {value!r} {time:.0f}"
    yield "# EOF"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
