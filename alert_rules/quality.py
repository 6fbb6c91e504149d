"""Rules about the quality of data over the whole fleet: missing, wrong, repeated and old rows, and how many there are.

It knows counts, not values. Invariants: whatever a reference has itself is no fault, and judged against it; no ratio
alerts below `MIN_ROWS`; mirrored and synthetic traffic wakes nobody.
"""

from alert_rules import values
from alert_rules.rules import MODEL, Alert, Group, Record, series, total

KEY = (*MODEL, "role")
SHOWN = 'role!~"shadow|synthetic"'
NAMED = "{{ $labels.model_name }} {{ $labels.model_version }}"
COLUMN = "{{ $labels.column }}"
CHECKED = "column:model_data_checked:increase1h"
MISSING = "feature:model_missing:ratio_increase1h"
REFERENCE_MISSING = "feature:model_reference_missing:ratio"
VIOLATIONS = "column:model_data_violations:ratio_increase1h"
BROKEN = "rule:model_data_violations:ratio_increase1h"
REFERENCE_OUTLIERS = "column:model_reference_outliers:ratio"
DUPLICATES = "model:model_duplicates:ratio_increase1h"
REFERENCE_DUPLICATES = "model:model_reference_duplicates:ratio"
LAG = "model:model_event_lag_seconds:p50_1h"
FUTURE = "model:model_event_future:ratio_increase1h"
ROWS = "model:model_rows:rate1h"
REFERENCE_ROWS = "model:model_rows:reference_ratio1h"
CLASS = "output:model_class_share:max1h"
_COLUMN = (*KEY, "output", "feature")


def group() -> Group:
    records = (*_columns(), *_rows(), *_volume())
    return Group("modeltap-quality", records, (*_column_alerts(), *_row_alerts()), dashboard="drift")


def increase(name: str, *labels: str, part: str = "") -> str:
    return total(f"increase({series(name, part=part)}[1h])", *labels)


def _columns() -> tuple[Record, ...]:
    least = f">= {values.MIN_ROWS}"
    on = f"/ on ({', '.join(_COLUMN)}) group_left ()"
    rules = increase("model.rules.checked", *KEY, "reason")
    cells = f"max by ({', '.join((*KEY, 'reference', 'feature', 'bin'))})"
    bins = series("model.reference.bin.rows", 'feature!=""')
    nulls = series("model.reference.bin.rows", 'feature!="", bin=~"<null>|<nan>"')
    violations = increase("model.data.violations", *_COLUMN, "reason")
    broken = increase("model.data.violations", *KEY, "reason")
    feature = (*KEY, "feature")
    return (
        Record(CHECKED, increase("model.data.checked", *_COLUMN)),
        Record(
            MISSING,
            f"{increase('model.feature.missing', *feature)} / on ({', '.join(feature)}) "
            f'({CHECKED}{{feature!=""}} {least})',
        ),
        Record(
            REFERENCE_MISSING,
            f"{total(f'{cells} ({nulls})', *feature)} / {total(f'{cells} ({bins})', *feature)}",
        ),
        Record(VIOLATIONS, f"{violations} {on} ({CHECKED} {least})"),
        Record(BROKEN, f"{broken} / on ({', '.join((*KEY, 'reason'))}) ({rules} {least})"),
        Record(
            REFERENCE_OUTLIERS,
            f"max by ({', '.join((*_COLUMN, 'reason'))}) ({series('model.reference.outlier_ratio')})",
        ),
    )


def _rows() -> tuple[Record, ...]:
    least = f">= {values.MIN_ROWS}"
    buckets = increase("model.event.lag", *KEY, "le", part="_bucket")
    events = increase("model.event.lag", *KEY, part="_count")
    future = increase("model.event.future", *KEY)
    checked = increase("model.duplicates.checked", *KEY)
    return (
        Record(DUPLICATES, f"{increase('model.duplicates', *KEY)} / ({checked} {least})"),
        Record(
            REFERENCE_DUPLICATES, f"max by ({', '.join(KEY)}) ({series('model.reference.duplicate_ratio')})"
        ),
        # The quantile of nothing is NaN, which this comparison leaves out.
        Record(LAG, f"histogram_quantile(0.5, {buckets}) >= 0"),
        Record(FUTURE, f"{future} / ({events} + {future} {least})"),
    )


def _volume() -> tuple[Record, ...]:
    rate = f"max by ({', '.join(KEY)}) ({series('model.reference.row_rate')})"
    classes = increase("model.predictions", *KEY, "output", "class")
    output = (*KEY, "output")
    return (
        Record(ROWS, total(f"rate({series('model.batch.rows', part='_sum')}[1h])", *KEY)),
        Record(REFERENCE_ROWS, f"{ROWS} / ({rate} > 0)"),
        Record(
            CLASS,
            f"max by ({', '.join(output)}) ({classes}) / ({total(classes, *output)} {f'>= {values.MIN_ROWS}'})",
        ),
    )


def _column_alerts() -> tuple[Alert, ...]:
    shown = f"{{{SHOWN}}}"
    wrong = f'{VIOLATIONS}{{{SHOWN}, reason!~"outlier_.*"}}'
    outliers = f'{VIOLATIONS}{{{SHOWN}, reason=~"outlier_.*"}}'
    constant = series("model.window.constant", f'{SHOWN}, window="{values.DRIFT_WINDOW}"')
    return (
        Alert(
            "DataMissing",
            "warning",
            "15m",
            f"{MISSING}{shown} - ({REFERENCE_MISSING} or 0 * {MISSING}) > {values.MISSING_EXCESS}",
            "A feature lacks its value more often than in the reference.",
            f"Feature {{{{ $labels.feature }}}} of model {NAMED} lacks its value in "
            f"{{{{ $value | humanizePercentage }}}} of the rows of an hour beyond what its reference lacks; the limit "
            f"is {values.MISSING_EXCESS:.0%}.",
        ),
        Alert(
            "DataInvalid",
            "warning",
            "15m",
            _named(f"{wrong} > {values.INVALID_RATIO} unless on ({', '.join((*KEY, 'reason'))}) {BROKEN}"),
            "Values of a column cannot be right.",
            f"{{{{ $value | humanizePercentage }}}} of the rows of an hour are {{{{ $labels.reason }}}} in column "
            f"{COLUMN} of model {NAMED}; the limit is {values.INVALID_RATIO:.0%}.",
        ),
        Alert(
            "DataRuleBroken",
            "warning",
            "15m",
            f"{BROKEN}{shown} > {values.INVALID_RATIO}",
            "Rows break a rule of the configuration.",
            f"{{{{ $value | humanizePercentage }}}} of the rows of model {NAMED} in an hour break the rule "
            f"{{{{ $labels.reason }}}}; the limit is {values.INVALID_RATIO:.0%}.",
        ),
        Alert(
            "DataOutliers",
            "warning",
            "15m",
            _named(f"{outliers} > {values.OUTLIER_FACTOR} * {REFERENCE_OUTLIERS} + {values.INVALID_RATIO}"),
            "A column has many more outliers than its reference.",
            f"{{{{ $value | humanizePercentage }}}} of the values of column {COLUMN} of model {NAMED} lie beyond the "
            f"reference's fences ({{{{ $labels.reason }}}}): over {values.OUTLIER_FACTOR} times its own share.",
        ),
        Alert(
            "DataConstant",
            "warning",
            "30m",
            _named(f"min by ({', '.join(_COLUMN)}) ({constant}) == 1"),
            "A column stands still that moves in the reference.",
            f"Column {COLUMN} of model {NAMED} had one single value in all rows of the last "
            f"{values.DRIFT_WINDOW}; its reference has several (model_window_constant is {{{{ $value }}}}).",
        ),
    )


def _named(expr: str) -> str:
    """With the label `column` for whichever of output and feature it has."""
    return f'label_join({expr}, "column", "", "output", "feature")'


def _row_alerts() -> tuple[Alert, ...]:
    shown = f"{{{SHOWN}}}"
    before = f"{ROWS}{shown} offset 7d"
    change = f"{ROWS} / ({before} > {values.EXPECTED_RATE})"
    return (
        Alert(
            "DataRepeated",
            "warning",
            "30m",
            f"{DUPLICATES}{shown} - {REFERENCE_DUPLICATES} > {values.DUPLICATE_EXCESS}",
            "Rows repeat more often than in the reference.",
            f"{{{{ $value | humanizePercentage }}}} of the rows of model {NAMED} in an hour repeat an earlier one "
            f"beyond what those of its reference do; the limit is {values.DUPLICATE_EXCESS:.0%}.",
        ),
        Alert(
            "DataStale",
            "warning",
            "15m",
            f"{LAG}{shown} > {values.STALE_SECONDS}",
            "The rows that a model gets are old.",
            f"Half of the rows of model {NAMED} were over {{{{ $value | humanizeDuration }}}} old when they came; the "
            f"limit is {values.STALE_SECONDS}s.",
        ),
        Alert(
            "DataFromTheFuture",
            "warning",
            "15m",
            f"{FUTURE}{shown} > {values.INVALID_RATIO}",
            "Rows have times that lie ahead.",
            f"{{{{ $value | humanizePercentage }}}} of the rows of model {NAMED} in an hour have a time that lies "
            f"ahead; the limit is {values.INVALID_RATIO:.0%}.",
        ),
        Alert(
            "DataVolume",
            "warning",
            "30m",
            f"{change} < {values.VOLUME_LOW} or {change} > {values.VOLUME_HIGH}",
            "A model gets far fewer or far more rows than a week ago.",
            f'Model {NAMED} gets {{{{ $value | printf "%.2f" }}}} times the rows of the same hour a week ago; expected '
            f"{values.VOLUME_LOW:g} to {values.VOLUME_HIGH:g} times.",
        ),
    )
