"""Rules about labels and what they say over the whole fleet: figures, and whether labels can be trusted.

It knows sums, not rows. Invariants: what counts is added less withdrawn; a figure alerts by mature cohorts alone, with
enough rows, and only if its whole interval is outside; mirrored and synthetic traffic wakes nobody.
"""

from alert_rules import values
from alert_rules.rules import MODEL, SCOPE, Alert, Group, Record, series, total

KEY = (*MODEL, "role")
SHOWN = 'role!~"shadow|synthetic"'
NAMED = "{{ $labels.model_name }} {{ $labels.model_version }}"
_W = values.PERFORMANCE_WINDOW
CELLS = f"cell:model_performance_confusion:increase{_W}"
ROWS = f"output:model_performance_rows:increase{_W}"
ACCURACY = f"output:model_accuracy:ratio_increase{_W}"
HIGH = f"output:model_accuracy:upper_increase{_W}"
PRECISION = f"class:model_precision:ratio_increase{_W}"
RECALL = f"class:model_recall:ratio_increase{_W}"
F1 = f"class:model_f1:ratio_increase{_W}"
F1_MACRO = f"output:model_f1_macro:ratio_increase{_W}"
BALANCED = f"output:model_balanced_accuracy:ratio_increase{_W}"
FALSE_POSITIVE = f"class:model_false_positive:ratio_increase{_W}"
SCORES = f"bin:model_performance_score:increase{_W}"
AUC = f"output:model_auc_roc:ratio_increase{_W}"
AUC_BOUND = f"output:model_auc_roc:bound_increase{_W}"
ECE = f"output:model_ece:ratio_increase{_W}"
ERRORS = f"output:model_performance_error:increase{_W}"
BRIER = f"output:model_brier:mean_increase{_W}"
RMSE = f"output:model_rmse:root_increase{_W}"
MAE = f"output:model_mae:mean_increase{_W}"
BIAS = f"output:model_bias:mean_increase{_W}"
R2 = f"output:model_r2:ratio_increase{_W}"
COVERAGE = f"model:model_label_coverage:ratio_increase{_W}"
LAG = f"model:model_label_lag_seconds:p50_{_W}"
UNMATCHED = "job:modeltap_labels_unmatched:ratio_increase1d"
_OUTPUT = (*KEY, "output", "maturity")
_Z = 1.959963984540054


def group() -> Group:
    records = (*_classes(), *_scores(), *_errors(), *_labels())
    return Group(
        "modeltap-performance", records, (*_figure_alerts(), *_label_alerts()), dashboard="performance"
    )


def net(name: str, *labels: str) -> str:
    """Added less withdrawn over the window."""
    sides = [series(name, f'state="{state}"') for state in ("added", "withdrawn")]
    added, withdrawn = (total(f"increase({side}[{_W}])", *labels) for side in sides)
    return f"{added} - ({withdrawn} or 0 * {added})"


def _classes() -> tuple[Record, ...]:
    right = f'{CELLS}{{outcome="right"}}'
    whole = total(CELLS, *_OUTPUT)
    by_class = total(CELLS, *_OUTPUT, "class")
    hits = total(right, *_OUTPUT, "class")
    true = total(CELLS, *_OUTPUT, "truth")
    named = total(f'label_replace({true}, "class", "$1", "truth", "(.+)")', *_OUTPUT, "class")
    n = f"({ROWS} > 0)"
    half = f"{_Z} * sqrt({ACCURACY} * (1 - {ACCURACY}) / {n} + {_Z**2 / 4} / ({n} * {n}))"
    rest = f"({by_class} * 0 + on ({', '.join(_OUTPUT)}) group_left () {whole})"
    return (
        Record(CELLS, net("model.performance.confusion", *_OUTPUT, "truth", "class", "outcome")),
        Record(ROWS, net("model.performance.rows", *_OUTPUT)),
        Record(ACCURACY, f"{total(right, *_OUTPUT)} / ({whole} > 0)"),
        # Wilson's upper limit.
        Record(HIGH, f"({ACCURACY} + {_Z**2 / 2} / {n} + {half}) / (1 + {_Z**2} / {n})"),
        Record(PRECISION, f"{hits} / ({by_class} > 0)"),
        Record(RECALL, f"{hits} / ({named} > 0)"),
        Record(F1, f"2 * {hits} / ({by_class} + {named} > 0)"),
        Record(F1_MACRO, f"avg by ({', '.join(_OUTPUT)}) ({F1})"),
        Record(BALANCED, f"avg by ({', '.join(_OUTPUT)}) ({RECALL})"),
        Record(FALSE_POSITIVE, f"({by_class} - {hits}) / ({rest} - {named} > 0)"),
    )


def _scores() -> tuple[Record, ...]:
    parts = (*_OUTPUT, "bin")
    positive, negative = (
        f'sum without (truth) ({SCORES}{{truth="{one}"}})' for one in ("positive", "negative")
    )
    below = f"({net('model.performance.score_negatives', *parts)})"
    sums = f"({net('model.performance.score_sum', *parts)})"
    pairs = " * ".join(total(f'{SCORES}{{truth="{one}"}}', *_OUTPUT) for one in ("positive", "negative"))
    return (
        Record(SCORES, net("model.performance.score", *parts, "truth")),
        Record(AUC, f"{total(f'{positive} * ({below} - {negative} / 2)', *_OUTPUT)} / ({pairs} > 0)"),
        Record(AUC_BOUND, f"0.5 * {total(f'{positive} * {negative}', *_OUTPUT)} / ({pairs} > 0)"),
        Record(ECE, f"{total(f'abs({positive} - {sums})', *_OUTPUT)} / ({total(SCORES, *_OUTPUT)} > 0)"),
    )


def _errors() -> tuple[Record, ...]:
    def of(statistic: str) -> str:
        return f'sum without (statistic) ({ERRORS}{{statistic="{statistic}"}})'

    weight = f"({of('weight')} > 0)"
    mean = f"(({of('truth_above')} - {of('truth_below')}) / {weight})"
    variance = f"({of('truth_squares')} / {weight} - {mean} * {mean} > 0)"
    return (
        Record(ERRORS, net("model.performance.error", *_OUTPUT, "statistic")),
        Record(BRIER, f"{of('brier')} / ({total(SCORES, *_OUTPUT)} > 0)"),
        Record(RMSE, f"sqrt({of('squares')} / {weight})"),
        Record(MAE, f"({of('over')} + {of('under')}) / {weight}"),
        Record(BIAS, f"({of('over')} - {of('under')}) / {weight}"),
        Record(R2, f"1 - ({of('squares')} / {weight}) / {variance}"),
    )


def _labels() -> tuple[Record, ...]:
    joined = total(f"increase({series('model.label.joined')}[{_W}])", *KEY)
    waiting = series("model.label.predictions", 'state="kept"')
    kept = total(f"increase({waiting}[{_W}])", *KEY)
    lags = total(f"increase({series('model.label.lag', part='_bucket')}[{_W}])", *KEY, "le")
    labels = series("modeltap.labels", 'outcome=~"joined|parked"')
    parked = series("modeltap.labels", 'outcome="parked"')
    return (
        Record(COVERAGE, f"{joined} / ({kept} >= {values.MIN_ROWS})"),
        Record(LAG, f"histogram_quantile(0.5, {lags}) >= 0"),
        Record(
            UNMATCHED,
            f"{total(f'increase({parked}[1d])', *SCOPE)} / "
            f"({total(f'increase({labels}[1d])', *SCOPE)} >= {values.MIN_ROWS})",
        ),
    )


def _figure_alerts() -> tuple[Alert, ...]:
    mature = f'{SHOWN}, maturity="mature"'
    band = series("model.reference.performance", 'statistic="accuracy", state="low"')
    low = f"max by ({', '.join(KEY)}) ({band})"
    enough = f"{ROWS}{{{mature}}} >= {values.MIN_LABELLED}"
    return (
        Alert(
            "PerformanceLow",
            "critical",
            "30m",
            f"{HIGH}{{{mature}}} < on ({', '.join(KEY)}) group_left () {low} and {enough}",
            "A model is right less often than its reference ever was.",
            f"Output {{{{ $labels.output }}}} of model {NAMED} was right in at most "
            f"{{{{ $value | humanizePercentage }}}} of the rows of the last {_W} (upper limit of 95 %), below the "
            "reference's band.",
        ),
        Alert(
            "CalibrationLost",
            "warning",
            "1h",
            f"{ECE}{{{mature}}} > {values.ECE} and {enough}",
            "The scores of a model are no probabilities any more.",
            f"Scores of model {NAMED} are {{{{ $value | humanizePercentage }}}} away from the share of positives, on "
            f"average over the last {_W}; the limit is {values.ECE:.0%}.",
        ),
    )


def _label_alerts() -> tuple[Alert, ...]:
    scope = ", ".join(SCOPE)
    labels, silent = series("modeltap.labels", 'outcome=~"joined|parked"'), values.LABELS_SILENT
    came = total(f"increase({labels}[{silent}])", *SCOPE)
    before = total(f"increase({labels}[{silent}] offset {silent})", *SCOPE)
    lost = total(f"increase({series('modeltap.label_store.lost')}[1h])", *SCOPE, "source")
    return (
        Alert(
            "LabelsStopped",
            "warning",
            "1h",
            f"{before} >= {values.MIN_LABELLED} and {came} == 0",
            "No labels come any more.",
            f"{{{{ $value | humanize }}}} labels came in the {values.LABELS_SILENT} before, none in the last "
            f"{values.LABELS_SILENT}: the figures of performance stand still.",
        ),
        Alert(
            "LabelsUnmatched",
            "warning",
            "1h",
            f"{UNMATCHED} > {values.UNMATCHED_RATIO}",
            "Labels find no prediction.",
            f"{{{{ $value | humanizePercentage }}}} of the labels of a day met no prediction when they came; the limit "
            f"is {values.UNMATCHED_RATIO:.0%}.",
        ),
        Alert(
            "LabelCoverageLow",
            "warning",
            "6h",
            f"{COVERAGE}{{{SHOWN}}} < {values.LABEL_COVERAGE}",
            "Few predictions get a label.",
            f"{{{{ $value | humanizePercentage }}}} of the predictions of model {NAMED} in the last {_W} got a label; "
            f"the limit is {values.LABEL_COVERAGE:.0%}.",
        ),
        Alert(
            "LabelLagHigh",
            "warning",
            "6h",
            f"{LAG}{{{SHOWN}}} > {values.LABEL_LAG_SECONDS}",
            "Labels come late.",
            f"Half of the labels of model {NAMED} came more than {{{{ $value | humanizeDuration }}}} after the "
            f"prediction; the limit is {values.LABEL_LAG_SECONDS}s.",
        ),
        Alert(
            "LabelStoreDown",
            "warning",
            "10m",
            f"min by ({scope}, source) ({series('modeltap.label_store.up')}) == 0",
            "The store of pending predictions does not answer.",
            "modeltap_label_store_up of {{ $labels.source }} is {{ $value }}: predictions and labels are lost.",
        ),
        Alert(
            "LabelStoreFull",
            "warning",
            "30m",
            f"max by ({scope}, source) ({series('modeltap.label_store.used')}) > {values.STORE_USED}",
            "The store of pending predictions is nearly full.",
            "{{ $labels.source }} is {{ $value | humanizePercentage }} full; what is over goes, and its labels with "
            f"it; the limit is {values.STORE_USED:.0%}.",
        ),
        Alert(
            "LabelsLost",
            "warning",
            "15m",
            f"{lost} > 0",
            "Predictions or labels were lost in the store.",
            "{{ $value | humanize }} rows, labels or cells were lost in an hour in {{ $labels.source }}.",
        ),
    )
