"""The truth of numbers as columns: mature labels in the bins of the reference's target, as comparisons read rows.

It knows no thresholds. A truth has a label `target`, the output that it is the truth of, in the place of `output`.
Labels are weighted: a row is what it is worth, W / (sum of w^2) of its weight, which is 1 without weights; the shares
of an hour are those of weights. T and S are of hours of predictions, released as a whole (docs/performance.md).
"""

from alert_rules.rules import MODEL, Record, series, total

_OUTPUT = (*MODEL, "role", "reference", "output")
_MANY = f"on ({', '.join((*_OUTPUT[:-1], 'target'))}) group_left ()"
# What came last is no fair sample of what was predicted.
MATURE = 'maturity="mature"'


def as_target(expr: str) -> str:
    """The same series, told by `target`."""
    named = f'label_replace({expr}, "target", "$1", "output", "(.+)")'
    return f'label_replace({named}, "output", "", "", "")'


def scale(window: str) -> Record:
    """Rows that a weight of 1 is worth; exists where labels matured."""
    weight = _grown("model.performance.target", window)
    return Record(_scale(window), f"{weight} / ({_sum('squared_weights', window)} > 0)")


def bins(window: str) -> str:
    """Rows per bin."""
    return f"{_grown('model.performance.target', window, 'bin')} * {_MANY} {_scale(window)}"


def squares(name: str, window: str) -> str:
    """T (`squared_rows`) or S (`squared_bins`), of rows."""
    return f"{_sum(name, window)} * {_scale(window)} ^ 2"


def reference(selector: str = "") -> str:
    """Rows of the profile per bin, as each replica tells them."""
    return as_target(series("model.reference.target_bin", selector))


def level(window: str) -> str:
    """The reference's own level of PSI, as each replica tells it."""
    return as_target(series("model.reference.target_level", f'window="{window}", statistic="psi"'))


def _scale(window: str) -> str:
    return f"column:model_rows_per_weight:increase{window}"


def _sum(name: str, window: str) -> str:
    return _grown("model.performance.target_sum", window, selector=f'statistic="{name}", ')


def _grown(metric: str, window: str, *labels: str, selector: str = "") -> str:
    grown = f"increase({series(metric, selector + MATURE)}[{window}])"
    return as_target(total(grown, *_OUTPUT, *labels))
