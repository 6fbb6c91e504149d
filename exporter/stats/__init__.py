"""stats: arrays to numbers (bins, windows, moments, drift, profiles); knows no models, `now` is an argument.

To add a statistic: one file with a class that meets `Statistic`, one line in `STATISTICS`, one oracle test.

    profile = load("reference.json")                               # or: Layout.observed(batch) without one
    windows = Windows(profile.layout())                            # 5 min and 1 h, 12 panes each
    misfits = windows.update(now, {"age": ages, "city": cities})   # one batch: float64 and object arrays
    totals = windows.totals()                                      # since the start, for counters
    dict(zip(profile.column("age").bins.labels, totals.counts("age").tolist()))
    view = windows.read(now, 300.0)                                # never changes anything
    view.counts("city"), view.summary("age").mean, view.summary("age").quantiles
    for statistic in STATISTICS:
        drift = statistic.measure(profile.column("age").pair(view.counts("age")))
        state = "insufficient" if drift is None else (drift.value, drift.floor, drift.critical)

Without a profile the layout grows: `windows = windows.extended(windows.layout.grown(batch))` before `update`.
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
from exporter.stats.digest import Misfit
from exporter.stats.drift import Drift, Pair, Statistic
from exporter.stats.layout import ColumnSpec, Layout
from exporter.stats.moments import Summary
from exporter.stats.profile import LeftOut, Profile, ProfileColumn, ProfileError, load, save
from exporter.stats.psi import Psi
from exporter.stats.window import View, Windows

STATISTICS: tuple[Statistic, ...] = (Psi(),)

__all__ = [
    "NAN",
    "NULL",
    "OTHER",
    "STATISTICS",
    "UNSEEN",
    "Bins",
    "CategoricalBins",
    "ColumnSpec",
    "Drift",
    "Layout",
    "LeftOut",
    "Misfit",
    "NumericBins",
    "Pair",
    "Profile",
    "ProfileColumn",
    "ProfileError",
    "Psi",
    "Statistic",
    "Summary",
    "View",
    "Windows",
    "canonical",
    "coarse_bins",
    "fine_bins",
    "load",
    "save",
]
