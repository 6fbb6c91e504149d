"""`python -m bench.gather`: what a whole scrape costs the analysis, by number of columns, in process CPU time.

The engine, the windows, the totals and the rendering of the sidecar itself, over a reference of so many numeric columns
and exchanges of its model, stage by stage: copied on the event loop, gathered, held back where new, rendered. What
`bench.publish` has is the last of them alone, against others. Each figure is the best of several rounds.
"""

import argparse
import gc
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from bench.decode import best
from exporter.analysis.engine import Engine
from exporter.analysis.exemplars import Found
from exporter.analysis.hold import Hold
from exporter.analysis.known import Known
from exporter.analysis.traffic import Traffic
from exporter.analysis.window_report import gauges
from exporter.parts.rendering import Rendering
from exporter.publish.prometheus import Caches, render
from exporter.records.catalogue import LATENCY_BUCKETS
from exporter.records.exchange import Exchange
from exporter.records.sample import Sample
from exporter.records.totals import Layout, create
from exporter.stats.profiles.build import Column, ProfileConfig, build

COLUMNS = (5, 50, 200)
ROUND_SECONDS = 0.05
_ROWS = 256


class Analysis:
    """An engine that has counted some exchanges, and what renders it; `changed` counts one more."""

    def __init__(self, columns: int) -> None:
        self._now = time.time()
        rng = np.random.default_rng(7)
        names = [f"feature{number}" for number in range(columns)]
        data = {name: Column(rng.normal(0.0, 1.0, 5000)) for name in names}
        profile = build(
            {**data, "score": Column(rng.random(5000), "prediction")}, ProfileConfig("churn", "2")
        )
        layout = Layout(LATENCY_BUCKETS)
        self._engine = Engine([profile], Known(), LATENCY_BUCKETS, self._now)
        self._exchanges = [_exchange(rng, names) for _ in range(4)]
        self.hold = Hold(15.0)
        traffic = Traffic([create(layout)], layout)
        self.rendering = Rendering(traffic, self.hold)
        self.rendering.add(lambda: self._gauges)
        self._gauges: list[Sample] = []
        for _ in range(2):
            self.changed()
        self._gauges = gauges(self._engine.windows(self._now), frozenset())

    def changed(self) -> None:
        """Other exchanges, as between two scrapes."""
        for exchange in self._exchanges:
            self._engine.record(exchange, self._engine.understand(exchange), self._now)
        self._engine.flush(self._now)

    def copied(self) -> tuple[Any, Found]:
        """What the event loop does."""
        return self._engine.snapshot(self._now), self._engine.exemplars.copy()


def _exchange(rng: np.random.Generator, names: Sequence[str]) -> Exchange:
    def tensor(name: str, values: Any) -> dict[str, Any]:
        return {"name": name, "shape": [_ROWS], "datatype": "FP64", "data": values.tolist()}

    inputs = [tensor(name, rng.normal(0.0, 1.0, _ROWS)) for name in names]
    answer = {"model_name": "churn", "model_version": "2", "outputs": [tensor("score", rng.random(_ROWS))]}
    heads = (b"POST /v2/models/churn/infer HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n")
    bodies = (json.dumps({"inputs": inputs}).encode(), json.dumps(answer).encode())
    words = ("POST", "/v2/models/churn/infer", "predict", "open_inference_v2", "churn", "2")
    now = time.time_ns()
    return Exchange(*heads, *bodies, *words, 200, "", now, 9000, 8000, 0, 0, 450, 80, True, True, "r-1", 1.0)


class Stage(NamedTuple):
    """One part of a scrape."""

    what: str
    call: Callable[[], object]


def stages(columns: int) -> tuple[int, list[Stage]]:
    """How many samples there are, and every part of a scrape of them, the whole last."""
    analysis = Analysis(columns)
    copied, caches = analysis.copied(), Caches(40_000)
    gathered = analysis.rendering.gather(*copied)
    list(analysis.hold.apply(gathered, time.time()))
    render_whole = lambda: analysis.rendering.render(*analysis.copied(), "", frozenset())  # noqa: E731
    return len(gathered), [
        Stage("copied", analysis.copied),
        Stage("gathered", lambda: analysis.rendering.gather(*copied)),
        Stage("held back", lambda: list(analysis.hold.apply(gathered, time.time()))),
        Stage("rendered", lambda: render(gathered, "", caches=caches)),
        Stage("whole scrape", render_whole),
    ]


def main(arguments: Sequence[str]) -> int:
    """Measure and print; returns the exit status: 0, or 2 for arguments that are none."""
    parser = argparse.ArgumentParser(prog="python -m bench.gather", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10, help="rounds per stage, 1 to 1000 (default 10)")
    parser.add_argument("--columns", type=int, action="append", help="how many; may be repeated")
    asked = parser.parse_args(arguments)
    if not 1 <= asked.rounds <= 1000 or min(asked.columns or COLUMNS) < 1:
        print("bench.gather: expected --rounds from 1 to 1000, --columns from 1", file=sys.stderr)
        return 2
    # As the analysis has it, see telemetry.py.
    gc.set_threshold(50_000, 20, 50)
    print(f"{'':16}{'columns':>10}{'samples':>10}{'ms of CPU':>12}")
    for columns in asked.columns or COLUMNS:
        samples, found = stages(columns)
        gc.freeze()
        for stage in found:
            cost = best(stage.call, asked.rounds, ROUND_SECONDS) / 1000
            print(f"{stage.what:16}{columns:>10,}{samples:>10,}{cost:>12.2f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
