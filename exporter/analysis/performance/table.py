"""Cohorts -> figures by period, with how sure they are and how much is still open. Pure; any thread.

An open period has figures of what is labelled so far, and bounds: what they can still become if every row without a
label turned out best, or worst.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from exporter.analysis.performance import grouped, listed
from exporter.analysis.performance.asked import sums
from exporter.analysis.performance.cohorts import Period, periods, state
from exporter.analysis.performance.contested import PAIRED, rows_of, together
from exporter.analysis.performance.contests import Duel, champion_of, duels
from exporter.analysis.performance.costs import NO_COSTS, Costs
from exporter.analysis.performance.judged import What
from exporter.analysis.performance.kpis import Moment
from exporter.analysis.performance.margins import HOUR_SECONDS
from exporter.analysis.performance.scored import BINS, CLASSIFIED, SCORES, Tally, errors_of
from exporter.analysis.performance.scored import table as confusion
from exporter.analysis.performance.truth_report import Truths, truth
from exporter.analysis.role import ROLES
from exporter.pending.contract import Cohort
from exporter.pending.row import version_id
from exporter.records.exchange import OTHER
from exporter.stats.performance.class_figures import class_figures, each_class
from exporter.stats.performance.costs import cheapest, cost_per_row
from exporter.stats.performance.errors import error_figures, quantile_figures, range_figures
from exporter.stats.performance.figures import Figure
from exporter.stats.performance.score_figures import calibration_curve, score_figures
from exporter.stats.performance.selection import selection

BY: Final = {"hour": 1, "day": 24, "all": 0}


@dataclass(frozen=True, slots=True)
class Reading:
    """The cohorts of a store at `now`, and what ids in them mean."""

    cohorts: tuple[Cohort, ...]
    whats: Mapping[int, What]
    names: Mapping[int, str]
    maturity: float
    now: float
    costs: Costs = NO_COSTS
    truths: Truths = field(default_factory=dict)


def table(reading: Reading, by: str, wanted: Mapping[str, frozenset[str]]) -> dict[str, Any]:
    """A row for each output, role and period, oldest first. `wanted`: values by filter, any of which holds."""
    groups: dict[int, list[Cohort]] = defaultdict(list)
    for cohort in reading.cohorts:
        groups[cohort.hour // BY[by] * BY[by] if BY[by] else 0].append(cohort)
    rows = []
    for start, cohorts in sorted(groups.items()):
        first, last = (start, start + BY[by]) if BY[by] else (cohorts[0].hour, cohorts[-1].hour + 1)
        states = {state(one, reading.maturity, reading.now) for one in cohorts}
        head = {
            "from": _written(first),
            "to": _written(last),
            "state": "open" if "open" in states else "mature" if "mature" in states else "settled",
        }
        for (_, role), period in periods(cohorts, reading.whats).items():
            names = _names(period, role)
            if role < len(ROLES) and all(names.get(key, by) in values for key, values in wanted.items()):
                more = worth(period, reading.names, reading.costs)
                if told := truth(period, role, reading.truths, BY[by] * HOUR_SECONDS):
                    more["truth"] = told
                rows.append(head | names | row(period, reading.names) | more)
    page = {"time": reading.now, "by": by, "maturity_seconds": reading.maturity, "rows": rows}
    return page | {"contests": [one for one in _contests(reading) if _asked_for(one, wanted)]}


def row(period: Period, names: Mapping[int, str]) -> dict[str, Any]:
    """What can be said of one output in one role over one period."""
    labelled = period.labelled
    found: dict[str, Any] = {
        "predicted": period.predicted,
        "labelled": labelled.rows,
        "unusable": labelled.unusable,
        "coverage": _share(labelled.rows, period.predicted),
        "figures": [_figure(one) for one in figures(labelled, names)],
    }
    if period.supposed.rows > 0:
        found["figures_with_policy"] = [_figure(one) for one in figures(period.whole(), names)]
    if period.what.segments:
        found["coverage_by_group"] = _by_group(period)
        found["segments"] = [_segment(one) for one in grouped.report(period.what, labelled.groups, names)]
    if period.what.form in CLASSIFIED:
        found["bounds"] = bounds(period)
        found["coverage_by_class"] = _by_class(period, names)
    if labelled.scores is not None:
        bins = SCORES.read(np.maximum(labelled.scores, 0.0))
        counts = bins.whole[0].tolist()
        pairs = list(zip(BINS, counts, period.bins, strict=True))
        found["coverage_by_score"] = {name: _share(own, whole) for name, own, whole in pairs if whole > 0}
        found["selection"] = chosen(counts, period.bins)
        found["calibration"] = [
            {"score": one.score, "share": one.share, "low": one.low, "high": one.high, "rows": one.rows}
            for one in calibration_curve(bins)
        ]
    return found


def worth(period: Period, names: Mapping[int, str], costs: Costs) -> dict[str, Any]:
    """What it costs, what rows whose label was asked for say of all of them, and outcomes; what there is of these."""
    found: dict[str, Any] = {}
    if costs and period.labelled.pairs:
        cells = confusion(period.labelled, names)
        one = cost_per_row(cells, costs.of(cells))
        found["cost"] = None if one is None else _figure(one)
        matrix = costs.binary(period.what)
        if matrix is not None and period.labelled.scores is not None:
            best = cheapest(SCORES.read(np.maximum(period.labelled.scores, 0.0)), matrix)
            if best is not None:
                # -inf, always, is no JSON.
                threshold = max(best.threshold, 0.0)
                found["cheapest"] = {"threshold": threshold, "cost": _figure(best.cost)}
        if (expected_rows := period.expected[0]) > 0:
            found["expected_cost"] = period.expected[1] / expected_rows
    if period.requested[0] > 0:
        found["requested"] = {
            "rows": period.requested[0],
            "answered": period.asked.rows,
            "estimated_rows": period.requested[1],
            "figures": [_figure(one) for one in figures(period.asked, names)],
        }
        if period.what.form in CLASSIFIED and period.predicted > 0:
            # Horvitz and Thompson's: of the rows there were, not of the weights that came.
            found["requested"]["right_ratio"] = sums(period.asked).right / period.predicted
    if period.outcomes:
        found["outcomes"] = {
            name: {"rows": rows, "sum": total} for name, (rows, total) in sorted(period.outcomes.items())
        }
    return found


def figures(tally: Tally, names: Mapping[int, str]) -> list[Figure]:
    """Every figure that these sums have."""
    found: list[Figure] = []
    if tally.what.form in CLASSIFIED:
        cells = confusion(tally, names)
        found += class_figures(cells)
        found += each_class(cells)
    if tally.listed is not None:
        found += listed.figures_of(tally.what, np.maximum(tally.listed, 0.0))
    if tally.scores is not None:
        # Of several classes the score is of the likeliest: how well it ranks right ones is no figure of the classes.
        own = score_figures(SCORES.read(np.maximum(tally.scores, 0.0)))
        found += [one for one in own if tally.listed is None or one.name in ("ece", "mce")]
    if tally.errors is not None:
        found += error_figures(errors_of(tally.what), np.maximum(tally.errors, 0.0))
    if tally.quantile is not None:
        found += quantile_figures(np.maximum(tally.quantile, 0.0))
    if tally.ranges is not None:
        found += range_figures(np.maximum(tally.ranges, 0.0))
    return found


def chosen(labelled: Sequence[float], every: Sequence[float]) -> dict[str, Any] | None:
    """Whether rows with a label have other scores than all rows: PSI with its yardsticks; None of too few."""
    # A row that was joined before it was counted here, or counted twice elsewhere, is none too many.
    own = np.round(np.minimum(labelled, every)).astype(np.int64)
    found = selection(own, np.round(every).astype(np.int64))
    if found is None:
        return None
    told = {"psi": found.value, "floor": found.floor, "critical": found.critical}
    return told | {"chosen": found.exceeds()}


def bounds(period: Period) -> dict[str, list[float]]:
    """Worst and best case of accuracy, if every row without a label turned out wrong, or right; and of a binary output
    precision and recall.
    """
    pairs = {pair: max(float(planes[0]), 0.0) for pair, planes in period.labelled.pairs.items()}
    judged = sum(pairs.values())
    right = sum(count for (truth, predicted), count in pairs.items() if truth == predicted)
    left = max(0.0, period.predicted - judged)
    found = {}
    if judged + left > 0:
        found["accuracy"] = [right / (judged + left), (right + left) / (judged + left)]
    if period.what.form == "binary":
        positive = version_id(period.what.positive)
        called = {pair: count for pair, count in pairs.items() if pair[1] == positive}
        hits = sum(count for (truth, _), count in called.items() if truth == positive)
        missed = sum(count for (truth, predicted), count in pairs.items() if truth == positive != predicted)
        open_yes = max(0.0, period.classes.get(positive, 0.0) - sum(called.values()))
        open_no = max(0.0, left - open_yes)
        if (whole := sum(called.values()) + open_yes) > 0:
            found["precision"] = [hits / whole, (hits + open_yes) / whole]
        if hits + missed + open_yes + open_no > 0:
            worst = hits + missed + open_no
            best = hits + missed + open_yes
            found["recall"] = [hits / worst if worst else 0.0, (hits + open_yes) / best if best else 1.0]
    return found


def _by_class(period: Period, names: Mapping[int, str]) -> dict[str, float | None]:
    judged: dict[int, float] = defaultdict(float)
    for (_, predicted), planes in period.labelled.pairs.items():
        judged[predicted] += max(float(planes[0]), 0.0)
    own: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for number, whole in period.classes.items():
        sums = own[names.get(number, OTHER)]
        sums[0] += judged.get(number, 0.0)
        sums[1] += whole
    return {name: _share(part, whole) for name, (part, whole) in own.items()}


def _by_group(period: Period) -> dict[str, dict[str, float | None]]:
    found: dict[str, dict[str, float | None]] = {}
    for (number, place), (part, whole) in sorted(period.groups.items()):
        if number < len(period.what.segments) and place < len(groups := period.what.segments[number].groups):
            found.setdefault(period.what.segments[number].column, {})[groups[place]] = _share(part, whole)
    return found


def _segment(told: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON has it."""
    groups = {name: [_figure(one) for one in own] for name, own in told["groups"].items()}
    apart = {"apart": told["apart"] and asdict(told["apart"])} if "apart" in told else {}
    return {**told, "groups": groups, **apart}


def _names(period: Period, role: int) -> dict[str, str]:
    what = period.what
    told = {"model_name": what.model_name, "model_version": what.model_version, "output": what.output}
    return told | {"role": ROLES[role] if role < len(ROLES) else ""}


def _figure(one: Figure) -> dict[str, Any]:
    found: dict[str, Any] = {"name": one.name} | ({"of": one.of} if one.of else {})
    found |= {"value": one.value, "low": one.low, "high": one.high, "state": one.state}
    found |= {"rows": one.basis.rows, "effective_rows": one.basis.effective_rows}
    return found | ({"bound": one.bound} if one.bound else {})


def _contests(reading: Reading) -> list[dict[str, Any]]:
    """Of rows that two models scored, then of traffic that is split between them."""
    moment = Moment(reading.now, reading.maturity)
    paired = [_duel(one) for one in duels(reading.cohorts, reading.whats)]
    return paired + rows_of(together(reading.cohorts, reading.whats, moment))


def _asked_for(one: Mapping[str, Any], wanted: Mapping[str, frozenset[str]]) -> bool:
    names = ("model_name", "model_version", "output", "role")
    return all(one[key] in values for key, values in wanted.items() if key in names)


def _duel(one: Duel) -> dict[str, Any]:
    what, other, contest = one.challenger, one.champion, one.contest
    told = {"model_name": what.model_name, "model_version": what.model_version, "output": what.output}
    told |= {"role": one.role, "champion": champion_of(one), "champion_name": other.model_name}
    told |= {"statistic": one.statistic, "comparison": PAIRED, "verdict": contest.verdict}
    return told | {
        "advantage": contest.difference,
        "low": contest.low,
        "high": contest.high,
        "rows": contest.rows,
    }


def _share(part: float, whole: float) -> float | None:
    return min(1.0, part / whole) if whole > 0 else None


def _written(hour: int) -> str:
    return datetime.fromtimestamp(hour * HOUR_SECONDS, UTC).isoformat().replace("+00:00", "Z")
