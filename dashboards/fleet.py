"""Drift of all replicas together: the series that alert_rules/drift*.yaml record, which are what alerts read.

It knows no formula. Invariants: no distance is shown without what it is by chance, at as many rows as are independent,
and what the reference does by itself; nothing is computed of raw rows. Recorded series have no `instance`.
"""

from collections.abc import Mapping, Sequence

from alert_rules.comparison import CRITICAL, EXCESS, FLOOR, VALUE, Comparison, Live
from alert_rules.drift_pairs import VERSIONS, WEEK
from alert_rules.promql import family
from dashboards import yardsticks
from dashboards.panels import Panel, Query, empty, signed, sized, table, timeseries
from dashboards.variables import FLEET, OBSERVED
from dashboards.yardsticks import NO_RULES, drawn

WINDOW = Comparison("$fleet_window", Live("$fleet_window"))
KEY = "model_name, model_version, role, reference, output, feature"
NO_OTHERS = "No rows a week ago, a single version, or recording rules that are not loaded"


def panels() -> Sequence[Panel]:
    return (
        _lines("Prediction drift, fleet", 'output=~"$output", output!=""', "{{output}}"),
        _lines("Drift of $feature, fleet", 'feature=~"$feature", feature!=""', "{{feature}}"),
        _furthest(),
        _table(),
        _statistics(),
        _others(),
        _other_statistics(),
    )


def recorded(it: Comparison, what: str, chosen: str) -> str:
    """One recorded family of a comparison."""
    return f"{it.part(what)}{{{FLEET}, {chosen}}}"


def yardstick_queries(chosen: str) -> Mapping[str, str]:
    """PSI, all that it is judged by, and how many rows are independent, by their words in a legend."""
    one = f'statistic="psi", {chosen}'
    level = f'{family("model.drift.reference_level")}{{{OBSERVED}, window="$fleet_window", {one}}}'
    return {
        "PSI": recorded(WINDOW, VALUE, one),
        yardsticks.FLOOR: recorded(WINDOW, FLOOR, one),
        yardsticks.CRITICAL: recorded(WINDOW, CRITICAL, one),
        yardsticks.LEVEL: f"max by ({KEY}) ({level})",
        yardsticks.ROWS: f"{WINDOW.live.effective}{{{FLEET}, {chosen}}}",
    }


def _lines(title: str, chosen: str, legend: str) -> Panel:
    queries = [Query(expr, f"{word} {legend}") for word, expr in yardstick_queries(chosen).items()]
    text = (
        "PSI of all replicas together over the fleet window, as alerts read it, with its effective rows. Below the "
        "noise floor it is chance; above the critical value chance alone would get there once in a thousand times; "
        "below the reference's own level its own periods differ as much."
    )
    return drawn(timeseries(title, text, "short", *queries), NO_RULES)


def _furthest() -> Panel:
    one = 'statistic="psi", feature!=""'
    beyond = f"{recorded(WINDOW, VALUE, one)} - {recorded(WINDOW, CRITICAL, one)}"
    text = (
        "The ten features whose fleet PSI is furthest above its own critical value; above 0 it is more than chance, "
        "whatever the number of rows."
    )
    panel = timeseries(
        "Features beyond chance, fleet", text, "short", Query(f"topk(10, {beyond})", "{{feature}}")
    )
    return empty(sized(signed(panel), 8, 9), NO_RULES)


def _table() -> Panel:
    labels = ("model_name", "model_version", "reference", "feature")
    columns = {
        word: (Query(f"max by ({', '.join(labels)}) ({expr})", shape="table"), "short")
        for word, expr in yardstick_queries('feature!=""').items()
    }
    text = "Fleet PSI of each feature with all that it is judged by, at the end of the time range."
    return empty(sized(table("Features", text, labels, columns), 12, 9), NO_RULES)


def _statistics() -> Panel:
    key = "output, feature, statistic"
    words = {"distance": VALUE, "noise floor": FLOOR, "critical": CRITICAL, "beyond the floor": EXCESS}
    columns = {
        word: (Query(f"max by ({key}) ({WINDOW.part(what)}{{{FLEET}}})", shape="table"), "short")
        for word, what in words.items()
    }
    text = "Every statistic that bins give of every column, of all replicas together."
    return empty(sized(table("Statistics, fleet", text, tuple(key.split(", ")), columns), 12, 9), NO_RULES)


def _others() -> Panel:
    """Live rows against live rows."""
    queries = []
    for word, it in (("week before", WEEK), ("other versions", VERSIONS)):
        beyond = " - ".join(recorded(it, what, 'statistic="psi"') for what in (VALUE, CRITICAL))
        queries.append(
            Query(f"topk(10, {beyond})", f"{word} {{{{model_version}}}} {{{{output}}}} {{{{feature}}}}")
        )
    text = (
        "PSI of the last 24 hours less its critical value, against the same span a week before and against the live "
        "rows of the other versions: the ten columns furthest beyond chance. No profile takes part."
    )
    panel = timeseries("Against last week and other versions", text, "short", *queries)
    return empty(sized(signed(panel), 12, 9), NO_OTHERS)


def _other_statistics() -> Panel:
    key = "model_version, output, feature, statistic"
    columns = {
        f"{word}, {part}": (Query(f"max by ({key}) ({it.part(what)}{{{FLEET}}})", shape="table"), "short")
        for word, it in (("week", WEEK), ("versions", VERSIONS))
        for part, what in (("distance", VALUE), ("critical", CRITICAL))
    }
    text = "PSI, Jensen-Shannon, total variation and Kolmogorov-Smirnov of the last 24 hours against other live rows."
    panel = table("Week and versions, all statistics", text, tuple(key.split(", ")), columns)
    return empty(sized(panel, 12, 9), NO_OTHERS)
