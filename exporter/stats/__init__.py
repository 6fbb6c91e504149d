"""stats: arrays to numbers (bins, windows, moments, drift, profiles); knows no models, `now` is an argument.

To add a statistic: one file with a `Statistic`, one line in `STATISTICS`, one oracle row in `test_statistics.py`.

    profile = load("reference.json")                               # or: Layout.observed(batch) without one
    windows = Windows(profile.layout())                            # 5 min, 1 h, 24 h and 7 d, 12 panes each
    misfits = windows.update(now, {"age": ages, "city": cities}, requests=rows_of_each)   # float64, object arrays
    totals = windows.totals()                                      # since the start, for counters
    dict(zip(profile.column("age").bins.labels, totals.counts("age").tolist()))
    view = windows.read(now, 300.0)                                # never changes anything
    view.counts("city"), view.summary("age").mean, view.summary("age").quantiles, view.effective_rows("age")

All columns of a window against a profile, at every tick:

    references = {c.name: Reference(c.array, sums, c.std) for c in profile.columns}   # sums: `bin_sums`, or None
    comparison = Comparison(windows.layout, references, STATISTICS)                   # once
    result = comparison.measure(view, levels={("age", "psi"): 0.04})                  # levels: optional
    results = comparison.measure_all(views, [None] * len(views))   # all windows for little more than one
    for drift in result.of("age"):                                 # absent: does not hold, or too few rows
        drift.statistic, drift.value, drift.floor, drift.critical, drift.p_value, drift.level, drift.effective_rows
        drift.exceeds(effect)
    columns, of = result.drifted("psi")                            # the share of drifted columns

One column by itself is `statistic.measure(profile.column("age").pair(view.counts("age")))`, a `Drift` or None.

Over a restart: `raw = to_bytes(windows)`, then `windows.merge_rolling(from_bytes(raw, windows.layout))`, SnapshotError
if it cannot be used; totals start at 0.

Performance, once labels are there: an account of a layout's sums, and figures from them, each with its interval.

    layout = ClassLayout(("no", "yes"))                            # or ScoreLayout, ErrorLayout, RankingLayout, ...
    account = Account(layout)                                      # merge: add up; revert: a label was wrong
    account.update(layout.judged(truths, predictions, weights))
    for figure in class_figures(layout.table(account.net)):        # absent: not defined
        figure.name, figure.value, figure.low, figure.high, figure.state, figure.basis.effective_rows
        band.judge(figure)                                         # of profile.performance.bands

Without a profile the layout grows: `windows = windows.extended(windows.layout.grown(batch))` before `update`. Pairs of
columns and whole rows are not binned: `pairs.py`, `mahalanobis.py`, `association.py`, over `RollingSums`.
"""

from exporter.stats.bins import (
    NAN,
    NULL,
    OTHER,
    UNSEEN,
    Bins,
    CategoricalBins,
    NumericBins,
    canonical,
    coarse_bins,
    fine_bins,
)
from exporter.stats.chi_square import CHI_SQUARE
from exporter.stats.compare import Comparison, Reference, Result
from exporter.stats.digest import Misfit
from exporter.stats.drift import Drift, Pair, Statistic
from exporter.stats.hellinger import HELLINGER
from exporter.stats.jensen_shannon import JENSEN_SHANNON
from exporter.stats.kolmogorov_smirnov import KOLMOGOROV_SMIRNOV
from exporter.stats.l_infinity import L_INFINITY
from exporter.stats.layout import ColumnSpec, Layout
from exporter.stats.moments import Summary
from exporter.stats.profiles.profile import LeftOut, Profile, ProfileColumn, ProfileError, load, save
from exporter.stats.psi import PSI
from exporter.stats.snapshot import SnapshotError, from_bytes, to_bytes
from exporter.stats.total_variation import TOTAL_VARIATION
from exporter.stats.wasserstein import WASSERSTEIN
from exporter.stats.window import View, Windows

STATISTICS: tuple[Statistic, ...] = (
    PSI,
    JENSEN_SHANNON,
    HELLINGER,
    TOTAL_VARIATION,
    L_INFINITY,
    CHI_SQUARE,
    KOLMOGOROV_SMIRNOV,
    WASSERSTEIN,
)

__all__ = [
    "CHI_SQUARE",
    "HELLINGER",
    "JENSEN_SHANNON",
    "KOLMOGOROV_SMIRNOV",
    "L_INFINITY",
    "NAN",
    "NULL",
    "OTHER",
    "PSI",
    "STATISTICS",
    "TOTAL_VARIATION",
    "UNSEEN",
    "WASSERSTEIN",
    "Bins",
    "CategoricalBins",
    "ColumnSpec",
    "Comparison",
    "Drift",
    "Layout",
    "LeftOut",
    "Misfit",
    "NumericBins",
    "Pair",
    "Profile",
    "ProfileColumn",
    "ProfileError",
    "Reference",
    "Result",
    "SnapshotError",
    "Statistic",
    "Summary",
    "View",
    "Windows",
    "canonical",
    "coarse_bins",
    "fine_bins",
    "from_bytes",
    "load",
    "save",
    "to_bytes",
]
