"""The row "Data quality": what is missing, wrong, repeated, old, or too much and too little of.

It knows which question each panel answers. Invariant: what is judged against the reference is shown beside it.
"""

from collections.abc import Sequence

from alert_rules.promql import family
from dashboards.panels import Panel, Query, empty, sized, timeseries
from dashboards.queries import gauge, increase, latency, quantiles, rate, total
from dashboards.variables import OBSERVED

NONE = "None"
NO_TIMES = "No column of times"


def panels() -> Sequence[Panel]:
    """All of them."""
    return (*_columns(), *_rules(), *_rows(), *_ages(), _imbalance())


def _columns() -> Sequence[Panel]:
    column = ("output", "feature")
    seen = total(increase("model.data.violations", OBSERVED), *column, "reason")
    checked = total(increase("model.data.checked", OBSERVED), *column)
    share = f"topk(15, {seen} / on ({', '.join(column)}) group_left () ({checked} > 0) > 0)"
    missing = total(increase("model.feature.missing", OBSERVED), "feature")
    features = f'{OBSERVED}, feature!=""'
    of = f"({total(increase('model.data.checked', features), 'feature')} > 0)"
    outputs = increase("model.prediction.missing", OBSERVED)
    reference = f"max by (output, feature, reason) ({gauge('model.reference.outlier_ratio', OBSERVED)})"
    outliers = f'{family("model.data.violations")}{{{OBSERVED}, reason=~"outlier_.*"}}'
    live = total(f"increase({outliers}[$__rate_interval])", *column, "reason")
    excess = f"topk(10, {live} / on ({', '.join(column)}) group_left () ({checked} > 0) - {reference})"
    constant = f"max by (output, feature) ({gauge('model.window.constant', OBSERVED)}) > 0"
    legend = "{{output}}{{feature}}"
    return (
        _panel(
            "Share of rows without a value",
            "By feature, for any reason.",
            "percentunit",
            Query(f"{missing} / {of}", "{{feature}}"),
        ),
        _panel(
            "Violations",
            "Share of the rows of a column that cannot be right, by reason; the fifteen largest.",
            "percentunit",
            Query(share, f"{legend} {{{{reason}}}}"),
        ),
        _panel(
            "Outliers beyond the reference's own",
            "Share of a column's values beyond its fences, less that of the reference; the ten largest.",
            "percentunit",
            Query(excess, f"{legend} {{{{reason}}}}"),
        ),
        _panel(
            "Predictions without a value",
            "Rows by output and reason.",
            "short",
            Query(total(outputs, "output", "reason"), "{{output}} {{reason}}"),
        ),
        _panel(
            "Columns that stand still",
            "One single value in a window, where the reference has several.",
            "short",
            Query(constant, legend),
        ),
    )


def _rules() -> Sequence[Panel]:
    checked = total(increase("model.rules.checked", OBSERVED), "reason")
    broken = total(increase("model.data.violations", OBSERVED), "reason")
    failed = total(increase("model.rules.failures", OBSERVED), "reason")
    return (
        _panel(
            "Rules of the configuration",
            "Share of the rows judged that break a rule.",
            "percentunit",
            Query(f"{broken} / ({checked} > 0)", "{{reason}}"),
        ),
        _panel(
            "Rules that failed",
            "Rules that were switched off, as the log tells.",
            "short",
            Query(f"{failed} > 0", "{{reason}}"),
        ),
    )


def _rows() -> Sequence[Panel]:
    repeated, checked = (
        total(increase(name, OBSERVED)) for name in ("model.duplicates", "model.duplicates.checked")
    )
    own = f"max({gauge('model.reference.duplicate_ratio', OBSERVED)})"
    rows = total(rate("model.batch.rows", OBSERVED, "_sum"))
    before = total(f"rate({family('model.batch.rows', '_sum')}{{{OBSERVED}}}[$__rate_interval] offset 7d)")
    expected = f"max({gauge('model.reference.row_rate', OBSERVED)})"
    return (
        _panel(
            "Repeated rows",
            "Share of rows that are exactly one of the last hour's, and that of the reference.",
            "percentunit",
            Query(f"{repeated} / ({checked} > 0)", "live"),
            Query(own, "reference"),
        ),
        _panel(
            "Rows against last week",
            "Rows per second, those of the same hour a week ago, and those of the reference.",
            "short",
            Query(rows, "now"),
            Query(before, "a week ago"),
            Query(expected, "reference"),
        ),
    )


def _ages() -> Sequence[Panel]:
    newest = f"time() - max({gauge('model.event.time.latest', OBSERVED)})"
    age = latency(
        "Age of rows", "By their column of times, when they came.", quantiles("model.event.lag", OBSERVED)
    )
    return (
        empty(sized(age, 8, 8), NO_TIMES),
        empty(
            _panel(
                "Since the latest row", "Seconds since the latest time in any row.", "s", Query(newest, "age")
            ),
            NO_TIMES,
        ),
        empty(
            _panel(
                "Rows from the future",
                "Rows whose time lies ahead.",
                "short",
                Query(total(increase("model.event.future", OBSERVED)), "rows"),
            ),
            NO_TIMES,
        ),
    )


def _imbalance() -> Panel:
    classes = total(increase("model.predictions", OBSERVED), "output", "class")
    share = f"max by (output) ({classes}) / (sum by (output) ({classes}) > 0)"
    text = "Share of predictions that are of the most frequent class; near 1 the model says the same to everybody."
    return _panel("Class imbalance", text, "percentunit", Query(share, "{{output}}"))


def _panel(title: str, text: str, unit: str, *queries: Query) -> Panel:
    return empty(sized(timeseries(title, text, unit, *queries), 8, 8), NONE)
