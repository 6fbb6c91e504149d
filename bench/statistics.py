"""`python -m bench.statistics`: what windows and drift statistics cost, in process CPU time; and what peers take.

Update throughput, a tick over all columns and all four windows, alone and with all that is shown of it, the cost of an
exchange in the analysis, memory per column and window; with `--peers` the same stream through Evidently, whylogs and
river, in an environment of their own that this flag makes. Each figure is the best of several rounds, as in
`bench.decode`. The goals are goals: nothing fails that misses one.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.decode import best, cases
from exporter.analysis.engine import Engine
from exporter.analysis.known import Known
from exporter.analysis.series import Key, Series
from exporter.analysis.window_report import gauges
from exporter.records.observation import Column, Observation
from exporter.records.sample import Sample
from exporter.stats import STATISTICS, Comparison, Reference, View, Windows
from exporter.stats.profiles.build import Column as Data
from exporter.stats.profiles.build import ProfileConfig, build
from exporter.stats.profiles.profile import Profile

ROOT = Path(__file__).parents[1]
ROUND_SECONDS = 0.05
REFERENCE_ROWS = 5000
PEER_COLUMNS, PEER_ROWS = 20, 5000
# Columns, rows, and the goal in millions of values a second (0: none). Small batches are those of little traffic.
UPDATES = ((100, 500, 10.0), (50, 500, 10.0), (50, 20, 0.0), (13, 100, 0.0), (13, 10, 0.0), (13, 1, 0.0))
# Columns, and the goal in milliseconds.
TICKS = ((10, 0.0), (100, 5.0), (1000, 0.0))
# Exchanges that one flush counts: few where traffic is low, some hundred at thousands a second.
TOGETHER = (1, 20, 200)
Batch = dict[str, NDArray[Any]]


class Figure(NamedTuple):
    """One reading; `goal` 0: none. `more`: whether larger is better."""

    what: str
    value: float
    unit: str
    goal: float = 0.0
    more: bool = False

    @property
    def met(self) -> bool:
        return not self.goal or (self.value >= self.goal if self.more else self.value <= self.goal)


def numbers(columns: int, rows: int, seed: int = 1) -> Batch:
    """Normal columns, each with a mean of its own."""
    draw = np.random.default_rng(seed)
    return {f"x{at}": draw.normal(at, 1.0 + at % 3, rows) for at in range(columns)}


def texts(columns: int, rows: int, seed: int = 2) -> Batch:
    """Columns of twelve categories."""
    draw = np.random.default_rng(seed)
    names = np.array([f"category {at}" for at in range(12)], object)
    return {f"c{at}": names[draw.integers(0, 12, rows)] for at in range(columns)}


def profile_of(batch: Batch) -> Profile:
    """The reference that a profile of these rows is."""
    return build({name: Data(values) for name, values in batch.items()}, ProfileConfig())


def comparison_of(profile: Profile, batch: Batch) -> tuple[Windows, Comparison]:
    """Windows over the profile's columns, and all statistics against it, per-bin sums included."""
    windows = Windows(profile.layout())
    own = Windows(windows.layout)
    own.update(0.0, batch)
    view = own.totals()
    held = {c.name: Reference(c.array, view.bin_sums(c.name), c.std) for c in profile.columns}
    return windows, Comparison(windows.layout, held, STATISTICS)


def updates(rounds: int) -> Iterator[Figure]:
    """One `update` of one batch into four windows, and with batches of requests and other kinds."""
    for columns, rows, goal in UPDATES:
        windows, batch = (
            Windows(profile_of(numbers(columns, REFERENCE_ROWS)).layout()),
            numbers(columns, rows, 3),
        )
        yield from _update(f"{columns} columns x {rows} rows", windows, batch, None, rounds, goal)
    profile, batch = profile_of(numbers(50, REFERENCE_ROWS)), numbers(50, 500, 3)
    requests = np.full(50, 10)
    yield from _update("50 x 500, requests of 10 rows", Windows(profile.layout()), batch, requests, rounds)
    words = texts(20, 500, 3)
    profile = profile_of(texts(20, REFERENCE_ROWS))
    yield from _update("20 x 500 of categories", Windows(profile.layout()), words, None, rounds)
    observed = Windows(profile_of({}).layout().grown(batch))
    yield from _update("50 x 500 without a profile", observed, batch, None, rounds)


def _update(
    name: str, windows: Windows, batch: Batch, requests: NDArray[Any] | None, rounds: int, goal: float = 0.0
) -> Iterator[Figure]:
    cost = best(lambda: windows.update(1.0, batch, requests=requests), rounds, ROUND_SECONDS)
    values = sum(map(len, batch.values()))
    yield Figure(f"update, {name}", cost, "µs")
    yield Figure(f"update, {name}", values / cost, "M values/s", goal, more=True)


def ticks(rounds: int) -> Iterator[Figure]:
    """Reading four windows and forming every statistic of every column in each."""
    for columns, goal in TICKS:
        batch = numbers(columns, REFERENCE_ROWS)
        windows, comparison = comparison_of(profile_of(batch), batch)
        for now in range(0, 600, 60):
            windows.update(float(now), {name: values[:500] for name, values in batch.items()})

        def tick(windows: Windows = windows, comparison: Comparison = comparison) -> list[View]:
            views = [windows.read(541.0, length) for length in windows.lengths]
            comparison.measure_all(views, [None] * len(views))
            return views

        name = f"tick, {columns} columns x 4 windows x {len(STATISTICS)} statistics"
        yield Figure(name, best(tick, rounds, ROUND_SECONDS) / 1000, "ms", goal)


def whole_ticks(rounds: int) -> Iterator[Figure]:
    """What the analysis does at a tick: a copy of all windows, every statistic, and the gauges of what is shown."""
    for columns, goal in TICKS:
        batch = numbers(columns, REFERENCE_ROWS)
        series = Series(Key("m", "1", "kserve_v1", "exact"), profile_of(batch), Known(), 0.0)
        rows = tuple([Column(name, "numeric", values[:500]) for name, values in batch.items()])
        answers = Column("prediction", "numeric", batch["x0"][:500])
        for now in range(0, 600, 60):
            series.add(Observation("kserve_v1", 500, rows, (answers,)))
            series.flush(float(now))

        def tick(series: Series = series) -> list[Sample]:
            return gauges((series.state(541.0),))

        name = f"whole tick, {columns} columns, {len(tick())} gauges"
        yield Figure(name, best(tick, rounds, ROUND_SECONDS) / 1000, "ms", goal)


def exchanges(rounds: int) -> Iterator[Figure]:
    """From exchanges of 13 numbers to what is counted of them, by how many are counted together; no reference."""
    exchange = next(cases()).exchange
    engine = Engine((), Known(), (0.1, 1.0), 0.0)
    for together in TOGETHER:

        def count(together: int = together) -> None:
            for _ in range(together):
                engine.record(exchange, engine.understand(exchange), 1.0)
            engine.flush(1.0)

        cost = best(count, rounds, ROUND_SECONDS)
        yield Figure(f"exchanges of 13 numbers, {together} together", cost / together, "µs each")


def memory() -> Iterator[Figure]:
    """Bytes of the rings per column and window: fixed, whatever the traffic."""
    profiled = profile_of(numbers(100, REFERENCE_ROWS)).layout()
    observed = profile_of({}).layout().grown(numbers(100, 10))
    words = profile_of(texts(100, REFERENCE_ROWS)).layout()
    for name, layout in (
        ("profiled number", profiled),
        ("number without a profile", observed),
        ("category", words),
    ):
        windows = Windows(layout)
        held = sum(ring.nbytes for ring in windows.rings) / len(layout.columns) / len(windows.lengths)
        yield Figure(f"memory, {name}, per column and window", held, "bytes", 20_000)


def peers(rounds: int) -> Iterator[Figure]:
    """The same rows through the peers and through us, once per value for updates, once per column for drift."""
    reference, live = numbers(PEER_COLUMNS, PEER_ROWS, 5), numbers(PEER_COLUMNS, PEER_ROWS, 6)
    windows, comparison = comparison_of(profile_of(reference), reference)
    values = PEER_COLUMNS * PEER_ROWS
    update = best(lambda: windows.update(1.0, live), rounds, ROUND_SECONDS)
    yield Figure("update, modeltap, bins and moments of 4 windows", 1000 * update / values, "ns/value")
    view = windows.read(1.0, 300.0)
    drift = best(lambda: comparison.measure(view), rounds, ROUND_SECONDS)
    yield Figure(f"drift, modeltap, {len(STATISTICS)} statistics", drift / PEER_COLUMNS, "µs/column")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.npz"
        sides = {"reference": np.stack(list(reference.values())), "live": np.stack(list(live.values()))}
        np.savez(file, **sides)
        script = ROOT / "bench" / "statistics_peers.py"
        # -P: the script's folder has a module named as one of the standard library.
        run = [str(environment() / "bin" / "python"), "-P", str(script), str(file), str(rounds)]
        done = subprocess.run(run, capture_output=True, text=True, check=False, timeout=1800)
    if done.returncode:
        raise SystemExit(f"the peers could not be measured:\n{done.stderr.strip()[-2000:]}")
    for what, value, unit in json.loads(done.stdout.splitlines()[-1]):
        yield Figure(what, value, unit)


def environment() -> Path:
    """Of the peers, made where it is not there yet."""
    make = [sys.executable, str(ROOT / "tests" / "environments" / "make.py"), "statistics"]
    done = subprocess.run(make, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr.strip())
    return Path(done.stdout.strip())


def main(arguments: Sequence[str]) -> int:
    """Measure and print; returns the exit status: 0, or 2 for arguments that are none."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.statistics", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=20, help="rounds per figure, 1 to 1000 (default 20)")
    parser.add_argument(
        "--peers", action="store_true", help="also Evidently, whylogs and river; installs them once"
    )
    parser.add_argument("--json", default="", metavar="FILE", help="write the figures there too")
    asked = parser.parse_args(arguments)
    if not 1 <= asked.rounds <= 1000:
        parser.error(f"--rounds {asked.rounds}: expected 1 to 1000")
    found = []
    for part in (
        updates(asked.rounds),
        ticks(asked.rounds),
        whole_ticks(asked.rounds),
        exchanges(asked.rounds),
        memory(),
        peers(asked.rounds) if asked.peers else (),
    ):
        for figure in part:
            goal = f"{'>' if figure.more else '<'} {figure.goal:,.0f}" if figure.goal else ""
            print(f"{figure.what:60}{figure.value:>14,.2f} {figure.unit:12}{goal:>10}", flush=True)
            found.append(figure._asdict() | {"met": figure.met})
    if asked.json:
        Path(asked.json).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
