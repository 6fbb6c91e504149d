"""Scenes of the truth of numbers, of series that groups before recorded. A step is an hour.

Distances of truths are those of columns (scenes_long.py, test_targets.py); here it is whether labels speak for all.
"""

from collections.abc import Iterable, Sequence

from tests.alert_rules.scenes import (
    IDENTITY,
    Column,
    Json,
    alert,
    block,
    constant,
    document,
    fires,
    selector,
    truth,
)

DAY = 24
MOVED = 0.16
NAME = "NumericTargetDrift"


def _series(name: str, model: str, values: str, **more: str) -> Json:
    return {"series": selector(name, {**IDENTITY, "model_name": model, **more}), "values": values}


def _absent(steps: Sequence[tuple[int, float | None]]) -> str:
    return " ".join(f"_x{n}" if value is None else f"{value:g}x{n - 1}" for n, value in steps)


def _truth(
    model: str,
    found: Sequence[tuple[int, float | None]],
    rows: float = 400,
    coverage: float | None = 0.5,
    groups: Sequence[float] = (),
    **more: str,
) -> Iterable[Json]:
    """One output: PSI where it is beyond all yardsticks, labels in a week, and what share of rows they are of."""
    own = {"target": "x", **more}
    steps = sum(n for n, _ in found)
    yield _series("column:model_drift_found:24h", model, _absent(found), statistic="psi", **own)
    yield _series("column:model_drift_certain:24h", model, f"0.2x{steps}", statistic="psi", **own)
    yield _series("column:model_rows:increase7d", model, constant([(steps, rows)]), **own)
    place = {key: value for key, value in more.items() if key == "role"}
    if coverage is not None:
        name = "model:model_label_coverage:ratio_increase7d"
        yield _unreferenced(_series(name, model, constant([(steps, coverage)]), **place))
    for number, share in enumerate(groups):
        group = {"output": "x", "segment": "region", "group": f"g{number}", **place}
        name = "group:model_label_coverage:ratio_increase7d"
        yield _unreferenced(_series(name, model, constant([(steps, share)]), **group))


def _unreferenced(one: Json) -> Json:
    """Labels are counted by model, not by profile."""
    reference = f', reference="{IDENTITY["reference"]}"'
    assert reference in one["series"]
    return {**one, "series": one["series"].replace(reference, "")}


def _told(model: str, value: float) -> Json:
    return alert(
        NAME,
        Column(model, (), "target"),
        "The truth is distributed otherwise than in the reference.",
        f"PSI of the truth of output x of model {model} 1 against reference 0a1b2c3d is {value:.3f} over 24h or 7d of "
        "matured hours; 0.1 is worth a look, and it is above what chance alone gives once in a thousand times, twice "
        "over or by far.",
    )


def days() -> Json:
    """Two days as the reference, three moved, two as before."""
    phases: Sequence[tuple[int, float | None]] = [(2 * DAY, None), (3 * DAY, MOVED), (2 * DAY, None)]
    series = [
        *_truth("moved", phases, groups=(0.5, 0.3)),
        *_truth("jumped", [(2 * DAY, None), (DAY, 0.9), (4 * DAY, None)]),
        # Labels that say little of all rows, or of the groups alike; that nobody counted; too few of them.
        *_truth("seldom", phases, coverage=0.04),
        *_truth("uneven", phases, groups=(0.5, 0.24)),
        *_truth("uncounted", phases, coverage=None),
        *_truth("few", phases, rows=199),
        *_truth("mirrored", phases, role="shadow"),
    ]
    firing = f'ALERTS{{alertname="Modeltap{NAME}", alertstate="firing", model_name="%s"}}'
    return block(
        f"{NAME} fires after two days, or at once after a jump; not for few or seldom labels, uneven groups, mirrors",
        "1h",
        series,
        fires(NAME, "1d12h"),
        truth(firing % "moved", "3d", 0),
        truth(firing % "jumped", "3d", 1),
        fires(NAME, "4d12h", _told("moved", MOVED)),
        truth("output:model_label_coverage:evenness_increase7d", "4d12h", 2),
        truth("output:model_label_coverage:evenness_increase7d < 0.5", "4d12h", 1),
        fires(NAME, "6d12h"),
    )


def text() -> str:
    return document("12h", "targets", days())
