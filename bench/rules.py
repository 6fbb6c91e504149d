"""`python -m bench.rules`: what one evaluation of each group of recording rules costs Prometheus, by number of columns.

A real Prometheus over back-filled data: bins of so many numeric columns scraped each minute for two hours, and what
the group of the hour has recorded of them for nine days. The groups are the sidecar's own, evaluated every five
seconds instead of every minute or two; a figure is the median of several evaluations as Prometheus itself tells them,
in wall time, so the machine should be quiet. Refuses to know the rules. Needs `prometheus` and `promtool` on the PATH,
or in the folder of `--tools`.
"""

import argparse
import json
import math
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.errors import MeasureError, SetupError
from bench.processes import LOOPBACK, ROOT, Processes, free_port

COLUMNS = (5, 50)
BINS = (*(f"{edge}.0" for edge in range(1, 10)), "+Inf", "<null>", "<nan>")
ROWS_AN_HOUR = (*(60,) * 10, 0, 0)
SCRAPES, SCRAPE_SECONDS = 120, 60
PANES, PANE_SECONDS = 9 * 24 * 15, 240
GROUPS = ("drift", "drift_long", "drift_pairs", "quality", "performance", "traffic")
READY_SECONDS = 60.0
DEFAULT_SECONDS = 5
_INTERVAL = re.compile(r"^( +interval: )\w+$", re.MULTILINE)


class Line(NamedTuple):
    """One series: its labels, and its value per row of traffic in an hour and at the start."""

    labels: Mapping[str, str]
    each: float
    constant: float = 0.0


def scraped(columns: int) -> dict[str, list[Line]]:
    """Series of a scrape by family, all of one model with half of its traffic in each of two versions."""
    bins, reference, squares = [], [], []
    for labels in _columns(columns):
        for label, rows in zip(BINS, ROWS_AN_HOUR, strict=True):
            bins.append(Line({**labels, "bin": label}, rows / 3600))
            reference.append(Line({**labels, "bin": label}, 0.0, 10.0 * rows))
        squares.append(Line(labels, sum(ROWS_AN_HOUR) / 3600))
    return {
        "model_feature_bin_total": bins,
        "model_column_squared_rows_total": squares,
        "model_column_squared_bins_total": squares,
        "model_reference_bin_rows": reference,
    }


def recorded(columns: int) -> dict[str, list[Line]]:
    """What the group of the hour has made of them; its edges too."""
    found: dict[str, list[Line]] = {}
    whole = float(sum(ROWS_AN_HOUR))
    for labels in _columns(columns):
        told = {key: value for key, value in labels.items() if key != "instance"}
        for label, rows in zip(BINS, ROWS_AN_HOUR, strict=True):
            line = Line({**told, "bin": label}, 0.0, float(rows))
            found.setdefault("column_bin:model_rows:increase1h", []).append(line)
        for name in ("rows", "effective_rows", "squared_rows", "squared_bins"):
            found.setdefault(f"column:model_{name}:increase1h", []).append(Line(told, 0.0, whole))
    return found


def _columns(columns: int) -> Iterator[dict[str, str]]:
    identity = {
        "job": "modeltap",
        "instance": "a",
        "model_name": "m",
        "role": "live",
        "reference": "0a1b2c3d",
    }
    for version in ("1", "2"):
        for number in range(columns):
            yield {**identity, "model_version": version, "feature": f"feature{number}"}


def openmetrics(families: Mapping[str, Sequence[Line]], times: Sequence[int]) -> Iterator[str]:
    """Text for `promtool tsdb create-blocks-from openmetrics`, a series after the other."""
    for name, lines in families.items():
        kind = "counter" if name.endswith("_total") else "gauge"
        yield f"# TYPE {name.removesuffix('_total')} {kind}\n"
        for line in lines:
            labels = ",".join(f'{key}="{value}"' for key, value in line.labels.items())
            start = f"{name}{{{labels}}}"
            yield "".join(f"{start} {line.constant + line.each * (at - times[0]):g} {at}\n" for at in times)
    yield "# EOF\n"


def backfill(promtool: str, columns: int, folder: Path, now: int) -> None:
    """Blocks of both kinds of data that end now. Raises SetupError where promtool refuses them."""
    data = (
        (scraped(columns), range(now - SCRAPES * SCRAPE_SECONDS, now, SCRAPE_SECONDS)),
        (recorded(columns), range(now - PANES * PANE_SECONDS, now, PANE_SECONDS)),
    )
    for families, times in data:
        source = folder / "source.txt"
        with source.open("w") as file:
            file.writelines(openmetrics(families, times))
        command = [promtool, "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=256h"]
        done = subprocess.run(
            [*command, "--quiet", str(source), str(folder / "data")],
            capture_output=True,
            text=True,
            check=False,
        )
        source.unlink()
        if done.returncode:
            raise SetupError(f"promtool: {done.stderr.strip() or done.stdout.strip()}")


def measured(tools: Mapping[str, str], columns: int, rounds: int, every: int) -> dict[str, float]:
    """Median seconds of one evaluation of each group, `every` so many. Raises SetupError and MeasureError."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        backfill(tools["promtool"], columns, folder, int(time.time()))
        for group in GROUPS:
            text = (ROOT / "alert_rules" / f"{group}.yaml").read_text()
            (folder / f"{group}.yaml").write_text(_INTERVAL.sub(rf"\g<1>{every}s", text))
        configuration = folder / "prometheus.yml"
        content = {
            "global": {"evaluation_interval": f"{every}s"},
            "rule_files": [str(folder / f"{group}.yaml") for group in GROUPS],
        }
        configuration.write_text(json.dumps(content))  # JSON is YAML
        port = free_port()
        command = [tools["prometheus"], f"--config.file={configuration}", "--log.level=warn"]
        command += [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={LOOPBACK}:{port}"]
        command += ["--storage.tsdb.retention.time=30d"]
        with Processes(folder) as processes:
            processes.start("prometheus", command, 0, port)
            return _medians(port, rounds, READY_SECONDS + rounds * 4 * every)


class Evaluated(NamedTuple):
    """One evaluation of a group: when it began, and how many seconds it took."""

    group: str
    at: str
    seconds: float


def _medians(port: int, rounds: int, limit: float) -> dict[str, float]:
    found: dict[str, dict[str, float]] = {group: {} for group in GROUPS}
    deadline = time.monotonic() + limit
    while min(len(own) for own in found.values()) < rounds:
        if time.monotonic() > deadline:
            raise MeasureError("prometheus does not evaluate all groups of rules in time")
        for one in _evaluated(port):
            found[one.group][one.at] = one.seconds
        time.sleep(0.5)
    return {name: statistics.median(own.values()) for name, own in found.items()}


def _evaluated(port: int) -> Iterator[Evaluated]:
    """The last evaluation of every group that has had one; none while Prometheus reads its data."""
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/api/v1/rules", timeout=30.0) as answer:
            groups = json.load(answer)["data"]["groups"]
    except OSError:
        return
    for group in groups:
        if not group["lastEvaluation"].startswith("0001"):
            yield Evaluated(Path(group["file"]).stem, group["lastEvaluation"], group["evaluationTime"])


def table(found: Mapping[int, Mapping[str, float]]) -> str:
    """A row for each group, a column for each number of columns."""
    lines = [f"{'one evaluation, ms':20}" + "".join(f"{f'{count} columns':>14}" for count in found)]
    for group in GROUPS:
        values = (own.get(group, math.nan) for own in found.values())
        lines.append(f"{group:20}" + "".join(f"{1e3 * value:14.1f}" for value in values))
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print; 0, 1 where nothing could be measured, 2 for arguments that make no sense."""
    parser = argparse.ArgumentParser(prog="python -m bench.rules", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="evaluations of each group (default: 5)")
    parser.add_argument("--columns", type=int, nargs="+", default=COLUMNS, help="columns of the reference")
    parser.add_argument(
        "--every", type=int, default=DEFAULT_SECONDS, help="seconds between them (default: 5)"
    )
    parser.add_argument("--tools", default=None, metavar="FOLDER", help="where prometheus and promtool are")
    args = parser.parse_args(words)
    if args.rounds < 1 or min(args.columns) < 1 or args.every < 1:
        print("bench.rules: --rounds, --columns and --every: expected numbers from 1", file=sys.stderr)
        return 2
    tools = {name: shutil.which(name, path=args.tools) for name in ("prometheus", "promtool")}
    lacking = [name for name, path in tools.items() if path is None]
    if lacking:
        print(
            f"bench.rules: {', '.join(lacking)} not found; expected on the PATH or in --tools",
            file=sys.stderr,
        )
        return 1
    paths = {name: path for name, path in tools.items() if path is not None}
    try:
        found = {count: measured(paths, count, args.rounds, args.every) for count in args.columns}
    except (MeasureError, SetupError) as error:
        print(f"bench.rules: {error}", file=sys.stderr)
        return 1
    print(table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
