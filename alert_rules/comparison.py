"""Comparisons: two histograms of one column, the recording rules that hold them, and what every statistic needs.

It knows bins and rows, no thresholds and no alerts. Invariants: each profile (`reference`) is compared with itself only
and each role by itself, both are labels of every series here; a bin that is empty on both sides takes no part; one that
has no live series counts as 0; below five effective rows per bin, on either side, there is no statistic at all.

Features, outputs and the truth of numbers (truths.py) take the same rules: a column is told by `output`, `feature` or
`target`, and has only one of them.
Names: `column_bin:` per bin, `column:` per column; the last part is the window, or `week` and `versions` for the
comparisons of the last 24 hours with other traffic.
"""

from dataclasses import dataclass

from alert_rules import truths, values
from alert_rules.rules import MODEL, Record, series, total

COLUMN = (*MODEL, "role", "reference", "output", "feature", "target")
ON = f"on ({', '.join(COLUMN)})"
MANY = f"{ON} group_left ()"
ROWS_PER_BIN = 5  # as in exporter/stats/chance.py
PANE = values.DRIFT_WINDOW
VALUE, FLOOR, CRITICAL, EXCESS = "drift", "drift_floor", "drift_critical", "drift_excess"
# Finite numbers fall into bins that are called by their upper bound; special ones are in brackets.
NUMBERS = '{bin!~"<.*>"}'


@dataclass(frozen=True, slots=True)
class Live:
    """Rows of a window: per bin, per column, and how many of them are independent."""

    window: str

    @property
    def bins(self) -> str:
        return f"column_bin:model_rows:increase{self.window}"

    @property
    def rows(self) -> str:
        return f"column:model_rows:increase{self.window}"

    @property
    def effective(self) -> str:
        return f"column:model_effective_rows:increase{self.window}"

    @property
    def squared_rows(self) -> str:
        return f"column:model_squared_rows:increase{self.window}"

    @property
    def squared_bins(self) -> str:
        return f"column:model_squared_bins:increase{self.window}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """`live` against a base. `name`: last part of the names. `base_effective`: its independent rows, a series' name.

    Without one all rows of the base are independent, as those of a profile are taken to be.
    """

    name: str
    live: Live
    base_effective: str = ""

    def part(self, what: str, level: str = "column") -> str:
        return f"{level}:model_{what}:{self.name}"

    def told(self, what: str, statistic: str, expr: str) -> Record:
        """What is recorded of one statistic."""
        return Record(self.part(what), expr, {"statistic": statistic})

    @property
    def base(self) -> str:
        return self.part("base_rows", "column_bin")

    @property
    def base_rows(self) -> str:
        return self.part("base_rows")

    @property
    def independent_base(self) -> str:
        return self.base_effective or self.base_rows

    @property
    def bins(self) -> str:
        """Bins that are occupied on either side; exists where there are rows enough."""
        return self.part("bins")

    @property
    def shares(self) -> tuple[str, str]:
        """Smoothed by half a row per bin (Jeffreys): of the base, and live."""
        return self.part("base_share", "column_bin"), self.part("share", "column_bin")

    @property
    def difference(self) -> str:
        """Share as it is less that of the base, per bin."""
        return f"({self.live.bins} / {MANY} {self.live.rows} - {self.base} / {MANY} {self.base_rows})"

    @property
    def pooled(self) -> str:
        """Share of both together, per bin: what both would have if nothing drifted."""
        return self.part("pooled_share", "column_bin")

    @property
    def noise(self) -> str:
        return f"(1 / {self.live.effective} + 1 / {self.independent_base})"

    @property
    def uneven(self) -> str:
        """How skewed a difference of shares is: not at all where both sides have as many rows."""
        return f"abs(1 / {self.live.effective} - 1 / {self.independent_base})"


def reference(selector: str = "") -> str:
    """Rows of the profile per bin. Every replica tells the same; their sum would count it once per replica."""
    told = f"{series('model.reference.bin.rows', selector)} or {truths.reference(selector)}"
    return f"max by ({', '.join((*COLUMN, 'bin'))}) ({told})"


def pane() -> tuple[Record, ...]:
    """The last hour of all replicas; longer windows are sums of these, an hour apart."""
    live = Live(PANE)
    counted = " or ".join(
        total(f"increase({series(name)}[{PANE}])", *COLUMN, "bin")
        for name in ("model.feature.bin", "model.prediction.bin")
    )
    return (
        truths.scale(PANE),
        # A bin of the profile without a live series has no rows.
        Record(live.bins, f"{counted} or {truths.bins(PANE)} or 0 * {reference()}"),
        *(
            Record(name, f"{_grown(f'model.column.{sums}')} or {truths.squares(sums, PANE)}")
            for name, sums in ((live.squared_rows, "squared_rows"), (live.squared_bins, "squared_bins"))
        ),
        *_rows(live),
    )


def _grown(metric: str) -> str:
    return total(f"increase({series(metric)}[{PANE}])", *COLUMN)


def window(length: str) -> tuple[Record, ...]:
    """A longer window: what its panes add up to; one that was never recorded adds nothing."""
    live, hour = Live(length), Live(PANE)
    names = (
        (live.bins, hour.bins),
        (live.squared_rows, hour.squared_rows),
        (live.squared_bins, hour.squared_bins),
    )
    summed = (Record(name, f"sum_over_time({source}[{length}:{PANE}])") for name, source in names)
    return (*summed, *_rows(live))


def _rows(live: Live) -> tuple[Record, ...]:
    """n_eff as exporter/stats/clusters.py forms it; all rows where nothing is known of requests."""
    agreement = f"{total(f'{live.bins} ^ 2', *COLUMN)} / {live.rows} ^ 2"
    pairs = f"({live.squared_rows} - {live.rows} > 0)"
    alike = f"(({live.squared_bins} - {live.rows}) / {pairs} - {agreement}) / (1 - {agreement} > 0)"
    return (
        Record(live.rows, f"{total(live.bins, *COLUMN)} > 0"),
        Record(
            live.effective,
            f"{live.rows} / (1 + clamp({alike}, 0, 1) * {pairs} / {live.rows}) or {live.rows}",
        ),
    )


def compared(it: Comparison, base: str) -> tuple[Record, ...]:
    """What all statistics read; `base`: an expression, rows per bin of what `it.live` is compared with."""
    count = f"count by ({', '.join(COLUMN)}) ({it.base})"
    least = f"{ROWS_PER_BIN} * {count}"
    p, q = it.shares
    return (
        # A live bin that the base does not have is one with no rows there.
        Record(it.base, f"{base} > 0 or 0 * ({it.live.bins} > 0) and {ON} {base}"),
        Record(it.base_rows, f"{total(it.base, *COLUMN)} > 0"),
        Record(it.bins, f"{count} and {it.live.effective} >= {least} and {it.independent_base} >= {least}"),
        Record(
            it.pooled,
            f"({it.live.bins} + {it.base}) / {MANY} ({it.live.rows} + {it.base_rows} and {it.bins})",
        ),
        Record(p, f"({it.base} + 0.5) / {MANY} ({it.base_rows} + 0.5 * {it.bins})"),
        Record(q, f"(({it.live.bins} and {it.base}) + 0.5) / {MANY} ({it.live.rows} + 0.5 * {it.bins})"),
    )
