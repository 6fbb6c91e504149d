"""Rules about what a classifier says: whether a class has become more or less frequent than a week ago.

It knows counts of predictions. Invariant: a move counts if it is large and more than chance explains (a normal
approximation of the difference of two shares, once in a thousand); mirrored and synthetic traffic wakes nobody.
"""

from alert_rules import values
from alert_rules.distances import NORMAL_999
from alert_rules.drift import SHOWN
from alert_rules.rules import MODEL, Alert, Group, Record, series, total

# Without the version: a rollout is no reason for other answers.
OUTPUT = (*MODEL[:-1], "role", "output")
CLASS = (*OUTPUT, "class")
COUNT = "class:model_predictions:increase1d"
ROWS = "output:model_predictions:increase1d"
SHARE = "class:model_predictions:ratio_increase1d"
INTERVAL = "2m"
BEFORE = "7d"


def group() -> Group:
    each = f"on ({', '.join(OUTPUT)}) group_left ()"
    # Numbers count under a class without a name.
    named = series("model.predictions", 'class!=""')
    records = (
        Record(COUNT, total(f"increase({named}[1d])", *CLASS)),
        Record(ROWS, total(COUNT, *OUTPUT)),
        Record(SHARE, f"{COUNT} / {each} ({ROWS} >= {values.MIN_ROWS})"),
    )
    return Group("modeltap-classes", records, (_shifted(each),), INTERVAL, dashboard="drift")


def _shifted(each: str) -> Alert:
    now, before = SHARE, f"{SHARE} offset {BEFORE}"
    spread = (
        f"{now} * (1 - {now}) / {each} {ROWS} + {before} * (1 - {before}) / {each} ({ROWS} offset {BEFORE})"
    )
    moved = f"abs({now}{{{SHOWN}}} - {before})"
    return Alert(
        "ClassShareMoved",
        "info",
        values.DRIFT_FOR,
        f"{moved} > {values.CLASS_SHIFT} and {moved} > {NORMAL_999} * sqrt({spread})",
        "A model gives one answer much more or less often than a week ago.",
        "The share of class {{ $labels.class }} of output {{ $labels.output }} of model {{ $labels.model_name }} over "
        f"a day moved by {{{{ $value | humanizePercentage }}}} of all rows within a week; the limit is "
        f"{values.CLASS_SHIFT:.0%}.",
        keep="2h",
    )
