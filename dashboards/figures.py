"""The rows "Groups" and "Several answers": figures by group, and of outputs that say more than one thing.

It knows which question each panel answers. Invariant: sums are added less withdrawn ones, as in performance.py.
"""

from collections.abc import Sequence

from alert_rules.promql import family
from dashboards.panels import Panel, Query, empty, sized, timeseries
from dashboards.performance import net
from dashboards.queries import increase, total
from dashboards.variables import OBSERVED

NO_GROUPS = "No label_groups configured"
NOT_SEVERAL = "No outputs of several answers with labels"
_BY = ("output", "maturity")
_WHERE = (*_BY, "segment", "group")


def groups() -> Sequence[Panel]:
    """Whether a model treats groups alike, and whether all of them get labels."""
    name, errors = "model.performance.group", "model.performance.group_error"
    called = net(name, *_WHERE, "class", selector=_of("right|wrong"))
    true = net(name, *_WHERE, "class", selector=_of("right|missed"))
    right, wrong = (net(name, *_WHERE, "class", selector=_of(one)) for one in ("right", "wrong"))
    rows = f"on ({', '.join(_WHERE)}) group_left () ({net(name, *_WHERE, selector=_of('right|wrong'))} > 0)"
    weight, over, under = (
        net(errors, *_WHERE, selector=f'{OBSERVED}, statistic="{one}"') for one in ("weight", "over", "under")
    )
    by = ("segment", "group")
    joined, kept = (
        total(increase("model.label.segment", f'{OBSERVED}, state="{one}"'), *by)
        for one in ("joined", "kept")
    )
    legend = "{{segment}} {{group}}: {{class}} {{maturity}}"
    return (
        _panel(
            "Chosen by group",
            "Share of a group's rows that are called so.",
            Query(f"{called} / {rows}", legend),
        ),
        _panel(
            "Found by group",
            "Of the rows of a group that are truly of a class, those that are called so.",
            Query(f"{right} / ({true} > 0)", legend),
        ),
        _panel(
            "Called wrongly by group",
            "Rows of a group that are wrongly called so, as a share of all its rows.",
            Query(f"{wrong} / {rows}", legend),
        ),
        _panel(
            "Errors by group",
            "Mean absolute error of the rows of a group.",
            Query(f"({over} + {under}) / ({weight} > 0)", "{{segment}} {{group}} {{maturity}}"),
            unit="short",
            none="No numbers by label_groups",
        ),
        _panel(
            "Labelled by group",
            "Share of predictions that met a label, by group, class and score: labels may choose.",
            Query(f"{joined} / ({kept} > 0)", "{{segment}} {{group}}"),
        ),
    )


def several() -> Sequence[Panel]:
    """Several labels of a row, chances of several classes, rankings; and what is drawn from cells of classes."""
    label, error = "model.performance.label", "model.performance.error"
    right, called, missed = (
        net(label, *_BY, "class", selector=_of(one))
        for one in ("true_positive", "false_positive", "false_negative")
    )
    names = "top_.+|hit_.+|ndcg_.+|reciprocal_rank|all_right"
    shares = net(error, *_BY, "statistic", selector=f'{OBSERVED}, statistic=~"{names}"')
    quantiles = net(error, *_BY, "statistic", selector=f'{OBSERVED}, statistic=~"pinball|reached"')
    weight = net(error, *_BY, selector=f'{OBSERVED}, statistic="weight"')
    loss = net(error, *_BY, selector=f'{OBSERVED}, statistic="log_loss"')
    rows = net("model.performance.score", *_BY)
    sides = [net(f"model.performance.score_{side}", *_BY, "bin") for side in ("positives", "negatives")]
    target = f"max by (output, class) ({family('model.reference.target')}{{{OBSERVED}}})"
    shown = (
        (
            "Labels of a row",
            "Precision and recall of each label, of rows that may have several.",
            (
                Query(f"{right} / ({right} + {called} > 0)", "precision {{class}} {{maturity}}"),
                Query(f"{right} / ({right} + {missed} > 0)", "recall {{class}} {{maturity}}"),
            ),
        ),
        (
            "Hits among the first",
            "True classes among the likeliest, relevant items among the first, gains, rows right in all labels.",
            (
                Query(
                    f"{shares} / on (output, maturity) group_left () ({weight} > 0)",
                    "{{output}} {{statistic}} {{maturity}}",
                ),
            ),
        ),
        (
            "Quantiles",
            "Predicted ones: pinball loss, and the share of truths that each reached, which should be its level.",
            (
                Query(
                    f"{quantiles} / on (output, maturity) group_left () ({weight} > 0)",
                    "{{output}} {{statistic}} {{maturity}}",
                ),
            ),
        ),
        (
            "Log loss",
            "Mean over labelled rows.",
            (Query(f"{loss} / ({rows} > 0)", "{{output}} {{maturity}}"),),
        ),
        (
            "Scores of either class",
            "Weight of rows with at most that score.",
            tuple(
                Query(one, f"{{{{output}}}} {word} {{{{bin}}}} {{{{maturity}}}}")
                for one, word in zip(sides, ("positive", "negative"), strict=True)
            ),
        ),
        (
            "True classes of the reference",
            "Its test rows by class.",
            (Query(target, "{{output}} {{class}}"),),
        ),
    )
    return tuple(
        empty(sized(timeseries(title, text, "short", *queries), 8, 8), NOT_SEVERAL)
        for title, text, queries in shown
    )


def _of(outcome: str) -> str:
    return f'{OBSERVED}, outcome=~"{outcome}"'


def _panel(title: str, text: str, query: Query, unit: str = "percentunit", none: str = NO_GROUPS) -> Panel:
    return empty(sized(timeseries(title, text, unit, query), 8, 8), none)
