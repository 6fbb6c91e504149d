"""Scenes of live rows against live rows: with the week before, and version against version.

A step is an hour; what a day has is recorded in one.
"""

import numpy as np

from exporter.stats import NumericBins
from exporter.stats.drift import Pair
from tests.alert_rules.scenes import (
    EDGES,
    STEADY,
    Column,
    Json,
    alert,
    block,
    compared,
    document,
    fires,
    psi,
    recorded,
    truth,
)

DAY = 24
TEN = tuple(480 * rows for rows in STEADY)
MOVED = (960, 1344, 1344, 672, 480, 0, 0)
NOTHING = (0,) * 7
JUDGED = ("psi", "jensen_shannon", "total_variation", "kolmogorov_smirnov")


def _pair() -> Pair:
    """What moved against what did not."""
    bins = NumericBins(tuple(float(edge) for edge in EDGES[:4]))
    return Pair(bins, np.array(TEN, np.int64), np.array(MOVED, np.int64))


def week() -> Json:
    """Eight days, then it is another for a day and a half."""
    phases = [(8 * DAY, TEN), (36, MOVED), (36, TEN)]
    changed = Column("changed", phases, "feature", reference=())
    found = psi(MOVED, base=TEN)
    told = alert(
        "WeekChanged",
        changed,
        "A column of a model is not distributed as it was a week ago.",
        f"PSI of column x of model changed 1 between the last 24h and the same 7d before is {found.value:.3f}, "
        "above what chance alone gives once in a thousand times.",
        "info",
    )
    return block(
        "WeekChanged fires for a day unlike that a week before; not for few rows, none before, a mirror",
        "1h",
        [
            *changed.ordered(),
            *recorded(
                "24h",
                [
                    changed,
                    Column("steady", [(11 * DAY, TEN)]),
                    Column(
                        "few",
                        [
                            (8 * DAY, tuple(0.004 * each for each in TEN)),
                            (3 * DAY, tuple(0.004 * each for each in MOVED)),
                        ],
                    ),
                    Column("new", [(8 * DAY, NOTHING), (3 * DAY, MOVED)]),
                    Column("mirrored", phases, more={"role": "shadow"}),
                ],
            ),
        ],
        fires("WeekChanged", "7d18h"),
        fires("WeekChanged", "9d6h", told),
        *compared("week", changed, "9d6h", _pair(), JUDGED),
        truth("column:model_drift:week{model_name='new'}", "9d6h", 0),
        fires("WeekChanged", "10d18h"),
    )


def versions() -> Json:
    """The second version answers otherwise from the second day on, and is taken away after the third."""
    phases = [(DAY, TEN), (2 * DAY, MOVED), (2 * DAY, NOTHING)]
    first = Column("m", [(5 * DAY, TEN)])
    second = Column("m", phases, more={"model_version": "2", "job": "canary"})
    mirror = Column(
        "shadowed", [(DAY, NOTHING), (2 * DAY, MOVED), (2 * DAY, NOTHING)], more={"role": "shadow"}
    )
    found = psi(MOVED, base=TEN)
    told = [
        alert(
            "VersionsDiffer",
            column,
            "Two versions of a model answer differently.",
            f"PSI of prediction x of model {column.model} {column.labels['model_version']} against the live rows "
            f"of the other versions is {found.value:.3f} over 24h, above what chance alone gives once in a "
            "thousand times.",
            "info",
        )
        for column in (first, second, mirror)
    ]
    return block(
        "VersionsDiffer fires for both versions and for a shadow that answers otherwise; not for one alone",
        "1h",
        [
            *second.ordered(),
            *recorded(
                "24h",
                [
                    first,
                    second,
                    mirror,
                    Column("shadowed", [(5 * DAY, TEN)]),
                    Column("alone", [(5 * DAY, MOVED)]),
                    Column("m", [(5 * DAY, TEN)], "feature"),
                    Column("m", phases, "feature", more={"model_version": "2"}),
                    # Another profile has other bins: never compared.
                    Column("apart", [(5 * DAY, TEN)]),
                    Column("apart", [(5 * DAY, MOVED)], more={"model_version": "2", "reference": "ffffffff"}),
                ],
            ),
        ],
        fires("VersionsDiffer", "18h"),
        fires("VersionsDiffer", "2d12h", *told),
        *compared("versions", second, "2d12h", _pair(), JUDGED),
        truth("column:model_drift:versions{model_name=~'alone|apart'}", "2d12h", 0),
        # The live side of a shadow is compared with other live versions only.
        truth("column:model_drift:versions{model_name='shadowed', role='live'}", "2d12h", 0),
        fires("VersionsDiffer", "4d18h"),
    )


def text() -> str:
    return document("6h", "drift_pairs", week(), versions())
