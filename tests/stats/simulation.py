"""Windows without drift, and with known shifts, as tables: thousands at once, seeded.

`python -m tests.stats.simulation` prints the tables of docs/statistics.md from 20,000 windows each (some minutes).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats as oracle

from exporter.stats import STATISTICS
from exporter.stats.bins import FloatArray, IntArray
from exporter.stats.clusters import effective_rows
from exporter.stats.table import Table

REFERENCE_ROWS = 10_000
MOST_VALUES = 1000  # rows up to which each value is drawn; of more only counts, and sums that are normal
ROWS = (50, 100, 200, 500, 1000, 10_000, 100_000)
BINS = (5, 10, 20)
NAMES = [statistic.name for statistic in STATISTICS]


@dataclass(frozen=True)
class Shape:
    """A distribution: its quantile function, and the shares of its bins from the lowest value on."""

    name: str
    quantile: Callable[[FloatArray], FloatArray]
    shares: Callable[[int], FloatArray]


def even(bins: int) -> FloatArray:
    """Quantile bins: all equally full."""
    return np.full(bins, 1.0 / bins)


def uneven(bins: int) -> FloatArray:
    """Shares as 1, 1/2, 1/3 .. of ties and categories."""
    weights = 1.0 / np.arange(1, bins + 1)
    return weights / weights.sum()


def rare(bins: int) -> FloatArray:
    """One bin with nearly all rows, the others share 5 %."""
    return np.array([0.95, *[0.05 / (bins - 1)] * (bins - 1)])


NORMAL = Shape("normal", oracle.norm.ppf, even)
SHAPES = (
    NORMAL,
    Shape("exponential", oracle.expon.ppf, even),
    Shape("lognormal", oracle.lognorm(1.0).ppf, even),
    Shape("uneven", oracle.norm.ppf, uneven),
    Shape("rare", oracle.norm.ppf, rare),
)


def steep(bins: int) -> FloatArray:
    """Shares as 1, 1/4, 1/9 .."""
    weights = 1.0 / np.arange(1, bins + 1) ** 2
    return weights / weights.sum()


def two_levels(bins: int) -> FloatArray:
    """The lower half of the bins holds four times as much each."""
    weights = np.where(np.arange(bins) < bins // 2, 4.0, 1.0)
    return weights / weights.sum()


def at_random(bins: int) -> FloatArray:
    """Shares without a pattern, none below 0.2 % of the rest."""
    weights = np.maximum(np.random.default_rng(bins + 99).dirichlet(np.ones(bins)), 0.002)
    return weights / weights.sum()


# The constants of critical values were fitted on SHAPES and BINS; these, with seeds of their own, they have not seen.
HELD_OUT = (
    Shape("steep", oracle.norm.ppf, steep),
    Shape("two levels", oracle.norm.ppf, two_levels),
    Shape("random", oracle.norm.ppf, at_random),
    Shape("laplace", oracle.laplace.ppf, even),
    Shape("student, 5 degrees", oracle.t(5).ppf, even),
)
HELD_OUT_BINS, HELD_OUT_ROWS = (3, 7, 15, 25), (60, 150, 300, 800, 5000, 50_000)


def bin_values(shape: Shape, shares: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """Mean and standard deviation of the values inside each bin, and of all values, from 200,000 quantiles."""
    values = shape.quantile((np.arange(200_000) + 0.5) / 200_000)
    places = np.searchsorted(np.cumsum(shares)[:-1], (np.arange(200_000) + 0.5) / 200_000)
    count = np.bincount(places, minlength=len(shares))
    mean = np.bincount(places, values, len(shares)) / count
    square = np.bincount(places, values**2, len(shares)) / count
    return mean, np.sqrt(np.maximum(square - mean**2, 0)), float(values.std())


def table(live: IntArray, reference: IntArray, shape: Shape, rng: np.random.Generator) -> Table:
    """A row per window; sums of a bin are normal around its mean, as sums of its many values are."""
    shares = shape.shares(live.shape[1])
    mean, sd, std = bin_values(shape, shares)
    sums = tuple(c * mean + np.sqrt(c) * sd * rng.normal(size=c.shape) for c in (reference, live))
    rows = live.sum(axis=1).astype(np.float64)
    return Table(reference, live, np.ones(live.shape, np.bool_), rows, sums, np.full(len(live), std))


def without_drift(shape: Shape, bins: int, rows: int, windows: int, seed: int) -> Table:
    """Live rows from the reference's own distribution; each window has a reference of its own."""
    rng = np.random.default_rng(seed)
    shares = shape.shares(bins)
    reference = rng.multinomial(REFERENCE_ROWS, shares, size=windows)
    if rows > MOST_VALUES:
        return table(rng.multinomial(rows, shares, size=windows), reference, shape, rng)
    step = max(1, 1_000_000 // rows)
    parts = [
        drawn(shape, shares, (min(step, windows - first), rows), rng) for first in range(0, windows, step)
    ]
    live, sums = (np.concatenate(side) for side in zip(*parts, strict=True))
    made = table(live, reference, shape, rng)
    return replace(made, sums=(made.sums[0], sums)) if made.sums else made


def drawn(
    shape: Shape, shares: FloatArray, size: tuple[int, int], rng: np.random.Generator
) -> tuple[IntArray, FloatArray]:
    """Counts and sums of the bins of (windows, rows) values."""
    uniform = rng.random(size)
    places = np.searchsorted(np.cumsum(shares)[:-1], uniform) + np.arange(size[0])[:, None] * len(shares)
    cells = size[0] * len(shares)
    counts = np.bincount(places.ravel(), minlength=cells)
    sums = np.bincount(places.ravel(), shape.quantile(uniform).ravel(), cells)
    return counts.reshape(-1, len(shares)), sums.reshape(-1, len(shares))


@dataclass(frozen=True)
class Requests:
    """Rows come in requests; a row repeats its request's own bin with `copied` probability: correlation copied^2."""

    requests: int
    rows: int
    copied: float


def in_requests(shape: Shape, bins: int, batch: Requests, windows: int, seed: int) -> tuple[Table, Table]:
    """Without drift, but rows of a request are alike: judged by effective rows, and by all rows."""
    rng = np.random.default_rng(seed)
    shares = shape.shares(bins)
    live = np.zeros((windows, bins), np.int64)
    squares = np.zeros(windows, np.int64)
    for window in range(windows):
        own = rng.choice(bins, (batch.requests, 1), p=shares)
        other = rng.choice(bins, (batch.requests, batch.rows), p=shares)
        found = np.where(rng.random(other.shape) < batch.copied, own, other)
        counts = np.zeros((batch.requests, bins), np.int64)
        np.add.at(counts, (np.repeat(np.arange(batch.requests), batch.rows), found.ravel()), 1)
        live[window], squares[window] = counts.sum(axis=0), np.square(counts).sum()
    reference = rng.multinomial(REFERENCE_ROWS, shares, size=windows)
    plain = table(live, reference, shape, rng)
    rows = np.full(windows, batch.requests * batch.rows)
    clusters = np.array([rows, np.full(windows, batch.requests * batch.rows**2), squares])
    agreement = np.square(live / rows[:, None]).sum(axis=1)
    return replace(plain, effective=effective_rows(rows.astype(np.float64), agreement, clusters)), plain


def in_periods(spread: float, periods: int, rows: int, windows: int, seed: int) -> dict[str, tuple[int, int]]:
    """Alarms of PSI's kin without and with the reference's own level, where each period's shares differ a little.

    A period's ten shares are Dirichlet(spread) around even ones; the reference has so many periods, its level is mean +
    3 sigma of the statistic of each against the rest. Returns alarms by critical value, and by all yardsticks.
    """
    rng = np.random.default_rng(seed)
    found = dict.fromkeys(NAMES, (0, 0))
    alpha = np.full(10, spread / 10)
    for _ in range(windows):
        shares = rng.dirichlet(alpha, periods + 1)
        counts = np.array([rng.multinomial(rows, one) for one in shares])
        past, now = counts[:-1], counts[-1:]
        whole = past.sum(axis=0)
        own = table(past, whole - past, NORMAL, rng)
        live = table(now, whole[None], NORMAL, rng)
        for statistic in STATISTICS:
            values, one = statistic.find(own).value, statistic.find(live)
            level = values.mean() + 3 * values.std()
            above = bool(one.value[0] > one.critical[0])
            plain, judged = found[statistic.name]
            found[statistic.name] = plain + above, judged + (above and bool(one.value[0] > level))
    return found


def shifted(quantiles: FloatArray, rows: int, windows: int, seed: int) -> Table:
    """Live rows whose bins are those of a standard normal's deciles, drawn from other values: `quantiles` of them."""
    rng = np.random.default_rng(seed)
    edges = oracle.norm.ppf(np.arange(1, 10) / 10)
    places = np.searchsorted(edges, quantiles)
    shares = np.bincount(places, minlength=10) / len(quantiles)
    reference = rng.multinomial(REFERENCE_ROWS, even(10), size=windows)
    live = rng.multinomial(rows, shares, size=windows)
    made = table(live, reference, NORMAL, rng)
    means = np.bincount(places, quantiles, 10) / np.maximum(np.bincount(places, minlength=10), 1)
    return replace(made, sums=(made.sums[0], live * means)) if made.sums else made


_GRID = oracle.norm.ppf((np.arange(100_000) + 0.5) / 100_000)
SHIFTS: dict[str, FloatArray] = {
    "mean + 0.1 sd": _GRID + 0.1,
    "mean + 0.25 sd": _GRID + 0.25,
    "mean + 0.5 sd": _GRID + 0.5,
    "sd x 1.25": _GRID * 1.25,
    "sd x 1.5": _GRID * 1.5,
    "5 % at + 4 sd": np.where(np.arange(100_000) % 20 == 0, 4.0, _GRID),
}


@dataclass(frozen=True)
class Rates:
    """Of one statistic over many windows: how many had it, share above the critical value, mean over mean floor."""

    known: int
    alarms: int
    bias: float

    @property
    def rate(self) -> float:
        return self.alarms / self.known if self.known else 0.0


def rates(compared: Table) -> dict[str, Rates]:
    """Every statistic of a table."""
    found = {}
    for statistic in STATISTICS:
        one = statistic.find(compared)
        ready = one.ready()
        value, floor, critical = (array[ready] for array in (one.value, one.floor, one.critical))
        bias = float(value.mean() / floor.mean()) if ready.any() else 0.0
        found[statistic.name] = Rates(int(ready.sum()), int((value > critical).sum()), bias)
    return found


def print_false_alarms(windows: int) -> None:
    """Per 1,000 windows, the largest of 5, 10 and 20 bins, by shape and rows; then the mean of all."""
    print("| shape | rows |", " | ".join(NAMES), "|\n|" + "---|" * (2 + len(NAMES)))
    every = []
    for shape in SHAPES:
        for rows in ROWS:
            found = [rates(without_drift(shape, bins, rows, windows, bins * rows)) for bins in BINS]
            cells = np.array([[1000 * one.rate for one in by.values()] for by in found if by["psi"].known])
            every.extend(cells)
            print(f"| {shape.name} | {rows:,} |", _row(cells.max(axis=0)), "|", flush=True)
    print("| mean of all | |", _row(np.mean(every, axis=0)), "|")


def _row(cells: FloatArray) -> str:
    return " | ".join(f"{cell:.2f}" for cell in cells)


def print_held_out(windows: int) -> None:
    """Per 1,000 windows: mean and largest of all shapes, bins and rows that no constant was fitted on."""
    print("\n| held out |", " | ".join(NAMES), "|\n|" + "---|" * (1 + len(NAMES)))
    cells = []
    for shape in HELD_OUT:
        for bins in HELD_OUT_BINS:
            for rows in HELD_OUT_ROWS:
                seed = 10_000_019 + 997 * bins + rows + len(shape.name)
                found = rates(without_drift(shape, bins, rows, windows, seed))
                if found["wasserstein"].known > windows // 10:
                    cells.append([1000 * one.rate for one in found.values()])
    print(
        "| mean |",
        _row(np.mean(cells, axis=0)),
        "|\n| largest |",
        _row(np.max(cells, axis=0)),
        "|",
        flush=True,
    )


def print_requests(windows: int) -> None:
    """Per 1,000 windows, judged by effective rows and by all rows."""
    print("\n| requests x rows | correlation |", " | ".join(NAMES), "|\n|" + "---|" * (2 + len(NAMES)))
    for requests, rows in ((200, 5), (200, 50), (1000, 10)):
        for copied in (0.0, 0.5, 1.0):
            batch = Requests(requests, rows, copied)
            both = [rates(one) for one in in_requests(NORMAL, 10, batch, windows, requests + rows)]
            cells = [f"{1000 * both[0][name].rate:.2f} ({1000 * both[1][name].rate:.0f})" for name in NAMES]
            print(f"| {requests} x {rows} | {copied**2:.2f} |", " | ".join(cells), "|", flush=True)


def print_periods(windows: int) -> None:
    """Per 1,000 windows: by critical value and effect-free, then with the reference's own level."""
    print("\n| periods | spread |", " | ".join(NAMES), "|\n|" + "---|" * (2 + len(NAMES)))
    for periods in (8, 30):
        for spread in (200.0, 1000.0):
            found = in_periods(spread, periods, 2000, windows, periods)
            cells = [
                f"{1000 * all_ / windows:.1f} ({1000 * one / windows:.0f})" for one, all_ in found.values()
            ]
            print(f"| {periods} | {spread:g} |", " | ".join(cells), "|", flush=True)


def print_power(windows: int) -> None:
    """Per cent of windows that are above the critical value."""
    print("\n| shift | rows |", " | ".join(NAMES), "|\n|" + "---|" * (2 + len(NAMES)))
    for name, quantiles in SHIFTS.items():
        for rows in (100, 500, 2000):
            found = rates(shifted(quantiles, rows, windows, rows))
            cells = [f"{100 * one.rate:.0f}" for one in found.values()]
            print(f"| {name} | {rows:,} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    print_false_alarms(20_000)
    print_held_out(20_000)
    print_requests(10_000)
    print_periods(2_000)
    print_power(2_000)
