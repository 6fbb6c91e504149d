"""Scenes of expected performance: figures as exporter/stats has them, and the alert. A step is four hours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from exporter.stats.performance.expected import Known, expected, known_of
from tests.alert_rules.scenes import Column, Json, block, digits, document, fires, selector, truth

BINS = ("0.2", "0.4", "0.6", "0.8", "+Inf", "<null>", "<nan>")
# Test rows by bin, and those positive: not called, called. A dip in the second bin; the decision lies in the third.
ROWS = ((100, 120, 60, 0, 0), (0, 0, 40, 90, 110))
HITS = ((12, 11, 24, 0, 0), (0, 0, 22, 70, 101))
LIVE = (300.0, 250.0, 130.0, 90.0, 80.0, 20.0, 5.0)
AT = "24h"
SUMMARY = "By its scores alone a model is expected to be worse than it ever was in its reference."


@dataclass(frozen=True)
class Score:
    """An output with test rows by bin; `phases`: so many steps with so many rows a week per bin."""

    model: str
    phases: Sequence[tuple[int, Sequence[float]]]
    rows: Sequence[Sequence[float]] = ROWS
    hits: Sequence[Sequence[float]] = HITS
    classes: Sequence[str] = ("negative", "positive")
    role: str = "live"
    replicas: str = "ab"

    @property
    def column(self) -> Column:
        return Column(self.model, self.phases, reference=(), bins=BINS, more={"role": self.role})

    @property
    def known(self) -> Known:
        sides = (np.array(side, float) for side in (self.rows, self.hits))
        return known_of(*sides, several="right" in self.classes)

    def series(self) -> Iterable[Json]:
        """What the week has recorded, and what every replica tells of the reference."""
        column, known = self.column, self.known
        yield from column.recorded("7d")
        yield from column.ordered()
        places = range(2) if len(self.classes) == 2 else [int(self.classes[0] == "right")]
        for replica in self.replicas:
            for row, klass in zip(places, self.classes, strict=True):
                for place, label in enumerate(BINS[:5]):
                    labels = {"instance": replica, **column.labels, "bin": label, "class": klass}
                    told = {"rows": known.rows[row, place], "chance": known.chances[row, place]}
                    for what, value in told.items():
                        yield {
                            "series": selector(f"model_reference_score_{what}", labels),
                            "values": f"{float(value)!r}x{column.steps}",
                        }

    def figures(self, live: Sequence[float]) -> Iterable[Json]:
        """Value, error and limits of each figure, as exporter/stats has them of the same rows; and no other."""
        found = expected(self.known, np.array(live[:5], float))
        # The loss is not told by bin.
        figures = [one for one in found.figures if one.name != "brier"]
        whose = self.column.labels
        for one in figures:
            ends = {"ratio": one.value, "error": one.error, "lower": one.low, "upper": one.high}
            if one.name in ("auc_roc", "accuracy"):
                ends["bound"] = one.bound
            for what, value in ends.items():
                labels = {**whose, "statistic": one.name}
                yield digits(
                    selector(f"statistic:model_expected:{what}_increase7d", labels), AT, (labels, value)
                )
        yield truth(selector("statistic:model_expected:ratio_increase7d", whose), AT, len(figures))
        share = selector("output:model_expected_unknown:ratio_increase7d", whose)
        yield digits(share, AT, (whose, found.unknown))


def _steady(model: str, live: Sequence[float] = LIVE, steps: int = 8, **more: Any) -> Score:
    return Score(model, [(steps, live)], **more)


def figures() -> Json:
    """A threshold in a bin, and at an edge; no predictions; several classes; bins of few test rows; few rows."""
    edged = (((100, 120, 100, 0, 0), (0, 0, 0, 90, 110)), ((12, 11, 40, 0, 0), (0, 0, 0, 70, 101)))
    nothing = ((0,) * 5, (0,) * 5)
    thin = (((100, 120, 60, 0, 0), (0, 0, 40, 9, 110)), ((12, 11, 24, 0, 0), (0, 0, 22, 7, 101)))
    told = [
        _steady("within"),
        _steady("edged", rows=edged[0], hits=edged[1]),
        _steady(
            "alone",
            rows=((100, 120, 100, 90, 110), nothing[0]),
            hits=((12, 11, 46, 70, 101), nothing[0]),
            classes=("",),
        ),
        _steady(
            "several",
            rows=(nothing[0], (100, 120, 100, 90, 110)),
            hits=(nothing[0], (62, 61, 46, 70, 101)),
            classes=("right",),
        ),
        _steady("thin", (300.0, 250.0, 130.0, 20.0, 80.0, 0, 0), rows=thin[0], hits=thin[1]),
        _steady("odd", rows=thin[0], hits=thin[1]),
    ]
    cases = [
        case
        for score in told
        for case in score.figures(LIVE if score.model != "thin" else (300, 250, 130, 20, 80))
    ]
    few = _steady("few", tuple(0.2 * rows for rows in LIVE))
    unknown = Column("unknown", [(8, LIVE)], reference=(), bins=BINS)
    series = [one for score in (*told, few) for one in score.series()]
    every = '{__name__=~".*model_(reference_score|expected).*7d"}'
    return block(
        "Every figure over two replicas that tell the same reference, to ten digits",
        "4h",
        [*series, *unknown.recorded("7d"), *unknown.ordered()],
        *cases,
        truth('statistic:model_expected:ratio_increase7d{model_name=~"few|unknown"}', AT, 0),
        truth('output:model_expected_unknown:ratio_increase7d{model_name="few"}', AT, 1),
        truth('{__name__=~".*expected.*", model_name="unknown"}', AT, 0),
        truth(f"count({every}) > count({every} >= -Inf)", AT, 0),
    )


FALLEN = (40.0, 60.0, 700.0, 60.0, 40.0, 0.0, 0.0)
DAY = 6  # steps


def _around(
    model: str, before: Sequence[float] = LIVE, fallen: Sequence[float] = FALLEN, **more: Any
) -> Score:
    return Score(model, [(2 * DAY, before), (3 * DAY, fallen), (3 * DAY, before)], replicas="a", **more)


def _band(score: Score, low: float = 0.76, **more: str) -> Json:
    labels = {**score.column.labels, "instance": "a", "statistic": "accuracy", "state": "low"} | more
    del labels["output"]
    return {
        "series": selector("model_reference_performance", labels),
        "values": f"{low}x{score.column.steps}",
    }


def _labelled(score: Score, lag_seconds: float) -> Iterable[Json]:
    """What the file of performance has recorded."""
    labels = {key: value for key, value in score.column.labels.items() if key != "reference"}
    yield {
        "series": selector("output:model_performance_rows:increase7d", {**labels, "maturity": "mature"}),
        "values": f"500x{score.column.steps}",
    }
    del labels["output"]
    yield {
        "series": selector("model:model_label_lag_seconds:p50_7d", labels),
        "values": f"{lag_seconds}x{score.column.steps}",
    }


def low() -> Json:
    """Two days as the reference, three with scores in the middle, three as before."""
    fallen = _around("fallen")
    late, soon = replace(fallen, model="late"), replace(fallen, model="soon")
    quiet = [
        _around("steady", fallen=LIVE),
        _around("few", fallen=tuple(0.1 * rows for rows in FALLEN)),
        _around("shadow", role="shadow"),
        replace(fallen, model="bandless"),
    ]
    edge = replace(fallen, model="edge")
    reached = {one.name: one for one in expected(fallen.known, np.array(FALLEN[:5])).figures}["accuracy"]
    series = [one for score in (fallen, late, soon, edge, *quiet) for one in score.series()]
    series += [_band(score) for score in (fallen, late, soon, *quiet[:3])]
    # The band lies within what bins leave open; and it is another reference's.
    series += [_band(edge, reached.high + 0.5 * reached.bound), _band(quiet[3], reference="ffffffff")]
    series += [*_labelled(late, 8e5), *_labelled(soon, 8e4)]
    limit = reached.high + reached.bound
    told = [_told(score, limit) for score in (fallen, late)]
    return block(
        "PerformanceExpectedLow fires an hour after scores moved to where the model is unsure, unless labels say more",
        "4h",
        series,
        fires("PerformanceExpectedLow", "44h"),
        fires("PerformanceExpectedLow", "60h", *told),
        fires("PerformanceExpectedLow", "116h", *told),
        # Kept for two hours, which is less than a step.
        fires("PerformanceExpectedLow", "128h"),
        truth('statistic:model_expected:upper_increase7d{statistic="accuracy"} < 0.73', "60h", 6),
    )


def _told(score: Score, value: float) -> Json:
    notes = {
        "summary": SUMMARY,
        "description": f"accuracy of output x of model {score.model} 1 is expected to be {100 * value:.4g}% at best "
        "over the last 7d (limit of 95 %, no labels needed), below the band of reference 0a1b2c3d.",
        "runbook_url": "alert_rules/RUNBOOK.md#modeltapperformanceexpectedlow",
    }
    labels = {"severity": "warning", **score.column.labels, "statistic": "accuracy"}
    return {"exp_labels": labels, "exp_annotations": notes}


def text() -> str:
    return document("4h", "expected", figures(), low())
