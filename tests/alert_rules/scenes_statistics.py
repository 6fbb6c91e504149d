"""Scenes of the statistics of an hour: the worked example of each, shapes that are awkward, and rows that are alike.

What an hour has is recorded alike of a day and a week: the same rules by another name.
"""

from tests.alert_rules.scenes import (
    Column,
    Json,
    block,
    digits,
    document,
    fires,
    psi,
    scraped,
    yardsticks,
)

# Two replicas see 8/14/40/26/12 and 12/16/30/24/18 rows an hour, in two steps of half an hour.
ONE, OTHER = (4, 7, 20, 13, 6, 0, 0), (6, 8, 15, 12, 9, 0, 0)
STEPS = 8
# By scipy and by hand, of 20/30/70/50/30 against 100/200/400/200/100; chi-square is the test's 9.083897 / 200 * 1.2.
# The yardsticks, and all of what is uneven or has one bin, are those of exporter/stats.
VALUES = {
    "psi": 0.0524801439,
    "jensen_shannon": 0.0094253744,
    "hellinger": 0.0809107594,
    "total_variation": 0.1,
    "l_infinity": 0.05,
    "kolmogorov_smirnov": 0.1,
    "chi_square": 0.0545033801,
}


def example() -> Json:
    """The special bins are empty on both sides and must not count."""
    columns = [
        Column("iris", [(STEPS, rows)], replica=replica, more={"output": "y"})
        for replica, rows in (("a", ONE), ("b", OTHER))
    ]
    labels = columns[0].labels
    values = [
        digits(f'column:model_drift:1h{{statistic="{name}"}}', "3h", ({**labels, "statistic": name}, value))
        for name, value in VALUES.items()
    ]
    cases = [*values, *yardsticks("1h", columns[0], "3h", (20, 30, 70, 50, 30, 0, 0))]
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


def shapes() -> Json:
    """Other forms of a histogram: one bin with nearly all rows, with all of them, thin bins, special ones, no order."""
    rare, alone, thin = (950, 20, 10, 10, 10, 0, 0), (1000, 0, 0, 0, 0, 0, 0), (30, 300, 300, 300, 70, 0, 0)
    words = ("red", "blue", "<unseen>", "<null>")
    columns = {
        "rare": Column("rare", [(STEPS, (180, 10, 4, 4, 2, 0, 0))], "feature", rare),
        "alone": Column("alone", [(STEPS, (40, 0, 0, 0, 0, 0, 0))], "feature", alone),
        "thin": Column("thin", [(STEPS, (2, 20, 30, 25, 3, 10, 5))], "feature", thin),
        "batched": Column("batched", [(STEPS, (50, 75, 175, 125, 75, 0, 0))], batch=5),
        "words": Column("words", [(STEPS, (60, 35, 5, 0))], "feature", (500, 480, 0, 20), bins=words),
    }
    cases = [
        case
        for column in columns.values()
        for case in yardsticks(
            "1h", column, "3h", [2 * each for each in column.phases[0][1]], column.batch or 1
        )
    ]
    return block(
        "Every statistic of awkward shapes, with every yardstick that the statistics have",
        "30m",
        scraped(columns.values()),
        *cases,
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


def text() -> str:
    return document("30m", "drift", example(), shapes(), effective())
