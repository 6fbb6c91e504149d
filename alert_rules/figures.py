"""Figures of performance beyond the first ones, by group and with limits of 95 %; alerts when one is out of its band.

It knows sums, not rows. Invariants: as in performance.py, whose recorded sums it reads; a limit is never narrower than
what the exported sums can prove; a group counts from so many rows on.
"""

from alert_rules import figure_alerts, values
from alert_rules.performance import (
    AUC,
    BIAS,
    BRIER,
    CELLS,
    ECE,
    ERRORS,
    F1,
    KEY,
    MAE,
    RMSE,
    ROWS,
    SCORES,
    net,
)
from alert_rules.rules import Group, Record, series, total

_W = values.PERFORMANCE_WINDOW
_Z = 1.959963984540054
_OUTPUT = (*KEY, "output", "maturity")
_ON = f"on ({', '.join(_OUTPUT)}) group_left ()"
_FOLDED, _ONE_SIDED = 0.7978845608028654, 1.6448536269514722
F1_WEIGHTED = f"output:model_f1_weighted:ratio_increase{_W}"
KAPPA = f"output:model_kappa:ratio_increase{_W}"
MATTHEWS = f"output:model_matthews:ratio_increase{_W}"
TRUTH = f"class:model_performance_truth:increase{_W}"
CALLED = f"class:model_performance_called:increase{_W}"
PR = f"output:model_auc_pr:ratio_increase{_W}"
PR_LOW, PR_HIGH = (f"output:model_auc_pr:{end}_increase{_W}" for end in ("lower", "upper"))
LOG_LOSS = f"output:model_log_loss:mean_increase{_W}"
VARIANCE = f"output:model_error_variance:mean_increase{_W}"
RATES = f"statistic:model_performance:ratio_increase{_W}"
LABELS = f"class:model_performance_label:increase{_W}"
LABEL_PRECISION, LABEL_RECALL, LABEL_F1 = (
    f"label:model_{name}:ratio_increase{_W}" for name in ("precision", "recall", "f1")
)
MICRO = f"output:model_label_f1_micro:ratio_increase{_W}"
GROUPS = f"group:model_performance:increase{_W}"
GROUP_ROWS = f"group:model_performance_rows:increase{_W}"
SELECTED = f"group:model_selection:ratio_increase{_W}"
TRUE_POSITIVE = f"group:model_true_positive:ratio_increase{_W}"
FALSE_POSITIVE = f"group:model_false_positive:ratio_increase{_W}"
SELECTED_LOW, SELECTED_HIGH = (f"group:model_selection:{end}_increase{_W}" for end in ("lower", "upper"))
GROUP_MAE = f"group:model_mae:mean_increase{_W}"
COVERED = f"group:model_label_coverage:ratio_increase{_W}"
LOWER, UPPER = (f"statistic:model_performance:{end}_increase{_W}" for end in ("lower", "upper"))
TARGET = f"output:model_target_drift:psi_increase{_W}"
TARGET_CRITICAL = f"output:model_target_drift:critical_increase{_W}"


def group() -> Group:
    records = (*_agreement(), *_ranked(), *_means(), *_labels(), *_groups(), *_limits(), *_target())
    return Group("modeltap-figures", records, figure_alerts.alerts(), dashboard="performance")


def _agreement() -> tuple[Record, ...]:
    """Cohen's kappa; Matthews' coefficient of any number of classes (Gorodkin, 2004)."""
    true = total(CELLS, *_OUTPUT, "truth")
    n, right = f"({total(CELLS, *_OUTPUT)} > 0)", total(f'{CELLS}{{outcome="right"}}', *_OUTPUT)
    # A class that is on one side alone adds nothing to the sum over both.
    chance = f"({total(f'{TRUTH} * {CALLED}', *_OUTPUT)} or 0 * {n})"
    squares = [f"({n} * {n} - {total(f'{side} * {side}', *_OUTPUT)})" for side in (TRUTH, CALLED)]
    over = f"({n} * ({right} or 0 * {n}) - {chance})"
    weighted = total(f"{F1} * {TRUTH}", *_OUTPUT)
    return (
        Record(TRUTH, total(f'label_replace({true}, "class", "$1", "truth", "(.+)")', *_OUTPUT, "class")),
        Record(CALLED, total(CELLS, *_OUTPUT, "class")),
        Record(F1_WEIGHTED, f"({weighted} or 0 * {n}) / {n}"),
        Record(KAPPA, f"{over} / ({n} * {n} - {chance} > 0)"),
        Record(MATTHEWS, f"{over} / sqrt({squares[0]} * {squares[1]} > 0)"),
    )


def _ranked() -> tuple[Record, ...]:
    """Average precision: of equal scores in a bin, and with all positives of a bin last, or first."""
    parts = (*_OUTPUT, "bin")
    positive, negative = (
        f'sum without (truth) ({SCORES}{{truth="{one}"}})' for one in ("positive", "negative")
    )
    whole = [total(f'{SCORES}{{truth="{one}"}}', *_OUTPUT) for one in ("positive", "negative")]
    # Rows above the bin.
    above = [
        f"clamp_min(-({net(f'model.performance.score_{side}', *parts)}) + {_ON} {every}, 0)"
        for side, every in zip(("positives", "negatives"), whole, strict=True)
    ]
    right, wrong = (f"({rest} + {own})" for rest, own in zip(above, (positive, negative), strict=True))
    every = f"({whole[0]} > 0)"

    def area(hits: str, misses: str) -> str:
        return f"{total(f'{positive} * {hits} / ({hits} + {misses} > 0)', *_OUTPUT)} / {every}"

    return (
        Record(PR, area(right, wrong)),
        Record(PR_LOW, area(above[0], wrong)),
        Record(PR_HIGH, area(right, above[1])),
    )


def of(statistic: str) -> str:
    """A sum of errors."""
    return f'sum without (statistic) ({ERRORS}{{statistic="{statistic}"}})'


def _means() -> tuple[Record, ...]:
    weight = f"({of('weight')} > 0)"
    names = "top_.+|hit_.+|ndcg_.+|reciprocal_rank|all_right|wrong_labels|interval_(inside|below|above)|pinball|reached"
    return (
        Record(LOG_LOSS, f"{of('log_loss')} / ({total(SCORES, *_OUTPUT)} > 0)"),
        # MSE = bias squared + variance, of the same sums.
        Record(VARIANCE, f"clamp_min({RMSE} * {RMSE} - {BIAS} * {BIAS}, 0)"),
        Record(RATES, f'{ERRORS}{{statistic=~"{names}"}} / {_ON} {weight}'),
    )


def _labels() -> tuple[Record, ...]:
    """Of rows that may have several labels."""
    right, called, missed = (
        f'sum without (outcome) ({LABELS}{{outcome="{one}"}})'
        for one in ("true_positive", "false_positive", "false_negative")
    )
    sums = [total(side, *_OUTPUT) for side in (right, called, missed)]
    return (
        Record(LABELS, net("model.performance.label", *_OUTPUT, "class", "outcome")),
        Record(LABEL_PRECISION, f"{right} / ({right} + {called} > 0)"),
        Record(LABEL_RECALL, f"{right} / ({right} + {missed} > 0)"),
        Record(LABEL_F1, f"2 * {right} / (2 * {right} + {called} + {missed} > 0)"),
        Record(MICRO, f"2 * {sums[0]} / (2 * {sums[0]} + {sums[1]} + {sums[2]} > 0)"),
    )


def _groups() -> tuple[Record, ...]:
    by = (*_OUTPUT, "segment", "group")
    on = f"on ({', '.join(by)})"
    called = total(f'{GROUPS}{{outcome=~"right|wrong"}}', *by, "class")
    true = total(f'{GROUPS}{{outcome=~"right|missed"}}', *by, "class")
    right, wrong = (f'sum without (outcome) ({GROUPS}{{outcome="{one}"}})' for one in ("right", "wrong"))
    n = f"({called} * 0 + {on} group_left () {GROUP_ROWS} > 0)"
    half = f"{_Z} * sqrt({SELECTED} * (1 - {SELECTED}) / {n} + {_Z**2 / 4} / ({n} * {n}))"
    middle = f"{SELECTED} + {_Z**2 / 2} / {n}"
    errors = net("model.performance.group_error", *by, "statistic")

    def error(statistic: str) -> str:
        return f'sum without (statistic) ({GROUPS}:error{{statistic="{statistic}"}})'

    place = (*KEY, "output", "segment", "group")
    joined, kept = (
        total(f"increase({series('model.label.segment', selector)}[{_W}])", *place)
        for selector in ('state="joined"', 'state="kept"')
    )
    return (
        Record(GROUPS, net("model.performance.group", *by, "class", "outcome")),
        Record(GROUP_ROWS, total(f'{GROUPS}{{outcome=~"right|wrong"}}', *by)),
        Record(SELECTED, f"{called} / {n}"),
        Record(TRUE_POSITIVE, f"{right} / ({true} > 0)"),
        Record(FALSE_POSITIVE, f"{wrong} / ({n} - {true} > 0)"),
        Record(SELECTED_LOW, f"({middle} - {half}) / (1 + {_Z**2} / {n})"),
        Record(SELECTED_HIGH, f"({middle} + {half}) / (1 + {_Z**2} / {n})"),
        Record(f"{GROUPS}:error", errors),
        Record(GROUP_MAE, f"({error('over')} + {error('under')}) / ({error('weight')} > 0)"),
        Record(COVERED, f"{joined} / ({kept} >= {values.MIN_ROWS})"),
    )


def _limits() -> tuple[Record, ...]:
    """Lower and upper limits of the figures that bands judge."""
    n = f"({ROWS} > 0)"
    pairs = [total(f'{SCORES}{{truth="{one}"}}', *_OUTPUT) for one in ("positive", "negative")]
    first, second = (f"({side} >= {values.MIN_POSITIVES})" for side in pairs)
    # Hanley and McNeil (1982), Q1 and Q2 of the area alone.
    spread = (
        f"({AUC} * (1 - {AUC}) + ({first} - 1) * ({AUC} / (2 - {AUC}) - {AUC} * {AUC})"
        f" + ({second} - 1) * (2 * {AUC} * {AUC} / (1 + {AUC}) - {AUC} * {AUC})) / ({first} * {second})"
    )
    weight = f"({of('weight')} > 0)"
    square = f"{RMSE} * {RMSE}"
    # (score - truth)^2 lies in [0, 1], so that its variance is at most b (1 - b).
    brier = f"({BRIER} * (1 - {BRIER}) and {pairs[0]})"
    found = [
        *_both("auc_roc", AUC, spread),
        *_both("brier", BRIER, f"{brier} / {n}"),
        *_both("mae", MAE, f"({square} - {MAE} * {MAE}) / {n}"),
        *_both("bias", BIAS, f"({square} - {BIAS} * {BIAS}) / {n}"),
        *_both(
            "rmse", RMSE, f"({of('fourths')} / {weight} - {square} * {square}) / {n} / (4 * {square} > 0)"
        ),
        Record(LOWER, f"{ECE} - {_noise()}", {"statistic": "ece"}),
    ]
    inside = f'sum without (statistic) ({RATES}{{statistic="interval_inside"}})'
    half = f"{_Z} * sqrt({inside} * (1 - {inside}) / {n} + {_Z**2 / 4} / ({n} * {n}))"
    high = f"({inside} + {_Z**2 / 2} / {n} + {half}) / (1 + {_Z**2} / {n})"
    return (*found, Record(UPPER, high, {"statistic": "interval_coverage"}))


def _both(name: str, value: str, variance: str) -> tuple[Record, Record]:
    half = f"{_Z} * sqrt(clamp_min({variance}, 0))"
    label = {"statistic": name}
    return Record(LOWER, f"{value} - {half}", label), Record(UPPER, f"{value} + {half}", label)


def _noise() -> str:
    """What ECE may be of calibrated scores, in 95 %: folded normals, with at most n/4 as the variance of a bin."""
    bins = f"sum without (truth) ({SCORES})"
    rows = f"({total(SCORES, *_OUTPUT)} > 0)"
    mean = f"{_FOLDED} * {total(f'sqrt({bins} / 4)', *_OUTPUT)}"
    return f"({mean} + {_ONE_SIDED} * sqrt({1 - _FOLDED**2:.6f} * {rows} / 4)) / {rows}"


def _target() -> tuple[Record, ...]:
    """PSI of true classes against the reference's, with Jeffreys' prior, and what chance alone exceeds in 0.1 %."""
    named = total(series("model.reference.target"), *KEY, "output", "class", "reference")
    known = f"max by ({', '.join(KEY)}, output, class) ({named})"
    known = f'label_replace({known}, "maturity", "mature", "", "")'
    true = f'{TRUTH}{{maturity="mature"}}'
    spread, found = f"({known} or 0 * {true})", f"({true} or 0 * {known})"
    every = f"(count by ({', '.join(_OUTPUT)}) ({spread}))"
    live, reference = (total(side, *_OUTPUT) for side in (found, spread))
    p, q = (
        f"(({side} + 0.5) / {_ON} ({whole} + 0.5 * {every}))"
        for side, whole in ((found, live), (spread, reference))
    )
    ninth = f"(2 / (9 * clamp_min({every} - 1, 1)))"
    noise = f"(1 / ({live} > 0) + 1 / ({reference} > 0))"
    return (
        Record(
            TARGET, f"{total(f'({p} - {q}) * ln({p} / {q})', *_OUTPUT)} and {reference} > 0 and {live} > 0"
        ),
        Record(
            TARGET_CRITICAL,
            f"(({every} > 1) - 1) * {noise} * (1 - {ninth} + 3.0902 * sqrt({ninth})) ^ 3",
        ),
    )
