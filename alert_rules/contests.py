"""Rules about champions and challengers: the advantage over split traffic, as the whole fleet has it, and who has won.

It knows sums and gauges, not rows. Invariants: what is recorded is what exporter/stats/performance/split.py makes of
the same sums; with few rows nothing alerts, and neither does a contest of split traffic that is over; of rows that both
scored every replica of a shared store shows the same, so that the most cautious one is believed.
"""

import math

from alert_rules import values
from alert_rules.performance import KEY, NAMED
from alert_rules.rules import Alert, Group, Record, series, total
from exporter.stats.performance.contest import ALPHA, tuning_of
from exporter.stats.performance.split import TUNED_PAIRS

_W = values.CONTEST_WINDOW
_CONTEST = (*KEY, "output", "statistic", "champion")
_COMPARED = (*_CONTEST, "comparison")
_SPLIT = {"comparison": "split"}
_OUTCOMES = "accuracy|brier"
SUMS = f"contest:model_contest_split:increase{_W}"
ADVANTAGE = f"contest:model_contest_advantage:mean_increase{_W}"
HALF = f"contest:model_contest_advantage:half_increase{_W}"
LOW, HIGH = (f"contest:model_contest_advantage:{end}_increase{_W}" for end in ("lower", "upper"))
FEWEST = f"contest:model_contest_rows:least_increase{_W}"
SELDOM = f"contest:model_contest_events:least_increase{_W}"


def group() -> Group:
    # A month is read at each evaluation; hours mature one by one.
    return Group("modeltap-contests", _records(), _alerts(), interval="5m", dashboard="performance")


def _records() -> tuple[Record, ...]:
    pairs, both = f"({_of('pairs')} > 0)", f"({_of('champion')} + {_of('challenger')} > 0)"
    rarest = _least(_of("events"), f"({both} - {_of('events')})")
    grown = f"({pairs} * {tuning_of(TUNED_PAIRS)!r} + 1)"
    time = f"2 * {grown} / ({pairs} * {pairs} * {tuning_of(TUNED_PAIRS)!r})"
    boundary = f"{time} * (ln({grown}) / 2 + {-math.log(ALPHA)!r})"
    return (
        Record(SUMS, total(f"increase({series('model.contest.split')}[{_W}])", *_CONTEST, "state"), _SPLIT),
        Record(ADVANTAGE, f"({_of('above')} - {_of('below')}) / {pairs}", _SPLIT),
        Record(HALF, f"sqrt({_of('variance')} / {pairs} * {boundary})", _SPLIT),
        Record(LOW, f"{ADVANTAGE} - {HALF}", _SPLIT),
        Record(HIGH, f"{ADVANTAGE} + {HALF}", _SPLIT),
        Record(FEWEST, _least(_of("champion"), _of("challenger")), _SPLIT),
        # How often the smaller arm would have had the outcome, or not, were both alike.
        Record(SELDOM, f"{FEWEST} * {rarest} / {both}", _SPLIT),
    )


def _of(state: str) -> str:
    return f'sum without (state) ({SUMS}{{state="{state}"}})'


def _least(one: str, other: str) -> str:
    return f"({one} < {other} or {other})"


def _alerts() -> tuple[Alert, ...]:
    low, high = (
        series("model.contest.advantage", f'comparison="paired", state="{state}"')
        for state in ("low", "high")
    )
    by = ", ".join(_COMPARED)
    return (
        Alert(
            "ChallengerBetter",
            "info",
            "1h",
            f"min by ({by}) ({low}) > 0 or ({LOW} > 0 and {_decided()})",
            "A challenger is better than the live model.",
            f"{{{{ $labels.statistic }}}} of model {NAMED} is better than that of {{{{ $labels.champion }}}} by at "
            "least {{ $value | humanize }}, however often one looks (95 %).",
        ),
        Alert(
            "ChallengerWorse",
            "warning",
            "1h",
            f"max by ({by}) ({high}) < 0 or ({HIGH} < 0 and {_decided()})",
            "A challenger is worse than the live model.",
            f"{{{{ $labels.statistic }}}} of model {NAMED} is worse than that of {{{{ $labels.champion }}}}: the limit "
            "of 95 % is {{ $value | humanize }}, however often one looks.",
        ),
    )


def _decided() -> str:
    """Rows enough, and hours that were compared of late: one of both may have been retired."""
    few = f'({FEWEST}{{statistic!~"{_OUTCOMES}"}} or {SELDOM} >= {values.MIN_POSITIVES})'
    strata = series("model.contest.split", 'state="strata"')
    going = total(f"increase({strata}[{values.LABELS_SILENT}])", *_CONTEST)
    return f"{FEWEST} >= {values.MIN_LABELLED} and {few} and on ({', '.join(_CONTEST)}) {going} > 0"
