"""Scenes of an hour: the worked example of every statistic, what is awkward, and what broke."""

from tests.alert_rules.scenes import (
    EDGES,
    STEADY,
    Column,
    Json,
    alert,
    block,
    counted,
    digits,
    document,
    fires,
    psi,
    scraped,
    truth,
)

# Two replicas see 8/14/40/26/12 and 12/16/30/24/18 rows an hour, in two steps of half an hour.
ONE, OTHER = (4, 7, 20, 13, 6, 0, 0), (6, 8, 15, 12, 9, 0, 0)
STEPS = 8
# By scipy and by hand, of 20/30/70/50/30 against 100/200/400/200/100; chi-square is the test's 9.083897 / 200 * 1.2.
# The yardsticks are those of exporter/stats.
VALUES = {
    "psi": 0.0524801439,
    "jensen_shannon": 0.0094253744,
    "hellinger": 0.0809107594,
    "total_variation": 0.1,
    "l_infinity": 0.05,
    "kolmogorov_smirnov": 0.1,
    "chi_square": 0.0545033801,
}
FLOORS = {
    "psi": 0.024,
    "jensen_shannon": 0.0043280851,
    "hellinger": 0.0514629721,
    "total_variation": 0.0586720346,
    "chi_square": 0.024,
}
CRITICALS = {
    "psi": 0.1137737129,
    "jensen_shannon": 0.0202598798,
    "hellinger": 0.1185034960,
    "chi_square": 0.1129063516,
    "kolmogorov_smirnov": 0.1510076207,
}
MOVED = (1, 2, 4, 2, 10, 0, 0)
BROKEN = (5, 5, 5, 5, 300, 0, 0)
FIVE = tuple(5 * rows for rows in STEADY)
HOURS = 48  # steps of 5 minutes
EVERY = '{__name__=~"column.*"}'


def example() -> Json:
    """The special bins are empty on both sides and must not count."""
    columns = [
        Column("iris", [(STEPS, rows)], replica=replica, more={"output": "y"})
        for replica, rows in (("a", ONE), ("b", OTHER))
    ]
    labels = columns[0].labels
    told = {
        "drift:1h": VALUES,
        "drift_floor:1h": FLOORS,
        "drift_critical:1h": CRITICALS,
        "drift_excess:1h": {
            **{name: VALUES[name] - floor for name, floor in FLOORS.items()},
            "kolmogorov_smirnov": 0.0,
        },
    }
    cases = [
        digits(
            f'column:model_{name}{{statistic="{statistic}"}}',
            "3h",
            ({**labels, "statistic": statistic}, value),
        )
        for name, values in told.items()
        for statistic, value in values.items()
    ]
    return block(
        "Every statistic of a prediction over two replicas that tell the same reference",
        "30m",
        scraped(columns),
        *cases,
        digits("column:model_rows:increase1h", "3h", (labels, 200)),
        digits("column:model_effective_rows:increase1h", "3h", (labels, 200)),
        digits("column:model_bins:1h", "3h", (labels, 5)),
        fires("DistributionBroken", "3h"),
    )


def effective() -> Json:
    """Requests of five rows that fall into one bin: 200 rows are worth 40."""
    column = Column("batched", [(STEPS, (10, 15, 35, 25, 15, 0, 0))], batch=5)
    found = psi((20, 30, 70, 50, 30, 0, 0), 40.0)
    key = {**column.labels, "statistic": "psi"}
    return block(
        "Rows of one request are not independent: floor and critical value are those of a fifth",
        "30m",
        scraped([column]),
        digits("column:model_effective_rows:increase1h", "3h", (column.labels, 40)),
        digits('column:model_drift_floor:1h{statistic="psi"}', "3h", (key, found.floor)),
        digits('column:model_drift_critical:1h{statistic="psi"}', "3h", (key, found.critical)),
    )


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
    return document("5m", "drift", example(), effective(), awkward(), broken())
