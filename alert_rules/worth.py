"""Rules about what labels are worth to their owner: costs per row, KPIs beside their targets.

It knows sums and gauges, not rows. Invariants: every replica of a shared store shows the same KPI, so the largest is
taken, never the sum; with few rows nothing alerts; mirrored traffic has no KPI to keep.
"""

from alert_rules import values
from alert_rules.performance import KEY, NAMED, SHOWN, net
from alert_rules.rules import SCOPE, Alert, Group, Record, series, total

_W = values.PERFORMANCE_WINDOW
_OUTPUT = (*KEY, "output")
_KPI = (*KEY, "statistic")
COST = f"output:model_cost:mean_increase{_W}"
EXPECTED = f"output:model_cost_expected:mean_increase{_W}"


def group() -> Group:
    return Group("modeltap-worth", _costs(), _kpis(), dashboard="performance")


def _costs() -> tuple[Record, ...]:
    rows = f"({net('model.performance.rows', *_OUTPUT, 'maturity')} > 0)"
    expected = [_grown("model.cost.expected", f'direction="{side}"', *_OUTPUT) for side in ("loss", "gain")]
    among = f"({_grown('model.cost.rows', '', *_OUTPUT)} > 0)"
    return (
        Record(COST, f"({_realised('loss')} - {_realised('gain')}) / {rows}"),
        Record(EXPECTED, f"({' - '.join(expected)}) / {among}"),
    )


def _realised(direction: str) -> str:
    added, withdrawn = (
        _grown("model.cost.realised", f'direction="{direction}", state="{state}"', *_OUTPUT, "maturity")
        for state in ("added", "withdrawn")
    )
    return f"({added} - ({withdrawn} or 0 * {added}))"


def _grown(name: str, selector: str, *labels: str) -> str:
    return total(f"increase({series(name, selector)}[{_W}])", *labels)


def _kpis() -> tuple[Alert, ...]:
    value = _most(_KPI, series("model.kpi.value", SHOWN))
    enough = f"{_most(_KPI, series('model.kpi.rows', SHOWN))} >= {values.MIN_LABELLED}"
    sides = []
    for direction, beyond in (("above", "<"), ("below", ">")):
        target = _most((*SCOPE, "statistic", "owner"), series("model.kpi.target", f'direction="{direction}"'))
        on = f"on ({', '.join((*SCOPE, 'statistic'))}) group_left (owner)"
        sides.append(f"{value} {beyond} {on} {target}")
    missed = f"({' or '.join(sides)}) and on ({', '.join(_KPI)}) {enough}"
    return (
        Alert(
            "KpiMissed",
            "warning",
            "1h",
            missed,
            "A KPI of a model is on the wrong side of its target.",
            f"{{{{ $labels.statistic }}}} of model {NAMED} is {{{{ $value | humanize }}}} in its window; the target "
            "is in model_kpi_target.",
        ),
    )


def _most(labels: tuple[str, ...], expr: str) -> str:
    return f"max by ({', '.join(labels)}) ({expr})"
