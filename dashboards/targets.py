"""The row "Truth of numbers": how labels that are numbers are distributed, beside the reference's target.

It knows no formula of a distance: those are recorded (fleet.py). Invariants: of mature labels where they are judged, of
those that arrived where they are shown; no distance without what it is by chance.
"""

from collections.abc import Sequence

from alert_rules.comparison import CRITICAL, EXCESS, FLOOR, VALUE
from alert_rules.promql import family
from dashboards import yardsticks
from dashboards.fleet import WINDOW, recorded
from dashboards.panels import Panel, Query, bars, empty, sized, table, timeseries
from dashboards.performance import net
from dashboards.queries import gauge, in_order, total
from dashboards.variables import FLEET, OBSERVED
from dashboards.yardsticks import drawn

NO_TARGETS = (
    "No numbers with labels, no numeric target in the reference, or recording rules that are not loaded"
)
_NAME, _SUM = "model.performance.target", "model.performance.target_sum"
_TRUTH = 'target!=""'
_BY = ("model_name", "model_version", "output", "reference", "role")


def panels() -> Sequence[Panel]:
    return (_lines(), _bins(), _statistics(), _independent(), _stored())


def _lines() -> Panel:
    one = 'statistic="psi", target!=""'
    level = gauge("model.reference.target_level", f'{OBSERVED}, window="$fleet_window", statistic="psi"')
    queries = {
        "PSI": recorded(WINDOW, VALUE, one),
        yardsticks.FLOOR: recorded(WINDOW, FLOOR, one),
        yardsticks.CRITICAL: recorded(WINDOW, CRITICAL, one),
        yardsticks.ROWS: f'{WINDOW.live.effective}{{{FLEET}, target!=""}}',
    }
    shown = [Query(expr, f"{word} {{{{target}}}}") for word, expr in queries.items()]
    shown.append(
        Query(f"max by ({', '.join(_BY)}) ({level})", f"{yardsticks.LEVEL} {{{{output}}}}"),
    )
    text = (
        "PSI of mature labels of all replicas over the fleet window, as the alert reads it: above the critical value "
        "chance alone would get there once in a thousand times, with as many labels as are independent."
    )
    return drawn(timeseries("Drift of the truth, fleet", text, "short", *shown), NO_TARGETS)


def _bins() -> Panel:
    arrived = f'{OBSERVED}, maturity="arrival"'
    live = net(_NAME, "bin", selector=arrived)
    # Every replica tells the same reference: one of them is enough.
    told = total(
        f"max by ({', '.join((*_BY, 'bin'))}) ({gauge('model.reference.target_bin', OBSERVED)})", "bin"
    )
    columns = {
        word: Query(f"{part} / on () group_left () (sum({part}) > 0)", word, shape="table")
        for word, part in (("labels", live), ("reference", told))
    }
    text = (
        "Share of labels per bin over the range shown, as they arrived, and of the reference's target; choose one "
        "version where versions have different profiles."
    )
    order = in_order("bin", lambda chosen: f"increase({family(_NAME)}{{{arrived}{chosen}}}[$__range])")
    return empty(sized(bars("Truth against reference", text, "bin", columns, order), 8, 9), NO_TARGETS)


def _statistics() -> Panel:
    key = ("target", "statistic")
    words = {"distance": VALUE, "noise floor": FLOOR, "critical": CRITICAL, "beyond the floor": EXCESS}
    columns = {
        word: (
            Query(f"max by ({', '.join(key)}) ({recorded(WINDOW, what, _TRUTH)})", shape="table"),
            "short",
        )
        for word, what in words.items()
    }
    text = "Every statistic that bins give of the truth, of all replicas together, over the fleet window."
    return empty(sized(table("Statistics of the truth, fleet", text, key, columns), 8, 9), NO_TARGETS)


def independent_share() -> str:
    """W / (sum w^2 + rho (T - sum w^2)): n_eff over the weight, as alert_rules has it."""
    mature = f'{OBSERVED}, maturity="mature"'

    def grown(name: str, chosen: str = "", *more: str) -> str:
        return total(f"increase({family(name)}{{{mature}{chosen}}}[$__range])", *_BY, *more)

    by_bin, weight = grown(_NAME, "", "bin"), f"({grown(_NAME)} > 0)"
    squares, rows, matched = (
        grown(_SUM, f', statistic="squared_{name}"') for name in ("weights", "rows", "bins")
    )
    agreement = f"({total(f'({by_bin}) ^ 2', *_BY)} / {weight} ^ 2)"
    pairs = f"({rows} - {squares} > 0)"
    alike = f"clamp((({matched} - {squares}) / {pairs} - {agreement}) / (1 - {agreement} > 0), 0, 1)"
    # Without two labels in any hour, Kish's share for weights.
    return f"{weight} / ({squares} + {alike} * {pairs}) or {weight} / ({squares} > 0)"


def _independent() -> Panel:
    text = (
        "Share of mature labels over the range shown that count as independent: those of one hour are alike, and "
        "weights differ."
    )
    query = Query(independent_share(), "{{output}} {{model_version}}")
    return empty(sized(timeseries("Independent labels", text, "percentunit", query), 8, 9), NO_TARGETS)


def _stored() -> Panel:
    families = {
        "PSI": "model.target.drift",
        yardsticks.FLOOR: "model.target.noise_floor",
        yardsticks.CRITICAL: "model.target.critical_value",
    }
    key, legend = "output, window", "{{output}} {{window}}"
    queries = [
        Query(f'max by ({key}) ({family(name)}{{{OBSERVED}, statistic="psi"}})', f"{word} {legend}")
        for word, name in families.items()
    ]
    rows = f"max by ({key}) ({gauge('model.target.effective_rows', OBSERVED)})"
    queries.append(Query(rows, f"{yardsticks.ROWS} {legend}"))
    text = (
        "PSI of the hours that matured last, 24 hours and 7 days of them, as a replica reads it from the store every "
        "five minutes, with its noise floor, 99.9 % critical value and independent labels."
    )
    return drawn(timeseries("Drift of the truth, by the store", text, "short", *queries), NO_TARGETS)
