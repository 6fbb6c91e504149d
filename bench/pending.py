"""`python -m bench.pending`: what it costs to keep predictions until their labels come, by store.

In memory: process CPU time per row and per label, bytes and RSS with `--rows` rows pending. SQLite and Redis: wall time
with one client, and for Redis what the server says it uses; it needs redis-server or valkey-server on the path, or
`--redis URL` of one that may be written to. Batches are of 500 rows or labels unless a figure says otherwise. Each time
is the best of several rounds, as in `bench.decode`. The goals are goals: nothing fails that misses one.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from bench.statistics import Figure
from exporter.pending.contract import Label, Limits, Rows, Store
from exporter.pending.memory import Memory
from exporter.pending.redis import Redis
from exporter.pending.row import blank, key, keys, request_digest, version_id
from exporter.pending.sqlite import Sqlite

NOW = 1_700_000_000.0
BATCH = 500
ROWS_IN_ROUND = 20_000
WAIT_SECONDS = 20.0
_VERSION = version_id("bench 1")
_VALUE = b"\0" * 8
_ROOMY = Limits(rows=1 << 30, bytes=1 << 50)
Clock = Callable[[], int]


def batch(start: int, count: int, per_request: int = 1) -> Rows:
    """Rows of requests with ids of their own, keys not yet spent on."""
    values = blank(count, NOW)
    values["version"], values["value"] = _VERSION, 0.5
    values["row"] %= per_request
    names: list[bytes] = []
    for at in range(start, start + count, per_request):
        names += keys(request_digest("request_id", f"{at:032x}"), range(per_request))
    return Rows(names, values)


def batches(start: int, count: int, size: int) -> list[Rows]:
    """So many rows, in batches."""
    return [batch(at, size) for at in range(start, start + count, size)]


def measured(make: Callable[[], Store], rounds: int, size: int, clock: Clock) -> tuple[float, float]:
    """The best of the rounds, each on an empty store: µs per row put, and per label taken."""
    put = took = float("inf")
    given = batches(0, ROWS_IN_ROUND // size * size, size)
    labels = [[Label(name, _VALUE, NOW) for name in rows.keys] for rows in given]
    total = sum(len(rows.keys) for rows in given)
    for _ in range(rounds):
        store = make()
        store.counts()  # connects
        start = clock()
        for rows in given:
            store.put(rows, NOW)
        middle = clock()
        joined = sum(sum(taken.outcome == "joined" for taken in store.take(some, NOW)) for some in labels)
        put, took = min(put, middle - start), min(took, clock() - middle)
        assert joined == total, f"{joined} of {total} joined; lost: {store.lost}"
        store.close()
    return put / total / 1000, took / total / 1000


def in_memory(rounds: int) -> Iterator[Figure]:
    """Process CPU time by size of the batch, and of making keys."""
    for size, goal in ((BATCH, 2.0), (20, 0.0), (1, 0.0)):
        put, took = measured(lambda: Memory(_ROOMY), rounds, size, time.process_time_ns)
        yield Figure(f"memory, put, batches of {size}", put, "µs/row", goal)
        yield Figure(f"memory, take, batches of {size}", 1e6 / took, "labels/s", goal and 50_000, more=True)
    for rows in (1, 100):
        start = time.process_time_ns()
        for at in range(0, ROWS_IN_ROUND, rows):
            keys(request_digest("request_id", f"{at:032x}"), range(rows))
        spent = (time.process_time_ns() - start) / ROWS_IN_ROUND / 1000
        yield Figure(f"keys, requests of {rows} rows", spent, "µs/row")


def held(count: int) -> Iterator[Figure]:
    """RSS of this process with so many rows pending, one to a request, and the longest that one batch took."""
    process = psutil.Process()
    before, store, longest = process.memory_info().rss, Memory(_ROOMY), 0
    for at in range(0, count, BATCH):
        rows = batch(at, min(BATCH, count - at))
        start = time.perf_counter_ns()
        store.put(rows, NOW)
        longest = max(longest, time.perf_counter_ns() - start)
    after, found = process.memory_info().rss, store.counts()
    assert found.pending == count
    yield Figure(f"memory, {count:,} pending, RSS", after / 2**20, "MiB")
    yield Figure(f"memory, {count:,} pending, RSS grew by", (after - before) / count, "bytes/row", 200)
    yield Figure(f"memory, {count:,} pending, own estimate", found.held_bytes / count, "bytes/row")
    yield Figure(f"memory, {count:,} pending, longest put of {BATCH}", longest / 1e6, "ms")
    some = [
        Label(key(request_digest("request_id", f"{at:032x}"), 0), _VALUE, NOW)
        for at in range(0, count, max(1, count // 5000))
    ]
    start = time.process_time_ns()
    store.take(some, NOW)
    spent = (time.process_time_ns() - start) / len(some) / 1000
    yield Figure(f"memory, {count:,} pending, take", 1e6 / spent, "labels/s", 50_000, more=True)


def on_sqlite(rounds: int) -> Iterator[Figure]:
    """Wall time, in a new file on the disk of temporary files; bytes of the file."""
    with tempfile.TemporaryDirectory() as folder:
        files = iter(range(1 << 30))

        def make() -> Store:
            return Sqlite(Path(folder) / f"{next(files)}.db", _ROOMY)

        put, took = measured(make, rounds, BATCH, time.perf_counter_ns)
        yield Figure("sqlite, put", put, "µs/row")
        yield Figure("sqlite, take", 1e6 / took, "labels/s")
        store = make()
        for rows in batches(0, 100_000, BATCH):
            store.put(rows, NOW)
        store.close()
        size = max(file.stat().st_size for file in Path(folder).glob("*.db"))
        yield Figure("sqlite, 100,000 pending, file", size / 100_000, "bytes/row", 200)


def on_redis(url: str, rounds: int) -> Iterator[Figure]:
    """What the server uses, while nothing else is in it; wall time with one client."""
    spaces = iter(range(1 << 30))

    def make() -> Redis:
        return Redis(url, _ROOMY, f"bench{next(spaces)}", timeout_seconds=WAIT_SECONDS)

    store = make()
    before = _used(store)
    for rows in batches(0, 200_000, BATCH):
        store.put(rows, NOW)
    yield Figure("redis, 200,000 pending, server", (_used(store) - before) / 200_000, "bytes/row", 200)
    store.close()

    for size, goal in ((BATCH, 20_000), (1, 0)):
        put, took = measured(make, rounds, size, time.perf_counter_ns)
        yield Figure(f"redis, put, batches of {size}", put, "µs/row")
        yield Figure(f"redis, take, batches of {size}", 1e6 / took, "labels/s", goal, more=True)


def _used(store: Redis) -> int:
    (told,) = store._link.ask(("INFO", "memory"))
    return int(told["used_memory"])


@contextmanager
def server(url: str) -> Iterator[str]:
    """The server to use: the one that was named, or one of our own on a unix socket; "" if there is none."""
    command = next(filter(None, map(shutil.which, ("redis-server", "valkey-server"))), None)
    if url or command is None:
        yield url
        return
    with tempfile.TemporaryDirectory() as folder:
        socket = f"{folder}/redis.sock"
        options = ["--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder]
        with subprocess.Popen([command, *options], stdout=subprocess.DEVNULL) as process:
            try:
                deadline = time.monotonic() + WAIT_SECONDS
                while not Path(socket).exists() and time.monotonic() < deadline:
                    time.sleep(0.02)
                yield f"unix://{socket}"
            finally:
                process.terminate()


def main(arguments: Sequence[str]) -> int:
    """Measure and print; returns the exit status: 0, or 2 for arguments that are none."""
    parser = argparse.ArgumentParser(prog="python -m bench.pending", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds per figure, 1 to 1000 (default 5)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows to hold (default 1,000,000)")
    parser.add_argument(
        "--redis", default="", metavar="URL", help="a server to write to (default: one of its own)"
    )
    parser.add_argument("--json", default="", metavar="FILE", help="write the figures there too")
    asked = parser.parse_args(arguments)
    if not 1 <= asked.rounds <= 1000 or not 1000 <= asked.rows <= 1 << 28:
        print(
            "bench.pending: expected --rounds from 1 to 1000, --rows from 1000 to 268435456", file=sys.stderr
        )
        return 2
    found: list[Figure] = []
    with server(asked.redis) as url:
        parts = [in_memory(asked.rounds), held(asked.rows), on_sqlite(asked.rounds)]
        if url:
            parts.append(on_redis(url, asked.rounds))
        else:
            print(
                "bench.pending: no redis-server nor valkey-server was found: without Redis", file=sys.stderr
            )
        for figure in (figure for part in parts for figure in part):
            sign = "≥" if figure.more else "≤"
            goal = f"{sign} {figure.goal:,.0f} {'met' if figure.met else 'missed'}" if figure.goal else ""
            print(f"{figure.what:55}{figure.value:>14,.2f} {figure.unit:10} {goal}", flush=True)
            found.append(figure)
    if asked.json:
        with open(asked.json, "w", encoding="utf-8") as file:
            json.dump([figure._asdict() for figure in found], file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
