"""Judge: the windows of one side against their reference, every statistic of every column; and which columns are shown.

Refuses to know Samples and time. A gauge for each statistic, column and window would be thousands of series, so local
gauges are for all outputs and for the features that drifted most. What adds up over replicas does not depend on it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np

from exporter.stats import STATISTICS, Comparison, Layout, Profile, Reference, Result, View

TOP_COLUMNS = 10
# Columns are ranked by how far this is above its yardsticks: it holds for every type.
RANKED_BY = "psi"


@dataclass(frozen=True, slots=True)
class Judged:
    """By window length what was found, empty without a reference; and the columns that gauges show."""

    results: Mapping[float, Result]
    shown: tuple[str, ...]


class Judge:
    """`judged` for the windows of one tick; in any thread, and nothing but the order of equals depends on the past."""

    def __init__(self, profile: Profile | None, role: str, effects: Iterable[str] = ()) -> None:
        """`effects`: STATISTIC=VALUE, the least distance that is called drift instead of the statistic's own."""
        self._all = role == "prediction"
        columns = [column for column in profile.columns if column.role == role] if profile is not None else []
        self._references = {one.name: Reference(one.array, one.bin_sums, one.std) for one in columns}
        self._levels: dict[float, dict[tuple[str, str], float]] = {}
        for level in profile.levels if profile is not None else ():
            self._levels.setdefault(float(level.seconds), {})[level.column, level.statistic] = level.limit
        given = {name: float(size) for name, _, size in (item.partition("=") for item in effects)}
        self.effects = {one.name: given.get(one.name, one.effect) for one in STATISTICS}
        self._comparison: tuple[Layout, Comparison] | None = None
        self._shown: tuple[str, ...] = ()

    def judged(self, layout: Layout, derived: frozenset[str], views: Mapping[float, View]) -> Judged:
        """What these windows of one layout say. `derived` columns have no reference, whatever their names."""
        results: dict[float, Result] = {}
        if self._references and views:
            held = self._comparison_of(layout, derived)
            levels = [self._levels.get(length) for length in views]
            results = dict(zip(views, held.measure_all(list(views.values()), levels), strict=True))
        if self._all:
            return Judged(results, layout.names)
        self._shown = self._leading(layout, results)
        return Judged(results, self._shown)

    def _comparison_of(self, layout: Layout, derived: frozenset[str]) -> Comparison:
        if self._comparison is None or self._comparison[0] is not layout:
            held = {name: one for name, one in self._references.items() if name not in derived}
            self._comparison = layout, Comparison(layout, held, STATISTICS)
        return self._comparison[1]

    def _leading(self, layout: Layout, results: Mapping[float, Result]) -> tuple[str, ...]:
        """Those that are furthest above their yardsticks in any window; of equals those shown before, then in order.

        What did not drift is equal, so that chance alone changes nothing.
        """
        above: dict[str, float] = {}
        for result in results.values():
            beyond = result.beyond(RANKED_BY, self.effects[RANKED_BY])
            for place in np.flatnonzero(beyond > 0.0).tolist():  # NaN is not
                name = result.columns[place]
                above[name] = max(above.get(name, 0.0), float(beyond[place]))
        names, before = layout.names, frozenset(self._shown)
        order = [*filter(before.__contains__, names), *names]
        # Sorting is stable: of equals those that are first in `order`.
        moved = sorted(filter(above.__contains__, order), key=lambda name: -above[name])
        chosen = frozenset(islice(dict.fromkeys((*moved, *order)), TOP_COLUMNS))
        return tuple([name for name in names if name in chosen])
