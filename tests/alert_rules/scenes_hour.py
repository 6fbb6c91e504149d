"""Scenes of an hour: what is awkward, and what broke. The statistics themselves are in scenes_statistics.py."""

from tests.alert_rules.scenes import (
    EDGES,
    STEADY,
    Column,
    Json,
    alert,
    block,
    counted,
    document,
    fires,
    psi,
    scraped,
    truth,
)

MOVED = (1, 2, 4, 2, 10, 0, 0)
BROKEN = (5, 5, 5, 5, 300, 0, 0)
FIVE = tuple(5 * rows for rows in STEADY)
HOURS = 48  # steps of 5 minutes
EVERY = '{__name__=~"column.*"}'


def awkward() -> Json:
    """A bin without live series, an unknown bin, no rows, few rows, no reference, two references, a restart."""
    moved = [(HOURS, tuple(0.5 * rows for rows in MOVED))]
    two = [Column("two", moved, more={"reference": name}) for name in ("11111111", "22222222")]
    words = ("red", "blue", "<unseen>", "<null>")
    restarted = "0+5x18 0+5x29"
    columns = [
        *two,
        Column("idle", [(HOURS, (0,) * 7)]),
        Column("few", [(HOURS, tuple(0.1 * rows for rows in MOVED))]),
        Column("unreferenced", moved, reference=()),
        Column("silent", ()),
        Column("words", [(HOURS, (2.5, 2.5, 0, 0))], "feature", (500, 500, 0, 0), bins=words),
    ]
    gone = Column("gone", moved)
    lacking = [
        one for one in gone.series() if 'bin="+Inf"' not in one["series"] or "reference" in one["series"][:20]
    ]
    strange = dict(next(iter(gone.series())))
    strange["series"] = strange["series"].replace('bin="20.0"', 'bin="30.0"').replace("gone", "strange")
    known = list(Column("strange", moved).series())
    again = [
        {"series": one["series"], "values": restarted if "bin_total" in one["series"] else one["values"]}
        for one in Column("again", moved).series()
        if 'bin="<' not in one["series"]
    ]
    at = "3h30m"

    def some(name: str, more: str = "") -> str:
        return f'column:model_drift:1h{{model_name="{name}"{more}}}'

    return block(
        "What is awkward gives a number or nothing, never NaN",
        "5m",
        [*scraped(columns), *lacking, strange, *known, *again],
        truth(some("two", ', statistic="psi"'), at, 2),
        truth(some("idle"), at, 0),
        truth(some("few"), at, 0),
        truth(some("unreferenced"), at, 0),
        truth(some("silent"), at, 0),
        # No order, no Kolmogorov-Smirnov; all others.
        truth(some("words"), at, 6),
        truth(some("words", ', statistic="kolmogorov_smirnov"'), at, 0),
        # The bin without live series counts as 0, the unknown one as one that the reference lacks.
        truth('column:model_bins:1h{model_name="gone"} == 5', at, 1),
        truth(some("gone", ', statistic="psi"') + " > 0.05", at, 1),
        truth('column:model_bins:1h{model_name="strange"} == 6', at, 1),
        truth(some("again", ', statistic="psi"'), at, 1),
        # Started anew at 1h35m, in the middle of the hour; all rows but those between the two scrapes are there.
        truth('column:model_rows:increase1h{model_name="again"} > 270 < 301', "2h", 1),
        truth(f"count({EVERY}) > count({EVERY} >= -Inf)", at, 0),
    )


def broken() -> Json:
    """60 steady minutes before, 120 in which it is broken, then steady; kept for an hour after recovery."""
    steady = [(88, FIVE)]
    column = Column("broken", [(24, FIVE), (24, BROKEN), (40, FIVE)], "feature")
    quiet = Column("quiet", [(88, tuple(0.02 * rows for rows in BROKEN))], "feature")
    live = Column("roles", steady, "feature")
    others = [
        Column("roles", [(88, BROKEN)], "feature", more={"role": role}) for role in ("shadow", "synthetic")
    ]
    value = psi(tuple(12 * rows for rows in BROKEN)).value
    told = alert(
        "DistributionBroken",
        column,
        "A column of a model has hardly anything in common with its reference.",
        f"PSI of column x of model broken 1 against reference 0a1b2c3d is {value:.3f} over 1h; "
        "1 is a fault more often than a change.",
    )
    return block(
        "DistributionBroken fires 30 minutes after a feature broke, not for few rows, and a shadow wakes nobody",
        "5m",
        scraped([column, quiet, Column("steady", steady, "feature"), live, *others]),
        fires("DistributionBroken", "2h20m"),
        fires("DistributionBroken", "4h", told),
        truth('ALERTS{alertname="ModeltapDistributionBroken", alertstate="firing"}', "5h30m", 1),
        fires("DistributionBroken", "6h50m"),
        truth('column:model_drift:1h{role="shadow", statistic="psi"} > 1', "4h", 1),
        truth('column:model_drift:1h{model_name="roles", role="live", statistic="psi"} > 0.001', "4h", 0),
    )


def text() -> str:
    assert len(EDGES) == len(STEADY)
    assert counted([(2, 1), (2, 0)]) == "0 1+1x1 2x1"
    return document("10m", "drift", awkward(), broken())
