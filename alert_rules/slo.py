"""Service level objectives: how fast the budget of failures of 30 days is spent, by the burn over two windows at once.

Method, factors and windows are those of Google's SRE workbook, chapter 5: the long window says that it matters, the
short one that it still goes on. Failures and requests are counted in panes and summed, so that a quiet night weighs as
little as it carried. Invariants: one objective for all versions of a model, since a rollout moves traffic between them;
an objective whose target is no bound of the histogram is absent, not missed; few failures call nobody.
"""

from dataclasses import dataclass

from alert_rules import values
from alert_rules.rules import SCOPE, TRAFFIC, Alert, Group, Record, series, total
from alert_rules.traffic import FAILURES

KEY = (*SCOPE, "model_name")
# Counted anew at each evaluation; then sums of panes of five minutes; then of an hour.
FRESH = ("5m", "30m", "1h")
PANES = {"2h": "5m", "6h": "5m", "1d": "1h", "3d": "1h", "30d": "1h"}
WINDOWS = (*FRESH, *PANES)
OBJECTIVE = "slo:model_slo_objective:ratio"
SLI = "model:model_sli:ratio_increase30d"
BUDGET = "model:model_error_budget:remaining_ratio30d"
SUCCESS = f'{TRAFFIC}, code=~"2.."'
INTERVAL = "1m"


@dataclass(frozen=True, slots=True)
class Slo:
    """One objective; `requests` and `errors` are PromQL with %s for the window."""

    name: str
    objective: float
    requests: str
    errors: str


def requests(window: str) -> str:
    return f"model:model_slo_requests:increase{window}"


def errors(window: str) -> str:
    return f"model:model_slo_errors:increase{window}"


def burn(window: str) -> str:
    return f"model:model_slo_burn:ratio_increase{window}"


def objectives() -> tuple[Slo, ...]:
    counted = _increase("model.request.duration", TRAFFIC, "_count")
    failed = _increase("model.request.errors", f'{TRAFFIC}, error_type=~"{FAILURES}"')
    # No failure yet can mean no series of failures yet: none, not nothing.
    none = f"0 * {counted}"
    return (
        Slo("availability", values.SLO_AVAILABILITY, counted, f"{failed} or {none}"),
        _within("latency", "model.request.duration", SUCCESS),
        _within("ttft", "gen_ai.server.time_to_first_token", ""),
    )


def _increase(name: str, selector: str, part: str = "") -> str:
    return total(f"increase({series(name, selector, part)}[%s])", *KEY)


def _within(name: str, metric: str, selector: str) -> Slo:
    """What took longer than the target: all less those in the buckets up to it."""
    objective, target = {
        "latency": (values.SLO_LATENCY, values.SLO_LATENCY_SECONDS),
        "ttft": (values.SLO_TTFT, values.SLO_TTFT_SECONDS),
    }[name]
    # A bound of 1 is le="1.0" as scraped and le="1" as pushed.
    bound = ", ".join(filter(None, (selector, f'le=~"{target:g}([.]0)?"')))
    counted, good = _increase(metric, selector, "_count"), _increase(metric, bound, "_bucket")
    if metric.startswith("gen_ai."):
        counted, good = _named(metric, selector, "_count"), _named(metric, bound, "_bucket")
    return Slo(name, objective, counted, f"clamp_min({counted} - {good}, 0)")


def _named(metric: str, selector: str, part: str) -> str:
    """The convention calls the model gen_ai_request_model."""
    labels = (*SCOPE, "gen_ai_request_model")
    counted = total(f"increase({series(metric, selector, part)}[%s])", *labels)
    return total(f'label_replace({counted}, "model_name", "$1", "gen_ai_request_model", "(.*)")', *KEY)


def group() -> Group:
    known = objectives()
    records = (
        *(Record(OBJECTIVE, f"vector({slo.objective})", {"slo": slo.name}) for slo in known),
        *(record for window in FRESH for slo in known for record in _fresh(slo, window)),
        *(record for window, pane in PANES.items() for record in _summed(window, pane)),
        *(Record(burn(window), _burn(window)) for window in WINDOWS),
        Record(SLI, f"1 - {errors('30d')} / ({requests('30d')} > 0)"),
        Record(BUDGET, f"1 - {burn('30d')}"),
    )
    return Group("modeltap-slo", records, (_fast(), _slow(), _spent()), INTERVAL)


def _fresh(slo: Slo, window: str) -> tuple[Record, ...]:
    labels = {"slo": slo.name}
    return (
        Record(requests(window), slo.requests.replace("%s", window), labels),
        Record(errors(window), slo.errors.replace("%s", window), labels),
    )


def _summed(window: str, pane: str) -> tuple[Record, ...]:
    return tuple(
        Record(of(window), f"sum_over_time({of(pane)}[{window}:{pane}])") for of in (requests, errors)
    )


def _burn(window: str) -> str:
    """1 spends the budget in just the time of the objective."""
    ratio = f"{errors(window)} / ({requests(window)} > 0)"
    return f"{ratio} / on (slo) group_left () (1 - {OBJECTIVE})"


def _both(factor: float, long: str, short: str) -> str:
    enough = f"{errors(long)} >= {values.SLO_MIN_FAILURES}"
    return f"({burn(long)} > {factor:g} and {burn(short)} > {factor:g} and {enough})"


NAMED = "of the objective {{ $labels.slo }} of model {{ $labels.model_name }}"


def _fast() -> Alert:
    quick, slow = _both(values.SLO_PAGE_QUICK, "1h", "5m"), _both(values.SLO_PAGE_SLOW, "6h", "30m")
    return Alert(
        "SloBurnFast",
        "critical",
        "2m",
        f"{quick} or {slow}",
        "A model spends the failures that its objective allows far too fast.",
        f'The budget {NAMED} is spent {{{{ $value | printf "%.1f" }}}} times as fast as it lasts for 30 days; in a '
        "few days nothing of it is left.",
        keep="5m",
    )


def _slow() -> Alert:
    quick, slow = _both(values.SLO_TICKET_QUICK, "1d", "2h"), _both(values.SLO_TICKET_SLOW, "3d", "6h")
    return Alert(
        "SloBurnSlow",
        "warning",
        "15m",
        f"{quick} or {slow}",
        "A model spends the failures that its objective allows too fast.",
        f'The budget {NAMED} is spent {{{{ $value | printf "%.1f" }}}} times as fast as it lasts for 30 days.',
        keep="15m",
    )


def _spent() -> Alert:
    return Alert(
        "SloBudgetSpent",
        "info",
        "1h",
        f"{BUDGET} < 0 and {errors('30d')} >= {values.SLO_MIN_FAILURES}",
        "A model has failed more often in 30 days than its objective allows.",
        f"The budget {NAMED} is overdrawn: {{{{ $value | humanizePercentage }}}} of it is left of 30 days.",
    )
