"""Rules about drift: PSI of predictions and features over the whole fleet, from bins summed over replicas.

It knows bins, not values. Invariants: each profile (`reference`) is compared with itself only, and each role (live,
shadow, …) by itself; an alert needs an effect worth the name and more rows than chance explains; mirrored and
synthetic traffic wakes nobody.

PSI = sum over bins of (q - p) ln(q / p), shares smoothed by half a row per bin (Jeffreys), p from M
reference rows, q from N live rows, B bins. Without drift PSI / (1/N + 1/M) follows chi-square with k = B -
1 degrees of freedom: floor k (1/N + 1/M), 99.9 % quantile by Wilson and Hilferty (1931). B counts the bins that are
occupied on either side, as in exporter/stats/psi.py.
"""

from alert_rules import values
from alert_rules.rules import MODEL, Alert, Group, Record, series, total

# The 99.9 % quantile of the standard normal distribution.
NORMAL_999 = 3.0902
COLUMNS = {"output": "prediction", "feature": "feature"}


def group() -> Group:
    records = tuple(record for column in COLUMNS for record in _records(column))
    return Group("modeltap-drift", records, tuple(_alert(column) for column in COLUMNS))


def _records(column: str) -> tuple[Record, ...]:
    window = values.DRIFT_WINDOW
    key = (*MODEL, "role", "reference", column)
    on = f"on ({', '.join(key)}) group_left ()"

    def name(what: str) -> str:
        return f"{column}:model_{COLUMNS[column]}_{what}"

    live, rows = name(f"bin:increase{window}"), name(f"rows:increase{window}")
    expected, reference_rows, bins = (
        name("reference_bin:count"),
        name("reference_rows:count"),
        name("bins:count"),
    )
    p, q, floor = name("reference_share:ratio"), name(f"share:ratio{window}"), name(f"psi:floor{window}")
    counted = f"increase({series(f'model.{COLUMNS[column]}.bin')}[{window}])"
    # Every replica tells the same reference; their sum would count it once per replica.
    profile = series("model.reference.bin.rows", f'{column}!=""')
    whole = f"max by ({', '.join((*key, 'bin'))}) ({profile})"
    # A bin that is empty on both sides says nothing: it is no degree of freedom.
    reference = f"{whole} > 0 or {whole} and {live} > 0"
    ninth = f"2 / (9 * ({bins} - 1))"
    return (
        Record(live, total(counted, *key, "bin")),
        Record(expected, reference),
        Record(rows, total(live, *key)),
        Record(reference_rows, total(expected, *key)),
        Record(bins, f"count by ({', '.join(key)}) ({expected})"),
        Record(q, f"({live} + 0.5) / {on} ({rows} + 0.5 * {bins})"),
        Record(p, f"({expected} + 0.5) / {on} ({reference_rows} + 0.5 * {bins})"),
        Record(name(f"psi:value{window}"), total(f"({q} - {p}) * ln({q} / {p})", *key)),
        # Without a live row there is no floor and no critical value, so nothing is above them.
        Record(floor, f"({bins} - 1) * (1 / ({rows} > 0) + 1 / {reference_rows})"),
        Record(name(f"psi:critical{window}"), f"{floor} * (1 - {ninth} + {NORMAL_999} * sqrt({ninth})) ^ 3"),
    )


def _alert(column: str) -> Alert:
    what, window = COLUMNS[column], values.DRIFT_WINDOW
    psi, rows = f"{column}:model_{what}_psi:value{window}", f"{column}:model_{what}_rows:increase{window}"
    return Alert(
        f"{what.capitalize()}Drift",
        "warning",
        values.DRIFT_FOR,
        f'{psi}{{role!~"shadow|synthetic"}} > {values.DRIFT_EFFECT} '
        f"and {psi} > {column}:model_{what}_psi:critical{window} and {rows} >= {values.MIN_ROWS}",
        f"The distribution of a {what} has moved away from the reference.",
        f"PSI of {what} {{{{ $labels.{column} }}}} of model {{{{ $labels.model_name }}}} "
        f"{{{{ $labels.model_version }}}} against reference {{{{ $labels.reference }}}} is "
        f'{{{{ $value | printf "%.3f" }}}} over {window}; {values.DRIFT_EFFECT:g} is worth a look, and it is '
        "above what chance alone gives once in a thousand times.",
        keep=window,
    )
