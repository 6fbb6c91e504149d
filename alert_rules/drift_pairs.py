"""Rules that compare live rows with live rows, over 24 hours: with the same span a week before, and between versions.

No profile takes part, so that columns without one are compared as well, on their fixed bins. Invariant: both sides have
the same bins, which one `reference` guarantees; versions with profiles of their own are not compared with each other.

`week`: a column with itself, 7 days before. `versions`: each version and role with the live rows of the model that are
not its own: a new version with the old ones, a shadow with what it shadows. Not by job: a canary has one of its own.
"""

from alert_rules import values
from alert_rules.comparison import COLUMN, Comparison, Live, compared
from alert_rules.distances import judged
from alert_rules.drift import COLUMN_NAMED, MODEL_NAMED, beyond_chance, named
from alert_rules.drift_long import INTERVAL
from alert_rules.rules import Alert, Group, Record

DAY = Live("24h")
BEFORE = "7d"
WEEK = Comparison("week", DAY, "column:model_base_effective_rows:week")
VERSIONS = Comparison("versions", DAY, "column:model_base_effective_rows:versions")
# Without a role, from sidecars that know none.
LIVE = '{role=~"live|"}'
MODEL = tuple(label for label in COLUMN if label not in ("job", "model_version", "role"))


def group() -> Group:
    records = (
        Record(WEEK.base_effective, f"{DAY.effective} offset {BEFORE}"),
        *compared(WEEK, f"{DAY.bins} offset {BEFORE}"),
        *judged(WEEK),
        Record(VERSIONS.base_effective, _others(DAY.effective, MODEL)),
        *compared(VERSIONS, f"({_others(DAY.bins, (*MODEL, 'bin'))})"),
        *judged(VERSIONS),
    )
    return Group("modeltap-drift-pairs", records, (_week(), _versions()), INTERVAL, dashboard="drift")


def _others(name: str, labels: tuple[str, ...]) -> str:
    """For every version and role what the live ones of its model have together, less its own."""
    key = ", ".join(labels)
    own = f"({name}{LIVE} or 0 * {name})"
    several = f"count by ({', '.join(MODEL)}) ({DAY.rows}) > 1"
    together = f"0 * {name} + on ({key}) group_left () sum by ({key}) ({name}{LIVE}) - {own}"
    return f"({together}) and on ({', '.join(MODEL)}) ({several})"


def _week() -> Alert:
    return Alert(
        "WeekChanged",
        "info",
        values.DRIFT_FOR,
        named(beyond_chance(WEEK, values.DRIFT_EFFECT, 'role=~"live|"', 'target=""')),
        "A column of a model is not distributed as it was a week ago.",
        f"PSI of column {COLUMN_NAMED} between the last {DAY.window} and the same {BEFORE} before is "
        f'{{{{ $value | printf "%.3f" }}}}, above what chance alone gives once in a thousand times.',
        keep="2h",
    )


def _versions() -> Alert:
    return Alert(
        "VersionsDiffer",
        "info",
        values.DRIFT_FOR,
        beyond_chance(VERSIONS, values.DRIFT_EFFECT, 'output!="", role!="synthetic"'),
        "Two versions of a model answer differently.",
        f"PSI of prediction {{{{ $labels.output }}}} {MODEL_NAMED} against the live rows of the other versions "
        f'is {{{{ $value | printf "%.3f" }}}} over {DAY.window}, above what chance alone gives once in a '
        "thousand times.",
        keep="2h",
    )
