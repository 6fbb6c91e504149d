"""An alert on the truth of numbers: the guard of feature drift, and labels that can speak for all rows.

Distances are those of drift_long.py. Invariants: held back while few rows get a label, while groups get labels at very
different rates, and below as many labels as any figure needs; mirrored and synthetic traffic wakes nobody.
"""

from alert_rules import values
from alert_rules.drift_long import DAY, INTERVAL, WEEK, ticket
from alert_rules.figures import COVERED
from alert_rules.performance import COVERAGE, KEY, NAMED
from alert_rules.rules import Alert, Group, Record

EVENNESS = f"output:model_label_coverage:evenness_increase{values.PERFORMANCE_WINDOW}"
_BY = ", ".join(KEY)


def group() -> Group:
    return Group("modeltap-targets", (_evenness(),), (_alert(),), INTERVAL, dashboard="performance")


def _evenness() -> Record:
    """The least covered group over the most covered one; of several segments the least even."""
    by = f"{_BY}, output, segment"
    return Record(
        EVENNESS, f"min by ({_BY}, output) (min by ({by}) ({COVERED}) / (max by ({by}) ({COVERED}) > 0))"
    )


def _alert() -> Alert:
    uneven = f'label_replace({EVENNESS} < {values.LABEL_EVENNESS}, "target", "$1", "output", "(.+)")'
    return Alert(
        "NumericTargetDrift",
        "warning",
        values.DRIFT_FOR,
        f"({ticket('target')}) and {_on('reference', 'target')} {WEEK.live.rows} >= {values.MIN_LABELLED} "
        f"and {_on()} {COVERAGE} >= {values.LABEL_COVERAGE} unless {_on('target')} {uneven}",
        "The truth is distributed otherwise than in the reference.",
        f"PSI of the truth of output {{{{ $labels.target }}}} of model {NAMED} against reference "
        f'{{{{ $labels.reference }}}} is {{{{ $value | printf "%.3f" }}}} over {DAY.name} or {WEEK.name} of matured '
        f"hours; {values.DRIFT_EFFECT:g} is worth a look, and it is above what chance alone gives once in a thousand "
        "times, twice over or by far.",
        keep="2h",
    )


def _on(*more: str) -> str:
    return f"on ({', '.join((*KEY, *more))})"
