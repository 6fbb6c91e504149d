"""The row "Drift": how far live data is from the reference, next to what chance alone would do.

Two views: the replicas' own rolling windows (gauges that they export) and the fleet, of series that rules record
(fleet.py). Invariant: no distance is shown without its noise floor and its critical value.
"""

from collections.abc import Sequence

from alert_rules.promql import family
from dashboards import fleet, yardsticks
from dashboards.panels import Panel, Query, bars, beside, coloured, empty, sized, table, timeseries
from dashboards.queries import gauge, in_order, total
from dashboards.variables import MODEL, OBSERVED, TARGET
from dashboards.yardsticks import NO_REFERENCE, drawn

FEATURE = f'{OBSERVED}, feature=~"$feature"'


def panels() -> Sequence[Panel]:
    return (
        _local("output", "Prediction drift", 'output!=""'),
        *fleet.panels(),
        live_against_reference("Live against reference: $feature", "model.feature.bin", FEATURE),
        _states(),
        _statistics(),
        _drifted(),
        _chance(),
        _effective(),
        _snapshots(),
        _left_out(),
        _moments(),
        _means(),
        _mismatches(),
        _missing(),
        _correlations(),
        _whole_rows(),
        _associations(),
        _ranking(),
    )


def live_against_reference(title: str, name: str, selector: str) -> Panel:
    """Shares of two histograms side by side; several references in the selection would mix their bins."""
    live = total(f"increase({family(name)}{{{selector}}}[$fleet_window])", "bin")
    # Every replica tells the same reference: one of them is enough.
    key = "model_name, model_version, output, feature, reference, role, bin"
    kept = f"max by ({key}) ({gauge('model.reference.bin.rows', selector)})"
    expected = total(kept, "bin")
    shares = (f"{part} / on () group_left () (sum({part}) > 0)" for part in (live, expected))
    panel = bars(
        title,
        "Share of rows per bin in the fleet window and in the reference profile; choose one version where "
        "versions have different profiles.",
        "bin",
        {
            word: Query(share, word, shape="table")
            for word, share in zip(("live", "reference"), shares, strict=True)
        },
        in_order("bin", lambda chosen: f"increase({family(name)}{{{selector}{chosen}}}[$fleet_window])"),
    )
    return empty(sized(panel, 12, 9), "No reference profile")


def _local(column: str, title: str, chosen: str) -> Panel:
    window = f'{OBSERVED}, {chosen}, window="$window", statistic="psi"'
    families = {
        "PSI": "model.drift",
        yardsticks.FLOOR: "model.drift.noise_floor",
        yardsticks.CRITICAL: "model.drift.critical_value",
        yardsticks.LEVEL: "model.drift.reference_level",
        yardsticks.ROWS: "model.drift.effective_rows",
    }
    queries = [
        Query(f"max by ({column}) ({family(name)}{{{window}}})", f"{word} {{{{{column}}}}}")
        for word, name in families.items()
    ]
    text = (
        "PSI of the rolling window, largest over replicas, with its noise floor, 99.9 % critical value, what the "
        "reference's own periods do, and effective rows."
    )
    return drawn(timeseries(title, text, "short", *queries))


def _states() -> Panel:
    counted = f'sum by (state) ({family("model.window.state")}{{{OBSERVED}, window="$window"}})'
    text = (
        "Shown columns by the state of their rolling window; insufficient means too few rows to compare, biased that "
        "large bodies were left out."
    )
    return coloured(
        sized(timeseries("Window state", text, "short", Query(counted, "{{state}}")), 6, 9),
        {"ready": "green", "insufficient": "orange", "biased": "red"},
    )


def _statistics() -> Panel:
    selector = f'{OBSERVED}, window="$window"'
    key = "output, feature, statistic"
    judged = {
        "distance": "model.drift",
        "critical": "model.drift.critical_value",
        "reference's own level": "model.drift.reference_level",
    }
    columns = {
        word: (Query(f"max by ({key}) ({family(name)}{{{selector}}})", shape="table"), "short")
        for word, name in judged.items()
    }
    text = (
        "Every statistic of outputs and of the features that drifted most, largest over replicas, with what chance "
        "and the reference's own periods would do."
    )
    return empty(sized(table("Statistics", text, tuple(key.split(", ")), columns), 12, 9), NO_REFERENCE)


def _drifted() -> Panel:
    share = f'max by (source, statistic) ({family("model.drift.drifted_columns")}{{{OBSERVED}, window="$window"}})'
    text = "Columns above all yardsticks, of those with rows enough; largest over replicas."
    panel = timeseries("Drifted columns", text, "percentunit", Query(share, "{{source}} {{statistic}}"))
    return empty(sized(panel, 6, 9), NO_REFERENCE)


def _chance() -> Panel:
    selector = f'{OBSERVED}, window="$window"'
    p_value = f"min by (output, feature, statistic) ({family('model.drift.p_value')}{{{selector}}})"
    text = "Probability of a distance as large by chance, smallest over replicas; it says nothing about its size."
    query = Query(f"bottomk(10, {p_value})", "{{output}} {{feature}} {{statistic}}")
    return empty(sized(timeseries("Least p-values", text, "short", query), 8, 9), NO_REFERENCE)


def effective_share() -> str:
    """n_eff / N over all replicas, as exporter/stats/clusters.py forms it from the same three sums."""
    key = "model_name, model_version, output, feature, reference, role"

    def grown(name: str) -> str:
        return f"sum by ({key}) (increase({family(name)}{{{OBSERVED}}}[$fleet_window]))"

    by_bin = " or ".join(
        f"sum by ({key}, bin) (increase({family(name)}{{{OBSERVED}}}[$fleet_window]))"
        for name in ("model.feature.bin", "model.prediction.bin")
    )
    rows = f"(sum by ({key}) ({by_bin}))"
    agreement = f"(sum by ({key}) (({by_bin}) ^ 2) / {rows} ^ 2)"
    squared, matched = grown("model.column.squared_rows"), grown("model.column.squared_bins")
    pairs = f"({squared} - {rows} > 0)"
    rho = f"clamp((({matched} - {rows}) / {pairs} - {agreement}) / (1 - {agreement}), 0, 1)"
    return f"1 / (1 + {rho} * {pairs} / {rows})"


def _effective() -> Panel:
    own = f'min by (output, feature) ({family("model.drift.effective_rows")}{{{OBSERVED}, window="$window"}})'
    text = (
        "Independent rows that a replica's window is worth, and the share of the fleet's rows that count as "
        "independent: rows of one request are alike."
    )
    replica = Query(own, "replica: {{output}} {{feature}}")
    fleet_share = Query(effective_share(), "fleet share: {{output}} {{feature}}")
    panel = timeseries("Effective rows", text, "short", replica, fleet_share)
    return empty(sized(beside(panel, "fleet share", "percentunit"), 10, 9), NO_REFERENCE)


def _snapshots() -> Panel:
    seen = f"increase({family('modeltap.window.snapshots')}{{{TARGET}}}[$__rate_interval])"
    text = "Files of rolling windows by outcome; corrupt and foreign ones were set aside, and windows began empty."
    query = Query(f"sum by (outcome) ({seen})", "{{outcome}}")
    return empty(sized(timeseries("Window snapshots", text, "short", query), 6, 9), "No --state-dir")


def _left_out() -> Panel:
    seen = f"max by (reason) ({family('model.columns.left_out')}{{{OBSERVED}}})"
    text = (
        "Columns without counters: beyond the series budget (they are in windows and at /v1/drift), without room, left "
        "out by the profile, or beyond what is counted without a profile."
    )
    return sized(timeseries("Columns left out", text, "short", Query(seen, "{{reason}}")), 6, 9)


def _moments() -> Panel:
    words = ("numbers", "variance", "minimum", "maximum", "range", "skewness")
    key = ("output", "feature")
    columns = {
        word: (
            Query(
                f'max by (output, feature) ({family(f"model.window.{word}")}{{{OBSERVED}, window="$window"}})',
                shape="table",
            ),
            "short",
        )
        for word in words
    }
    text = "Of outputs and of the features that drifted most, in the rolling window; largest over replicas."
    return empty(sized(table("Moments", text, key, columns), 12, 9), "No numbers")


def _means() -> Panel:
    """From sums of all replicas: what a replica's own mean cannot tell."""
    key = "output, feature"

    def grown(name: str, chosen: str = "") -> str:
        return f"sum by ({key}) (increase({family(name)}{{{OBSERVED}{chosen}}}[$fleet_window]))"

    finite = ', bin!~"<null>|<nan>"'
    rows = " or ".join(grown(name, finite) for name in ("model.feature.bin", "model.prediction.bin"))
    total = f"{grown('model.column.positive_sum')} - {grown('model.column.negative_sum')}"
    text = "Mean of each numeric column over all replicas; infinite numbers count as rows and not in the sum."
    panel = timeseries(
        "Means, fleet", text, "short", Query(f"({total}) / (({rows}) > 0)", "{{output}} {{feature}}")
    )
    del panel["fieldConfig"]["defaults"]["min"]  # means may be negative
    return empty(sized(panel, 12, 9), "No numbers")


def _mismatches() -> Panel:
    name = family("model.profile.mismatches")
    seen = f"sum by (reason) (increase({name}{{{MODEL}}}[$__rate_interval]))"
    text = "Exchanges that do not fit the reference profile."
    return empty(
        sized(timeseries("Profile mismatches", text, "short", Query(seen, "{{reason}}")), 6, 9), "None"
    )


def _missing() -> Panel:
    seen = f"increase({family('model.feature.missing')}{{{OBSERVED}}}[$__rate_interval])"
    text = "Input rows without a value, by reason: no such key, null, NaN, an empty text, a value declared as missing."
    query = Query(f"sum by (feature, reason) ({seen})", "{{feature}} {{reason}}")
    return empty(sized(timeseries("Missing values", text, "short", query), 12, 9), "None")


def _correlations() -> Panel:
    selector = f'{OBSERVED}, window="$window"'
    key = "feature, other"
    told = {
        "correlation": ("max", "model.window.correlation", selector),
        "reference": ("max", "model.reference.correlation", OBSERVED),
        "change": ("max", "model.drift.correlation", selector),
        "critical": ("max", "model.drift.correlation_critical_value", selector),
        "p-value": ("min", "model.drift.correlation_p_value", selector),
    }
    columns = {
        word: (Query(f"{how} by ({key}) ({family(name)}{{{chosen}}})", shape="table"), "short")
        for word, (how, name, chosen) in told.items()
    }
    text = "Pairs of features that the profile chose: what they have in common now and in the reference."
    return empty(sized(table("Correlations", text, ("feature", "other"), columns), 12, 9), NO_REFERENCE)


def _whole_rows() -> Panel:
    selector = f'{OBSERVED}, window="$window", statistic="mahalanobis"'
    families = {
        "distance": "model.drift",
        "noise floor": "model.drift.noise_floor",
        "critical": "model.drift.critical_value",
    }
    queries = [Query(f"max ({family(name)}{{{selector}}})", word) for word, name in families.items()]
    text = (
        "Mean squared Mahalanobis distance of whole rows from the reference's mean: the number of columns where "
        "nothing moved, more where values or what they have in common did."
    )
    return drawn(timeseries("All features together", text, "short", *queries))


def _associations() -> Panel:
    selector = f'{OBSERVED}, window="$window"'
    shift = f'{selector}, statistic="association_shift"'
    key = "output, feature"
    told = {
        "association": ("model.window.association", selector),
        "reference": ("model.reference.association", OBSERVED),
        "change": ("model.drift", shift),
        "critical": ("model.drift.critical_value", shift),
    }
    columns = {
        word: (Query(f"max by ({key}) ({family(name)}{{{chosen}}})", shape="table"), "short")
        for word, (name, chosen) in told.items()
    }
    text = "How strongly features go with predictions, now and in the reference; it is no importance."
    return empty(sized(table("Associations", text, ("output", "feature"), columns), 12, 9), NO_REFERENCE)


def _ranking() -> Panel:
    score = f'min by (output) ({family("model.drift.association_ndcg")}{{{OBSERVED}, window="$window"}})'
    text = "How well features keep their order by association with a prediction, smallest over replicas; 1 is the same."
    panel = timeseries("Order of associations", text, "short", Query(score, "{{output}}"))
    return empty(sized(panel, 4, 9), NO_REFERENCE)
