"""Evidently, whylogs and river on the rows of a file: run by `bench.statistics` in an environment of their own.

`statistics_peers.py ROWS.npz ROUNDS` prints one line of JSON: [what, value, unit] each. Imports nothing of ours.
Process CPU time, the best of several rounds, each a single pass over all rows.
"""

import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator

import numpy as np

warnings.simplefilter("ignore")
MOST_ROUNDS = 3  # a pass takes the peers long; the best of three is steady to a few per cent


def best(call: Callable[[], object], rounds: int) -> float:
    """µs of process CPU of the best round, after one that is thrown away."""
    lowest = float("inf")
    for number in range(min(rounds, MOST_ROUNDS) + 1):
        before = time.process_time_ns()
        call()
        if number:
            lowest = min(lowest, (time.process_time_ns() - before) / 1000)
    return lowest


def river(live: np.ndarray, rounds: int) -> Iterator[tuple[str, float, str]]:
    """Mean, variance and a histogram of 20 bins per column, value by value as river takes them; KSWIN for drift."""
    from river import drift, sketch, stats

    def update() -> None:
        for column in live.tolist():
            mean, variance, histogram = stats.Mean(), stats.Var(), sketch.Histogram(max_bins=20)
            for value in column:
                mean.update(value)
                variance.update(value)
                histogram.update(value)

    yield "update, river, mean, variance and histogram", 1000 * best(update, rounds) / live.size, "ns/value"

    def kswin() -> None:
        detector = drift.KSWIN(seed=1)
        for value in live[0, :1000].tolist():
            detector.update(value)

    yield "update, river, KSWIN (sequential KS)", best(kswin, 1), "ns/value"  # µs of 1,000 values


def whylogs(reference: np.ndarray, live: np.ndarray, rounds: int) -> Iterator[tuple[str, float, str]]:
    """A profile of the rows, then Hellinger and KS of each column from both profiles."""
    import pandas
    import whylogs as why
    from whylogs.viz.drift.column_drift_algorithms import KS, Hellinger, calculate_drift_scores

    frames = [
        pandas.DataFrame({f"x{at}": column for at, column in enumerate(side)}) for side in (reference, live)
    ]
    yield "update, whylogs, sketches", 1000 * best(lambda: why.log(frames[1]), rounds) / live.size, "ns/value"
    views = [why.log(frame).profile().view() for frame in frames]

    def drift() -> None:
        for algorithm in (Hellinger, KS):
            chosen = {name: algorithm() for name in frames[0].columns}
            calculate_drift_scores(target_view=views[1], reference_view=views[0], drift_map=chosen)

    yield "drift, whylogs, 2 statistics", best(drift, rounds) / len(live), "µs/column"


def evidently(reference: np.ndarray, live: np.ndarray, rounds: int) -> Iterator[tuple[str, float, str]]:
    """Five tests of each column from the rows of both sides, which have to be kept for it."""
    import pandas
    from evidently.legacy.calculations import stattests
    from evidently.legacy.core import ColumnType

    chosen = ("psi", "jensenshannon", "hellinger", "ks", "wasserstein")
    tests = [getattr(stattests, f"{name}_stat_test") for name in chosen]
    columns = [(pandas.Series(one), pandas.Series(other)) for one, other in zip(reference, live, strict=True)]

    def drift() -> None:
        for one, other in columns:
            for test in tests:
                test(one, other, ColumnType.Numerical, 0.1)

    yield f"drift, Evidently, {len(tests)} statistics", best(drift, rounds) / len(live), "µs/column"


def main(file: str, rounds: int) -> None:
    """Every peer in turn."""
    rows = np.load(file, allow_pickle=False)
    reference, live = rows["reference"], rows["live"]
    found = [*river(live, rounds), *whylogs(reference, live, rounds), *evidently(reference, live, rounds)]
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
