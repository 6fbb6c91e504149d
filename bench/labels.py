"""`python -m bench.labels`: what the join costs: a predicted row that begins to wait, and a label that meets it.

The first in CPU time of the analysis' thread beyond what it takes without labels, on exchanges that were decoded
before, by how many are counted together; the second in wall time, from the bytes of a body to the counted sums, by
store. Each is the best of several rounds. The goals are goals: nothing fails that misses one.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

import msgspec
import numpy as np

from bench.exchanges import Message, exchange
from bench.pending import server
from bench.procfs import rss_bytes
from bench.statistics import ROOT, Figure, environment
from exporter.analysis.engine import Engine
from exporter.analysis.known import Known
from exporter.parts.label_store import store_of
from exporter.parts.labels import Labels
from exporter.pending.contract import Label, Limits, Rows
from exporter.pending.memory import Memory
from exporter.pending.row import FIRST, blank, request_digest
from exporter.records.exchange import Exchange
from exporter.records.observation import Observation
from exporter.settings.config import Config

NOW = 1_700_000_000.0
ROWS = 20_000
# Exchanges in a batch of the data plane's, and the most in a round of the analysis', which takes batches that wait.
TOGETHER = (64, 512)
_BODY = 500  # labels
_CHUNK = 20_000
Decoded = list[tuple[Exchange, Observation]]
Feed = Callable[[], tuple[list[bytes], int]]


class Side:
    """An engine, and labels in a store of their own."""

    def __init__(self, place: str) -> None:
        known = Known(task="binary", positive_class="1")
        config = Config(upstream="http://bench", label_store=place, label_rows=1 << 24)
        store = store_of(config)
        assert store is not None
        self.labels = Labels(config, known, store, NOW)
        self.labels.start()
        self.engine = Engine((), known, (0.1,), NOW)

    def decoded(self, prefix: str, rows: int) -> Decoded:
        """Exchanges of so many rows each, with ids of their own."""
        scores = np.random.default_rng(rows).random(rows).tolist()
        answer = {"model_name": "m", "model_version": "1", "outputs": [_tensor("p", scores)]}
        request = Message(json.dumps({"inputs": [_tensor("x", scores)]}).encode())
        one = exchange("/v2/models/m/infer", request, Message(json.dumps(answer).encode()))
        found = self.engine.understand(one)
        assert not isinstance(found, str), found
        heads = (
            f"POST / HTTP/1.1\r\nx-request-id: {prefix}{number}\r\n\r\n" for number in range(ROWS // rows)
        )
        start = int(NOW * 1e9)
        return [
            (msgspec.structs.replace(one, request_head=head.encode(), start=start), found) for head in heads
        ]

    def record(self, decoded: Decoded, together: int, joined: bool) -> float:
        """µs of this thread for each row, with so many exchanges in a round."""
        self.engine.joining = self.labels.joining if joined else None
        began = time.thread_time_ns()
        for start in range(0, len(decoded), together):
            for one, found in decoded[start : start + together]:
                self.engine.record(one, found, NOW)
            self.engine.flush(NOW)
        return (time.thread_time_ns() - began) / 1000 / sum(found.rows for _, found in decoded)

    async def take(self, bodies: Sequence[bytes], labels: int) -> float:
        """Labels per second; each met its row."""
        await self.labels.ask(lambda store: store.counts(), None)
        began = time.perf_counter()
        answers = [answer for body in bodies for answer in await self.labels.take(body, "json", NOW + 60)]
        took = time.perf_counter() - began
        words = [word for answer in answers for word in answer]
        assert words.count("joined") == labels == len(words), f"{set(words)}: {len(words)} of {labels}"
        return labels / took


def measured(place: Callable[[int], str], rows: int, rounds: int) -> tuple[dict[int, float], float]:
    """The best of the rounds, each on an empty store: µs per row by size of a round, labels per second."""
    costs = {(together, joined): float("inf") for together in TOGETHER for joined in (False, True)}
    rate = 0.0

    async def main(number: int) -> None:
        nonlocal rate
        side = Side(place(number))
        try:
            decoded = side.decoded(f"{number}-{rows}-", rows)
            for how, cost in costs.items():
                costs[how] = min(cost, side.record(decoded, *how))
            each = [{"id": f"{number}-{rows}-{at}", "labels": [1] * rows} for at in range(ROWS // rows)]
            step = max(1, _BODY // rows)
            bodies = [json.dumps(each[start : start + step]).encode() for start in range(0, len(each), step)]
            rate = max(rate, await side.take(bodies, len(each) * rows))
        finally:
            await side.labels.stop(60.0)

    for number in range(rounds):
        asyncio.run(main(number))
    return {together: costs[together, True] - costs[together, False] for together in TOGETHER}, rate


def _tensor(name: str, values: list[float]) -> dict[str, Any]:
    return {"name": name, "shape": [len(values)], "datatype": "FP64", "data": values}


def figures(rounds: int, url: str) -> Iterator[Figure]:
    """By store and rows of a request."""
    with tempfile.TemporaryDirectory() as folder:
        places: dict[str, tuple[Callable[[int], str], float]] = {
            "memory": (lambda number: "memory", 50_000.0),
            "sqlite": (lambda number: f"sqlite:{folder}/{time.monotonic_ns()}.db", 0.0),
        }
        if url:
            places["redis"] = (lambda number: f"{url}#{time.monotonic_ns()}", 20_000.0)
        for name, (place, goal) in places.items():
            for rows in (1, 50):
                costs, rate = measured(place, rows, rounds)
                of = f"requests of {rows}"
                for together, cost in costs.items() if name == "memory" else ():
                    yield Figure(f"a predicted row, {of}, {together} together", cost, "µs/row", 2.0)
                yield Figure(f"{name}, labels joined and counted, {of}", rate, "labels/s", goal, more=True)


def peers(rounds: int, rows: int) -> Iterator[Figure]:
    """What others do in a batch job, on as many predictions and labels."""
    script = ROOT / "bench" / "labels_peers.py"
    run = [str(environment() / "bin" / "python"), "-P", str(script), str(rows), str(rounds)]
    done = subprocess.run(run, capture_output=True, text=True, check=False, timeout=1800)
    if done.returncode:
        raise SystemExit(f"the peers could not be measured:\n{done.stderr.strip()[-2000:]}")
    for what, value, unit in json.loads(done.stdout.splitlines()[-1]):
        yield Figure(what, value, unit, more=True)


def join_of(rows: int) -> Iterator[Figure]:
    """So many rows that wait in memory, all labelled, through the same contract; what they take beside."""
    limits = Limits(rows=rows, bytes=rows * 256)
    store, seconds, before = Memory(limits), [0.0, 0.0], rss_bytes(os.getpid())
    for side in (0, 1):
        for start in range(0, rows, _CHUNK):
            digests = [request_digest("", str(at)) for at in range(start, min(start + _CHUNK, rows))]
            names = [digest + FIRST for digest in digests]
            labels = [Label(name, b"x" * 20, NOW + 60) for name in names] if side else []
            packed = blank(len(names), NOW)
            began = time.perf_counter()
            if side:
                store.take(labels, NOW + 60)
            else:
                store.put(Rows(names, packed), NOW)
            seconds[side] += time.perf_counter() - began
        if not side:
            yield Figure(
                f"memory, {rows:,} rows wait", (rss_bytes(os.getpid()) - before) / rows, "B/row", 200.0
            )
    counts = store.counts()
    assert counts is not None and counts.joined == rows, counts
    yield Figure(f"memory, a row of {rows:,} is put", seconds[0] / rows * 1e6, "µs/row", 0.0)
    yield Figure(f"memory, labels meet {rows:,} rows", rows / seconds[1], "labels/s", 50_000.0, more=True)


def main(arguments: Sequence[str]) -> int:
    """Measure and print; returns the exit status: 0, or 2 for arguments that are none."""
    parser = argparse.ArgumentParser(prog="python -m bench.labels", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds per figure, 1 to 1000 (default 5)")
    parser.add_argument(
        "--redis", default="", metavar="URL", help="a server to write to (default: one of its own)"
    )
    parser.add_argument(
        "--join",
        type=int,
        default=0,
        metavar="ROWS",
        help="join so many in memory, such as 10000000 (0: none)",
    )
    parser.add_argument(
        "--peers", action="store_true", help="pandas and scikit-learn on the same number of rows"
    )
    asked = parser.parse_args(arguments)
    if not 1 <= asked.rounds <= 1000:
        print("bench.labels: expected --rounds from 1 to 1000", file=sys.stderr)
        return 2
    with server(asked.redis) as url:
        joins = join_of(asked.join) if asked.join > 0 else iter(())
        others = peers(asked.rounds, asked.join or ROWS) if asked.peers else iter(())
        for figure in chain(figures(asked.rounds, url), joins, others):
            sign = "≥" if figure.more else "≤"
            goal = f"{sign} {figure.goal:,.0f} {'met' if figure.met else 'missed'}" if figure.goal else ""
            print(f"{figure.what:55}{figure.value:>14,.2f} {figure.unit:10} {goal}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
