"""Performance to expect of the last week over the whole fleet, before labels: exporter/stats/performance/expected.py.

It knows rows per bin of the score, which the drift of a week has recorded, and the reference's chances; no labels.
Invariants: nothing is expected where the reference has no test rows by bin, of too few live rows, or where too many
lie in bins that the reference hardly has; an alert needs the whole interval, and what bins leave open, below the band,
and is silent where labels of the same days say themselves what is the case.

A place is a bin of the score and the class that is called. Names: `place:` per place, `output_bin:` per bin,
`output:` per output, `statistic:` per figure.
"""

from collections.abc import Iterator

from alert_rules import values
from alert_rules.comparison import Live
from alert_rules.drift_long import INTERVAL, WEEK
from alert_rules.ordered import MOST_EDGES, PLACED, each_edge
from alert_rules.performance import KEY, LAG, NAMED, SHOWN
from alert_rules.performance import ROWS as LABELLED
from alert_rules.rules import MODEL, Alert, Group, Record, series, total

_W = WEEK.name
_OUTPUT = (*MODEL, "role", "reference", "output")
_BIN, _PLACE = (*_OUTPUT, "bin"), (*_OUTPUT, "bin", "class")
_ON = f"on ({', '.join(_OUTPUT)})"
_ON_BIN = f"on ({', '.join(_BIN)})"
_ON_PLACE = f"on ({', '.join((*_OUTPUT, 'place'))})"
_Z = 1.959963984540054
LEAST_TEST_ROWS = 10  # as in exporter/stats/performance/expected.py
TESTED = f"place:model_reference_score_rows:{_W}"
CHANCE = f"place:model_reference_score_chance:{_W}"
SPLIT = f"place:model_expected_rows:increase{_W}"
TRUE = f"place:model_expected_positives:increase{_W}"
VARIANCE = f"place:model_expected_variance:increase{_W}"
UNKNOWN = f"output:model_expected_unknown:ratio_increase{_W}"
ROWS = f"output:model_expected_rows:increase{_W}"
CELLS = f"cell:model_expected_rows:increase{_W}"
SCATTER = f"class:model_expected_variance:increase{_W}"
POSITIVES, NEGATIVES, SCATTERED = (
    f"output_bin:model_expected_{what}:increase{_W}" for what in ("positives", "negatives", "variance")
)
POSITIVES_UP_TO, NEGATIVES_UP_TO = (
    f"output_place:model_expected_{what}:increase{_W}" for what in ("positives", "negatives")
)
VALUE = f"statistic:model_expected:ratio_increase{_W}"
ERROR = f"statistic:model_expected:error_increase{_W}"
BOUND = f"statistic:model_expected:bound_increase{_W}"
LOWER, UPPER = (f"statistic:model_expected:{end}_increase{_W}" for end in ("lower", "upper"))
# Other chosen places than those of what is right, of several classes, are of two.
_TWO = '{class!="right"}'


def group() -> Group:
    records = (*_places(), *_cells(), *_classes(), *_ranked(), *_limits())
    return Group("modeltap-expected", records, (_low(),), INTERVAL, dashboard="performance")


def _reference(name: str) -> str:
    """Every replica tells the same."""
    return f"max by ({', '.join(_PLACE)}) ({series(name)})"


def _places() -> tuple[Record, ...]:
    live = f'{Live(_W).bins}{{output!="", bin!~"<.*>"}}'
    known = f"{total(TESTED, *_BIN)}"
    whole = f"({total(live, *_OUTPUT)} > 0 and {total(TESTED, *_OUTPUT)})"
    enough = total(f"({live} and {_ON_BIN} {known} >= {LEAST_TEST_ROWS})", *_OUTPUT)
    chance = f"(({CHANCE} * {TESTED} + 0.5) / ({TESTED} + 1))"
    rows = f"{total(SPLIT, *_OUTPUT)} >= {values.MIN_LABELLED} and {UNKNOWN} <= {values.EXPECTED_UNKNOWN}"
    return (
        Record(TESTED, f"{_reference('model.reference.score.rows')} > 0"),
        Record(CHANCE, f"{_reference('model.reference.score.chance')} and {TESTED}"),
        # Within a bin the decision divides live rows as it did those of the reference.
        Record(
            SPLIT,
            f"{TESTED} / {_ON_BIN} group_left () {known} * {_ON_BIN} group_left () {total(live, *_BIN)}",
        ),
        Record(TRUE, f"{SPLIT} * {CHANCE}"),
        Record(VARIANCE, f"{chance} * (1 - {chance}) * ({SPLIT} + {SPLIT} * {SPLIT} / {TESTED})"),
        Record(UNKNOWN, f"1 - ({enough} or 0 * {whole}) / {whole}"),
        Record(ROWS, rows),
    )


def _cells() -> tuple[Record, ...]:
    """By what was called and what is true; there is each where it is known what is called."""
    decided = f"0 * ({ROWS} and {total(TESTED + _chosen('positive|negative'), *_OUTPUT)})"

    def summed(expr: str, *labels: str) -> str:
        return f"({total(expr, *labels)} or {decided}) and {ROWS}"

    found = []
    for klass, hit, miss in (
        ("positive", "true_positive", "false_positive"),
        ("negative", "false_negative", "true_negative"),
    ):
        chosen = _chosen(klass)
        found += [
            Record(CELLS, summed(TRUE + chosen, *_OUTPUT), {"outcome": hit}),
            Record(CELLS, summed(f"{SPLIT}{chosen} - {TRUE}", *_OUTPUT), {"outcome": miss}),
            Record(SCATTER, summed(VARIANCE + chosen, *_OUTPUT), {"class": klass}),
        ]
    return tuple(found)


def _chosen(klass: str) -> str:
    return f'{{class=~"{klass}"}}'


def _cell(outcome: str) -> str:
    return f'sum without (outcome) ({CELLS}{{outcome="{outcome}"}})'


def _classes() -> Iterator[Record]:
    """Figures of classes, and their standard errors by the delta method."""
    hit, wrong, missed, rest = map(
        _cell, ("true_positive", "false_positive", "false_negative", "true_negative")
    )
    n, called, true, false = (
        f"({side} > 0)" for side in (ROWS, f"({hit} + {wrong})", f"({hit} + {missed})", f"({wrong} + {rest})")
    )
    one, other = (f'sum without (class) ({SCATTER}{{class="{klass}"}})' for klass in ("positive", "negative"))
    f1 = f"(2 * {hit} / ({called} + {true}))"
    slopes = [
        f"(({side} / ({true} * {true}) + {against} / ({false} * {false})) / 2)"
        for side, against in ((missed, rest), (hit, wrong))
    ]
    right = total(f'{TRUE}{{class="right"}}', *_OUTPUT)
    scattered = total(f'{VARIANCE}{{class="right"}}', *_OUTPUT)
    figures = {
        "positive_rate": (
            total(TRUE + _TWO, *_OUTPUT) + f" / {n}",
            f"{total(VARIANCE + _TWO, *_OUTPUT)} / {n} ^ 2",
        ),
        "accuracy": (f"(({hit} + {rest}) or {right}) / {n}", f"(({one} + {other}) or {scattered}) / {n} ^ 2"),
        "precision": (f"{hit} / {called}", f"{one} / {called} ^ 2"),
        "recall": (f"{hit} / {true}", f"({one} * {missed} ^ 2 + {other} * {hit} ^ 2) / {true} ^ 4"),
        "f1": (f1, f"({one} * (2 - {f1}) ^ 2 + {other} * {f1} ^ 2) / ({called} + {true}) ^ 2"),
        "balanced_accuracy": (
            f"({hit} / {true} + {rest} / {false}) / 2",
            f"{one} * {slopes[0]} ^ 2 + {other} * {slopes[1]} ^ 2",
        ),
    }
    for name, (value, variance) in figures.items():
        yield Record(VALUE, value, {"statistic": name})
        yield Record(ERROR, f"sqrt({variance})", {"statistic": name})
    # Each row of a bin may be called or not: of the mean rate of right ones that is the difference of both chances.
    gap = f"abs({total(CHANCE, *_BIN)} - 1)"
    most = f"max by ({', '.join(_BIN)}) ({SPLIT})"
    within = f"({gap} * {most} and count by ({', '.join(_BIN)}) ({TESTED}) == 2)"
    accuracy = f'sum without (statistic) ({VALUE}{{statistic="accuracy"}})'
    yield Record(
        BOUND,
        f"({total(within, *_OUTPUT)} or 0 * {accuracy}) / {n} and {accuracy}",
        {"statistic": "accuracy"},
    )


def _ranked() -> tuple[Record, ...]:
    """The area under the ROC curve: positives above the negatives of lower bins, and half of those of their own."""
    # A profile with more edges than have places has no order.
    known = f"{ROWS} unless count by ({', '.join(_OUTPUT)}) ({total(TESTED, *_BIN)}) > {MOST_EDGES + 1}"
    two = f"{TRUE}{_TWO} and {_ON} ({known})"
    per_bin = (total(two, *_BIN), total(f"{SPLIT} - ({two})", *_BIN), total(f"{VARIANCE} and ({two})", *_BIN))
    true, false = (f"({total(side, *_OUTPUT)} >= {values.MIN_POSITIVES})" for side in (POSITIVES, NEGATIVES))
    below = f"({NEGATIVES_UP_TO} - {_ON_PLACE} {NEGATIVES} / 2)"
    above = f"({POSITIVES} / 2 - {_ON_PLACE} {POSITIVES_UP_TO} + {_ON} group_left () {true})"
    pairs = f"({true} * {false})"
    area = f'sum without (statistic) ({VALUE}{{statistic="auc_roc"}})'
    slope = (
        f"(({below} - {_ON_PLACE} {above}) / {_ON} group_left () {pairs}"
        f" - {_ON} group_left () ({area} * (1 / {true} - 1 / {false})))"
    )
    each = (POSITIVES, NEGATIVES, SCATTERED)
    auc = {"statistic": "auc_roc"}
    return (
        *(Record(name, f"({expr}) * {PLACED}") for name, expr in zip(each, per_bin, strict=True)),
        Record(POSITIVES_UP_TO, _up_to(POSITIVES)),
        Record(NEGATIVES_UP_TO, _up_to(NEGATIVES)),
        Record(VALUE, f"{total(f'{POSITIVES} * {_ON_PLACE} {below}', *_OUTPUT)} / {pairs}", auc),
        Record(ERROR, f"sqrt({total(f'{slope} ^ 2 * {_ON_PLACE} {SCATTERED}', *_OUTPUT)})", auc),
        Record(BOUND, f"{total(f'{POSITIVES} * {NEGATIVES}', *_OUTPUT)} / (2 * {pairs})", auc),
    )


def _up_to(per_bin: str) -> str:
    """The sum over a bin and those below it, by place."""
    last = f'label_replace({total(per_bin, *_OUTPUT)}, "place", "last", "", "")'
    return f'label_replace({each_edge(per_bin)}, "place", "$1", "edge", "(.*)") or {last}'


def _limits() -> tuple[Record, Record]:
    """Formed at the logit, where a share has no ends."""
    inside = f"({VALUE} > 1e-9 < {1 - 1e-9!r})"
    middle, half = f"ln({inside} / (1 - {inside}))", f"{_Z} * {ERROR} / ({inside} * (1 - {inside}))"
    lower, upper = (f"1 / (1 + exp(-({middle} {sign} {half})))" for sign in "-+")
    return Record(LOWER, lower), Record(UPPER, upper)


def _low() -> Alert:
    by = ", ".join((*KEY, "reference", "statistic"))
    band = series("model.reference.performance", 'state="low", class="", statistic=~"accuracy|auc_roc"')
    key = ", ".join(KEY)
    told = f'{LABELLED}{{maturity="mature"}} >= {values.MIN_LABELLED}'
    same = f"({told} and on ({key}) {LAG} <= {values.EXPECTED_LAG_SECONDS})"
    return Alert(
        "PerformanceExpectedLow",
        "warning",
        "1h",
        f"({UPPER}{{{SHOWN}}} + {BOUND}) < on ({by}) group_left () max by ({by}) ({band}) unless on ({key}) {same}",
        "By its scores alone a model is expected to be worse than it ever was in its reference.",
        f"{{{{ $labels.statistic }}}} of output {{{{ $labels.output }}}} of model {NAMED} is expected to be "
        f"{{{{ $value | humanizePercentage }}}} at best over the last {_W} (limit of 95 %, no labels needed), below "
        "the band of reference {{ $labels.reference }}.",
        keep="2h",
    )
