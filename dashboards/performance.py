"""The rows "Performance" and "Labels": what labels say of the model, and how far they can be trusted.

It knows which question each panel answers. Invariants: sums are added less withdrawn ones; a figure is shown beside how
many of the predictions have a label; both maturities are shown apart, for labels that come early are no fair sample.
"""

from collections.abc import Sequence

from alert_rules.promql import family
from dashboards.panels import (
    Panel,
    Query,
    bars,
    empty,
    judged,
    mapped,
    plain,
    signed,
    sized,
    stat,
    timeseries,
)
from dashboards.queries import gauge, in_order, increase, latency, quantiles, rate, total
from dashboards.variables import OBSERVED, TARGET

NONE = "No labels"
NOT_BINARY = "No scores with labels"
NOT_NUMERIC = "No numbers with labels"
_BY = ("output", "maturity")


def net(name: str, *labels: str, selector: str = OBSERVED) -> str:
    """Sums of the range that is shown: added less withdrawn."""
    added, withdrawn = (
        total(f'increase({family(name)}{{{selector}, state="{state}"}}[$__range])', *labels)
        for state in ("added", "withdrawn")
    )
    return f"({added} - ({withdrawn} or 0 * {added}))"


def panels() -> Sequence[Panel]:
    """What the model gets right and wrong."""
    return (*_classes(), *_scores(), *_errors(), _outcomes())


def labels() -> Sequence[Panel]:
    """Where predictions and labels went."""
    return (*_coverage(), *_store())


def _classes() -> Sequence[Panel]:
    name = "model.performance.confusion"
    right = f'{OBSERVED}, outcome="right"'
    all_rows = f"({net(name, *_BY)} > 0)"
    predicted = f"({net(name, *_BY, 'class')} > 0)"
    true = f"({net(name, *_BY, 'truth')} > 0)"
    mature, arrived = (net(name, "output", "truth", "class", selector=one) for one in (_MATURE, _ARRIVED))
    cells = f"({mature} > 0) or {arrived}"
    limits = f"max by (statistic, class, state) ({gauge('model.reference.performance', OBSERVED)})"
    return (
        _panel(
            "Accuracy",
            "Share of labelled rows that were right, over the range shown; what arrived last is not yet mature.",
            "percentunit",
            Query(f"{net(name, *_BY, selector=right)} / {all_rows}", "{{output}} {{maturity}}"),
        ),
        _panel(
            "Precision",
            "Of the rows predicted to be of a class, those that are.",
            "percentunit",
            Query(
                f"{net(name, *_BY, 'class', selector=right)} / {predicted}",
                "{{output}} {{class}} {{maturity}}",
            ),
        ),
        _panel(
            "Recall",
            "Of the rows of a class, those that were predicted to be.",
            "percentunit",
            Query(
                f"{net(name, *_BY, 'truth', selector=right)} / {true}", "{{output}} {{truth}} {{maturity}}"
            ),
        ),
        _panel(
            "Confusion",
            "Weight of rows by true and predicted class.",
            "short",
            Query(cells, "{{output}}: {{truth}} taken for {{class}}"),
        ),
        empty(
            signed(
                sized(
                    timeseries(
                        "Reference's bands",
                        "What figures were over periods of the reference's test rows.",
                        "short",
                        Query(limits, "{{statistic}} {{class}} {{state}}"),
                    ),
                    8,
                    8,
                )
            ),
            "No test rows over periods (--time) in the reference",
        ),
    )


_MATURE = f'{OBSERVED}, maturity="mature"'
_ARRIVED = f'{OBSERVED}, maturity="arrival"'


def _scores() -> Sequence[Panel]:
    score, sums = "model.performance.score", "model.performance.score_sum"
    positive, negative = (f'{OBSERVED}, truth="{truth}"' for truth in ("positive", "negative"))
    hits, misses = (net(score, *_BY, "bin", selector=selector) for selector in (positive, negative))
    below = net("model.performance.score_negatives", *_BY, "bin")
    whole = [net(score, *_BY, selector=selector) for selector in (positive, negative)]
    area = f"{total(f'{hits} * ({below} - {misses} / 2)', *_BY)} / ({whole[0]} * {whole[1]} > 0)"
    scores = net(sums, *_BY, "bin")
    gap = f"{total(f'abs({hits} - {scores})', *_BY)} / ({net(score, *_BY)} > 0)"
    brier = net("model.performance.error", *_BY, selector=f'{OBSERVED}, statistic="brier"')
    figures = (
        Query(area, "AUC {{output}} {{maturity}}"),
        Query(gap, "ECE {{output}} {{maturity}}"),
        Query(f"{brier} / ({net(score, *_BY)} > 0)", "Brier {{output}} {{maturity}}"),
    )
    together = timeseries(
        "Scores", "Area under the ROC curve, calibration error, Brier score.", "percentunit", *figures
    )
    return tuple(empty(sized(panel, 8, 8), NOT_BINARY) for panel in (together, _calibration()))


def _calibration() -> Panel:
    """Of labels as they arrive, since a bin of mature ones exists later."""
    score, arrived = "model.performance.score", _ARRIVED
    hits = net(score, "bin", selector=f'{arrived}, truth="positive"')
    scores, rows = (net(name, "bin", selector=arrived) for name in ("model.performance.score_sum", score))
    columns = {
        "positives": Query(f"{hits} / ({rows} > 0)", shape="table"),
        "mean score": Query(f"{scores} / ({rows} > 0)", shape="table"),
    }
    order = in_order("bin", lambda chosen: f"increase({family(score)}{{{arrived}{chosen}}}[$__range])")
    text = "Share of positives by bin of the score, beside the mean score; in a calibrated model they are the same."
    return bars("Calibration", text, "bin", columns, order)


def _errors() -> Sequence[Panel]:
    def of(statistic: str) -> str:
        return net("model.performance.error", *_BY, selector=f'{OBSERVED}, statistic="{statistic}"')

    weight = f"({of('weight')} > 0)"
    errors = timeseries(
        "Errors",
        "Root of the mean squared error, mean absolute error, bias.",
        "short",
        Query(f"sqrt({of('squares')} / {weight})", "RMSE {{output}} {{maturity}}"),
        Query(f"({of('over')} + {of('under')}) / {weight}", "MAE {{output}} {{maturity}}"),
        Query(f"({of('over')} - {of('under')}) / {weight}", "bias {{output}} {{maturity}}"),
    )
    inside = timeseries(
        "Intervals",
        "Share of truths within the predicted interval.",
        "percentunit",
        Query(f"{of('interval_inside')} / {weight}", "{{output}} {{maturity}}"),
    )
    residuals = timeseries(
        "Residuals",
        "Weight of rows by prediction less truth.",
        "short",
        Query(net("model.performance.residual", "output", "bin"), "{{output}} {{bin}}"),
    )
    found = [empty(sized(panel, 8, 8), NOT_NUMERIC) for panel in (signed(errors), inside)]
    return (*found, empty(sized(residuals, 8, 8), "No errors in the reference"))


def _coverage() -> Sequence[Panel]:
    kept = total(increase("model.label.predictions", f'{OBSERVED}, state="kept"'), "model_version")
    joined = total(increase("model.label.joined", OBSERVED), "model_version")
    lag = latency("Label lag", "From the prediction to its label.", quantiles("model.label.lag", OBSERVED))
    return (
        _panel(
            "Predictions and labels",
            "Predicted rows that began to wait, and rows that met a label; by version.",
            "short",
            Query(kept, "{{model_version}} kept"),
            Query(joined, "{{model_version}} joined"),
        ),
        _panel(
            "Predictions by fate",
            "Predicted rows by what became of them where they were seen.",
            "short",
            Query(total(increase("model.label.predictions", OBSERVED), "state"), "{{state}}"),
        ),
        _panel(
            "Labels by outcome",
            "Labels per second by what became of them; parked ones met no prediction yet.",
            "short",
            Query(total(rate("modeltap.labels", TARGET), "source", "outcome"), "{{source}} {{outcome}}"),
        ),
        empty(sized(lag, 8, 8), NONE),
        _panel(
            "Labelled rows",
            "Rows with a label, and those whose label is of another kind than the output.",
            "short",
            Query(net("model.performance.rows", *_BY), "{{output}} {{maturity}}"),
            Query(net("model.performance.unusable", *_BY), "unusable {{output}} {{maturity}}"),
        ),
        _panel(
            "Labels that count nowhere",
            "Rows that met a label and count nowhere, or not at maturity, by reason.",
            "short",
            Query(total(increase("modeltap.labels.uncounted", TARGET), "reason"), "{{reason}}"),
        ),
    )


def _outcomes() -> Panel:
    by = ("model_version", "statistic")
    gain, loss = (
        net("model.outcome.sum", *by, selector=f'{OBSERVED}, direction="{side}"') for side in ("gain", "loss")
    )
    rows = net("model.outcome.rows", *by)
    text = "Mean of each named outcome per labelled row, by version."
    panel = timeseries(
        "Outcomes",
        text,
        "short",
        Query(f"({gain} - {loss}) / ({rows} > 0)", "{{model_version}} {{statistic}}"),
    )
    return empty(signed(sized(panel, 8, 8)), "No outcomes told")


def _store() -> Sequence[Panel]:
    up = stat(
        "Label store",
        "Whether it answered when it was last asked.",
        "none",
        Query(f"min({gauge('modeltap.label_store.up', TARGET)})"),
    )
    shown = mapped(
        judged(sized(empty(plain(up), "No label store"), 4, 8), ("red", None), ("green", 1)),
        {"0": "Down", "1": "Up"},
    )
    rows = f"max by (source, state) ({gauge('modeltap.label_store.rows', TARGET)})"
    hours = f"max by (source, state) ({gauge('modeltap.label_store.cohorts', TARGET)})"
    return (
        shown,
        _panel(
            "Rows in the store",
            "Of all replicas of a shared one.",
            "short",
            Query(rows, "{{source}} {{state}}"),
        ),
        _panel(
            "Store in use",
            "The larger share of its bounds; share of requests whose rows wait.",
            "percentunit",
            Query(f"max by (source) ({gauge('modeltap.label_store.used', TARGET)})", "{{source}} used"),
            Query(f"min({gauge('modeltap.labels.sample_ratio', TARGET)})", "sampled"),
        ),
        _panel(
            "Lost in the store",
            "Rows, labels and cells that it failed to keep, by reason.",
            "short",
            Query(
                total(increase("modeltap.label_store.lost", TARGET), "source", "reason"),
                "{{source}} {{reason}}",
            ),
        ),
        _panel(
            "Cohorts", "Hours of predictions in the store.", "short", Query(hours, "{{source}} {{state}}")
        ),
    )


def _panel(title: str, text: str, unit: str, *queries: Query) -> Panel:
    return empty(sized(timeseries(title, text, unit, *queries), 8, 8), NONE)
