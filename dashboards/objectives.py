"""The row "Objectives": what share of 30 days was good, how much of the budget of failures is left, how fast it goes.

It knows what the rules of alert_rules/slo.py record, of all replicas and versions, so neither instance nor version is
chosen here. Invariant: an objective without requests has no line, and is not met.
"""

from collections.abc import Sequence

from alert_rules.load import REPLICAS
from alert_rules.slo import BUDGET, OBJECTIVE, SLI, burn
from dashboards.panels import Panel, Query, empty, signed, table, timeseries, tinted
from dashboards.variables import RECORDED

NO_REQUESTS = "No request yet"
NO_BUDGET = "No request in a whole hour yet"
WINDOWS = ("1h", "6h", "1d", "3d")
BY = "model_name, slo"


def panels() -> Sequence[Panel]:
    """All of them."""
    return (_table(), _burn(), _budget(), _replicas())


def _table() -> Panel:
    steps = (("red", None), ("orange", 0.0), ("green", 0.25))
    found = f"min by ({BY}) ({SLI}{{{RECORDED}}})"
    objective = f"0 * {found} + on (slo) group_left () max by (slo) ({OBJECTIVE})"
    shown = table(
        "Objectives",
        "Of each objective the share that is asked for, the share that was good over 30 days, and what is left of "
        "the failures that it allows; below zero it is missed.",
        ("model_name", "slo"),
        {
            "Objective": (Query(objective, shape="table"), "percentunit"),
            "Good": (Query(found, shape="table"), "percentunit"),
            "Budget left": (
                Query(f"min by ({BY}) ({BUDGET}{{{RECORDED}}})", shape="table"),
                "percentunit",
            ),
            "Burn, 1 h": (Query(f"max by ({BY}) ({burn('1h')}{{{RECORDED}}})", shape="table"), "short"),
            "Burn, 6 h": (Query(f"max by ({BY}) ({burn('6h')}{{{RECORDED}}})", shape="table"), "short"),
        },
    )
    return tinted(empty(shown, NO_REQUESTS), "Budget left", *steps)


def _burn() -> Panel:
    queries = [
        Query(f"max by ({BY}) ({burn(window)}{{{RECORDED}}})", f"{{{{model_name}}}} {{{{slo}}}} {window}")
        for window in WINDOWS
    ]
    return empty(
        timeseries(
            "Burn rate",
            "How many times faster than evenly the budget of 30 days is spent, by window; a page at 14.4 over an hour "
            "or 6 over six, a ticket at 3 over a day or 1 over three, unless values.yaml says otherwise.",
            "short",
            *queries,
        ),
        NO_REQUESTS,
    )


def _budget() -> Panel:
    return empty(
        signed(
            timeseries(
                "Budget left",
                "Of the failures that the objective allows in 30 days; below zero it is missed.",
                "percentunit",
                Query(f"min by ({BY}) ({BUDGET}{{{RECORDED}}})", "{{model_name}} {{slo}}"),
            )
        ),
        NO_BUDGET,
    )


def _replicas() -> Panel:
    return empty(
        timeseries(
            "Replicas",
            "Sidecars that answer, by job: what autoscalers and rollouts change.",
            "short",
            Query(f'sum by (job) ({REPLICAS}{{job=~"$job", namespace=~"$namespace"}})', "{{job}}"),
        ),
        "None answers",
    )
