"""The row "Expected": what performance to expect of scores before labels come, beside what labels said later.

It knows no formula: the figures are those of the sidecars' windows, and of the fleet as alert_rules/expected.yaml
records them. Invariant: no figure is shown without its limits, and none without the share of rows that nothing is
known of.
"""

from collections.abc import Sequence

from alert_rules.expected import LOWER, UNKNOWN, UPPER, VALUE
from alert_rules.performance import ACCURACY, AUC
from dashboards.panels import Panel, Query, bars, empty, sized, timeseries
from dashboards.queries import gauge, in_order, total
from dashboards.variables import FLEET, OBSERVED

NOTHING = "No test rows by bin of the score in the reference"
NO_RULES = "No test rows by bin of the score in the reference, or recording rules that are not loaded"
_WINDOW = f'{OBSERVED}, window="$window"'


def panels() -> Sequence[Panel]:
    return (_beside(), _figures(), _window(), _trust(), _chances())


def _beside() -> Panel:
    """Of the fleet; the realised figures are those of mature cohorts."""
    queries = []
    for name, realised in (("accuracy", ACCURACY), ("auc_roc", AUC)):
        one = f'{FLEET}, statistic="{name}"'
        for word, series in (("expected", VALUE), ("at least", LOWER), ("at most", UPPER)):
            queries.append(Query(f"{series}{{{one}}}", f"{name} {{{{output}}}} {word}"))
        queries.append(Query(f'{realised}{{{FLEET}, maturity="mature"}}', f"{name} {{{{output}}}} realised"))
    text = (
        "Of all replicas over a week: what scores alone lead to expect, with limits of 95 %, and what mature labels "
        "said. Realised below what was expected at least: scores mean something else than in the reference."
    )
    return empty(sized(timeseries("Expected and realised", text, "percentunit", *queries), 12, 9), NO_RULES)


def _figures() -> Panel:
    text = "Every figure that is expected of all replicas over a week."
    query = Query(f"{VALUE}{{{FLEET}}}", "{{statistic}} {{output}}")
    return empty(sized(timeseries("Expected figures", text, "percentunit", query), 12, 9), NO_RULES)


def _window() -> Panel:
    """Replicas have windows of their own."""
    queries = [
        Query(
            f"avg by (output, statistic) ({gauge('model.expected.performance', chosen)})",
            f"{{{{statistic}}}} {{{{output}}}} {word}",
        )
        for word, chosen in (
            ("", f'{_WINDOW}, state="value"'),
            ("at least", f'{_WINDOW}, state="low", statistic=~"accuracy|auc_roc"'),
            ("at most", f'{_WINDOW}, state="high", statistic=~"accuracy|auc_roc"'),
        )
    ]
    text = "What is expected of the rolling windows, mean of the replicas that are chosen."
    return empty(sized(timeseries("Expected in the window", text, "percentunit", *queries), 12, 8), NOTHING)


def _trust() -> Panel:
    states = f"max by (output, state) ({gauge('model.expected.state', _WINDOW)})"
    queries = (
        Query(f"max by (output) ({gauge('model.expected.unknown_ratio', _WINDOW)})", "{{output}} unknown"),
        Query(f"{UNKNOWN}{{{FLEET}}}", "{{output}} unknown, fleet"),
        Query(f"{states} == 1", "{{output}} {{state}}"),
    )
    text = (
        "Share of scores in bins in which the reference has hardly any test rows, and the state of the window; beyond "
        "5 % nothing is expected."
    )
    return empty(
        sized(timeseries("Scores that nothing is known of", text, "percentunit", *queries), 6, 8), NOTHING
    )


def _chances() -> Panel:
    rows, chance = (gauge(f"model.reference.score.{what}", OBSERVED) for what in ("rows", "chance"))
    key = "model_name, model_version, output, bin, class, reference, role"
    known = f"max by ({key}) ({rows})"
    positives = total(f"{known} * max by ({key}) ({chance})", "bin")
    every = total(known, "bin")
    columns = {
        "chance": Query(f"{positives} / ({every} > 0)", shape="table"),
        "test rows": Query(f"{every} / on () group_left () (sum({every}) > 0)", shape="table"),
    }
    order = in_order("bin", lambda chosen: gauge("model.reference.score.rows", f"{OBSERVED}{chosen}"))
    text = (
        "Chance of being positive by bin of the score in the reference, and the bin's share of its test rows."
    )
    return empty(sized(bars("Chances by score", text, "bin", columns, order), 6, 8), NOTHING)
