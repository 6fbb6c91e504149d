"""Rules about drift over the last hour: the panes that longer windows are made of, every statistic, and breakage.

An hour serves what broke: a unit, an encoding, a source. What moves slowly is judged over a day and a week
(drift_long.py). Invariants: an alert needs an effect worth the name and more than chance explains, at as many rows as
are independent; mirrored and synthetic traffic wakes nobody.
"""

from alert_rules import values
from alert_rules.comparison import CRITICAL, ON, PANE, VALUE, Comparison, Live, compared, pane, reference
from alert_rules.distances import everything
from alert_rules.ordered import edges
from alert_rules.rules import Alert, Group

HOUR = Comparison(PANE, Live(PANE))
# Mirrored and synthetic traffic wakes nobody.
SHOWN = 'role!~"shadow|synthetic"'
MODEL_NAMED = "of model {{ $labels.model_name }} {{ $labels.model_version }}"
COLUMN_NAMED = f"{{{{ $labels.column }}}} {MODEL_NAMED}"
AGAINST = "against reference {{ $labels.reference }}"


def group() -> Group:
    records = (*pane(), *edges(), *compared(HOUR, reference()), *everything(HOUR))
    return Group("modeltap-drift", records, (_broken(),), dashboard="drift")


def beyond_chance(it: Comparison, effect: float, *selectors: str) -> str:
    """PSI above the effect and the critical value, of enough independent rows; its value."""
    chosen = "{" + ", ".join(('statistic="psi"', *selectors)) + "}"
    return (
        f"{it.part(VALUE)}{chosen} > {effect:g} and {it.part(VALUE)} > {it.part(CRITICAL)} "
        f"and {ON} {it.live.effective} >= {values.MIN_ROWS}"
    )


def named(expr: str) -> str:
    """With a label `column`, for a sentence about features and outputs."""
    return f'label_join({expr}, "column", "", "output", "feature")'


def _broken() -> Alert:
    return Alert(
        "DistributionBroken",
        "warning",
        values.DRIFT_FOR,
        # A truth is judged with what its labels are worth (targets.py).
        named(beyond_chance(HOUR, values.DRIFT_BROKEN, SHOWN, 'target=""')),
        "A column of a model has hardly anything in common with its reference.",
        f"PSI of column {COLUMN_NAMED} {AGAINST} is "
        f'{{{{ $value | printf "%.3f" }}}} over {PANE}; {values.DRIFT_BROKEN:g} is a fault more often than a change.',
        keep=PANE,
    )
