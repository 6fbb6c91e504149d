"""Rules about drift over a day and a week: what deserves a ticket.

Invariants: a ticket needs PSI above the effect, above the critical value at as many rows as are independent, and, where
the profile knows it, above the reference's own level, in two windows that share no row; or once, if the distance
is large and more than chance gives in any of a thousand columns. Weeks serve columns with few rows.
"""

from alert_rules import truths, values
from alert_rules.comparison import COLUMN, VALUE, Comparison, Live, compared, reference, window
from alert_rules.distances import certain, everything
from alert_rules.drift import AGAINST, MODEL_NAMED, SHOWN, beyond_chance
from alert_rules.rules import Alert, Group, Record, series

DAY, WEEK = (Comparison(length, Live(length)) for length in ("24h", "7d"))
INTERVAL = "2m"


def group() -> Group:
    records = tuple(record for it in (DAY, WEEK) for record in _records(it))
    return Group(
        "modeltap-drift-long", records, (_alert("output"), _alert("feature")), INTERVAL, dashboard="drift"
    )


def _records(it: Comparison) -> tuple[Record, ...]:
    whole = reference()
    return (*window(it.name), *compared(it, whole), *everything(it), certain(it), _found(it))


def _found(it: Comparison) -> Record:
    """Exists while a column is beyond all yardsticks; every role, for the alert chooses."""
    level = series("model.drift.reference_level", f'window="{it.name}", statistic="psi"')
    own = f"max by ({', '.join((*COLUMN, 'statistic'))}) ({level} or {truths.level(it.name)})"
    beyond = beyond_chance(it, values.DRIFT_EFFECT)
    return Record(it.part("drift_found"), f"{beyond} unless {it.part(VALUE)} <= {own}")


def ticket(column: str) -> str:
    """PSI of columns that are told by this label, where it deserves a ticket."""
    chosen = f'{{{column}!="", {SHOWN}}}'
    day, week = (f"{it.part('drift_found')}{chosen}" for it in (DAY, WEEK))
    large = f"{day} > {values.DRIFT_LARGE:g} and {day} > {DAY.part('drift_certain')}"
    return f"{day} and {day} offset {DAY.name} or {large} or {week} and {week} offset {WEEK.name}"


def _alert(column: str) -> Alert:
    what = {"output": "prediction", "feature": "feature"}[column]
    return Alert(
        f"{what.capitalize()}Drift",
        "warning",
        values.DRIFT_FOR,
        ticket(column),
        f"The distribution of a {what} has moved away from the reference.",
        f"PSI of {what} {{{{ $labels.{column} }}}} {MODEL_NAMED} {AGAINST} is "
        f'{{{{ $value | printf "%.3f" }}}} over {DAY.name} or {WEEK.name}; {values.DRIFT_EFFECT:g} is worth a look, '
        "and it is above what chance alone gives once in a thousand times, twice over or by far.",
        keep="2h",
    )
