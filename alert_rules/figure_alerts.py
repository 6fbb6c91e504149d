"""Alerts on figures: each needs mature cohorts, enough rows, and the whole interval outside.

It knows names of recorded series, not how they are formed. Invariant: what has no band, or no configured groups, wakes
nobody.
"""

from alert_rules import values
from alert_rules.performance import KEY, NAMED, ROWS, SHOWN
from alert_rules.rules import Alert, series

_W = values.PERFORMANCE_WINDOW
_BY = ", ".join(KEY)
_MATURE = f'{SHOWN}, maturity="mature"'
_LOWER, _UPPER = (f"statistic:model_performance:{end}_increase{_W}" for end in ("lower", "upper"))
_SELECTED_LOW, _SELECTED_HIGH = (f"group:model_selection:{end}_increase{_W}" for end in ("lower", "upper"))
_GROUP_ROWS = f"group:model_performance_rows:increase{_W}"
_TARGET, _CRITICAL = (f"output:model_target_drift:{part}_increase{_W}" for part in ("psi", "critical"))
_HIGHER_IS_BETTER = "auc_roc|bias"
_LOWER_IS_BETTER = "brier|ece|rmse|mae|bias"


def alerts() -> tuple[Alert, ...]:
    enough = f"{ROWS}{{{_MATURE}}} >= {values.MIN_LABELLED}"
    rows = f"and on ({_BY}, output, maturity) {enough}"
    return (
        Alert(
            "PerformanceOutsideBand",
            "critical",
            "30m",
            f"(({_outside('<', _UPPER, 'low', _HIGHER_IS_BETTER)}) or "
            f"({_outside('>', _LOWER, 'high', _LOWER_IS_BETTER)})) {rows}",
            "A figure of a model is worse than it ever was in its reference.",
            f"{{{{ $labels.statistic }}}} of output {{{{ $labels.output }}}} of model {NAMED} is "
            f"{{{{ $value | humanize }}}} at best over the last {_W} (limit of 95 %), outside the reference's band.",
        ),
        Alert(
            "IntervalsMiss",
            "warning",
            "1h",
            f'{_UPPER}{{statistic="interval_coverage", {_MATURE}}} < {values.INTERVAL_COVERAGE} {rows}',
            "Predicted intervals hold the truth too seldom.",
            f"Intervals of output {{{{ $labels.output }}}} of model {NAMED} held at most "
            f"{{{{ $value | humanizePercentage }}}} of the truths of the last {_W}; the limit is "
            f"{values.INTERVAL_COVERAGE:.0%}.",
        ),
        Alert("GroupsApart", "warning", "6h", *_apart()),
        Alert(
            "TargetDrift",
            "warning",
            "1h",
            f"({_TARGET}{{{_MATURE}}} > {_CRITICAL} > 0) > {values.DRIFT_EFFECT} and {enough}",
            "The truth is distributed otherwise than in the reference.",
            f"PSI of the true classes of output {{{{ $labels.output }}}} of model {NAMED} over the last {_W} is "
            f"{{{{ $value | humanize }}}}, more than chance explains and than {values.DRIFT_EFFECT}.",
        ),
    )


def _outside(sign: str, limit: str, state: str, statistics: str) -> str:
    band = series("model.reference.performance", f'state="{state}", class="", statistic=~"{statistics}"')
    return (
        f'{limit}{{statistic=~"{statistics}", {_MATURE}}} {sign} on ({_BY}, statistic) group_left () '
        f"max by ({_BY}, statistic) ({band})"
    )


def _apart() -> tuple[str, str, str]:
    by = f"{_BY}, output, maturity, segment"
    enough = f"on ({by}, group) {_GROUP_ROWS}{{{_MATURE}}} >= {values.MIN_LABELLED}"
    most = f"max by ({by}, class) ({_SELECTED_LOW}{{{_MATURE}}} and {enough})"
    least = f"min by ({by}, class) ({_SELECTED_HIGH}{{{_MATURE}}} and {enough})"
    return (
        f"{least} / ({most} > 0) < {values.PARITY_RATIO}",
        "A model chooses groups at very different rates.",
        f"Class {{{{ $labels.class }}}} of output {{{{ $labels.output }}}} of model {NAMED}: the group of "
        "{{ $labels.segment }} that is chosen least is chosen at most {{ $value | humanizePercentage }} as often as "
        f"the one chosen most, over the last {_W}; the limit is {values.PARITY_RATIO:.0%}.",
    )
