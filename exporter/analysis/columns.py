"""Which columns of a profile are counted, and which of them as counters: decided by the profile alone.

So it is the same in all replicas, or their counters would not add up; what drifts has no say. Refuses to know traffic.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.stats import Profile, ProfileColumn

MAX_COLUMNS = 1000  # counted of a side of a profile, in its order
# Bins of the reference and live ones; sums for effective rows and by sign, two reasons for missing values.
_SERIES_PER_BIN, _SERIES_BESIDES = 2, 6


@dataclass(frozen=True, slots=True)
class Columns:
    """`counted` in windows, `exported` as counters too; how many columns were left out of the counters, by reason."""

    counted: tuple[ProfileColumn, ...] = ()
    exported: frozenset[str] = frozenset()
    left_out: Mapping[str, int] | None = None

    def of(self, role: str) -> list[ProfileColumn]:
        """Those counted of one side."""
        return [column for column in self.counted if column.role == role]


def series_of(column: ProfileColumn) -> int:
    """How many series its counters and its reference are."""
    return _SERIES_PER_BIN * column.bins.size + _SERIES_BESIDES


def columns_of(profile: Profile | None, budget: int, wide: bool = True) -> Columns:
    """Counters for outputs and then features, in the profile's order, until one would be over the budget of series.

    All others are counted in windows only; without room for that (`wide` is False) not at all.
    """
    if profile is None:
        return Columns()
    sides = [[one for one in profile.columns if one.role == role] for role in ("prediction", "feature")]
    exported: set[str] = set()
    for column in (one for side in sides for one in side[:MAX_COLUMNS]):
        budget -= series_of(column)
        if budget < 0:
            break
        exported.add(column.name)
    kept = [
        one
        for side in sides
        for one in (side[:MAX_COLUMNS] if wide else side)
        if wide or one.name in exported
    ]
    total = sum(map(len, sides))
    left = {"budget": len(kept) - len(exported), "room": total - len(kept), "profile": len(profile.left_out)}
    return Columns(tuple(kept), frozenset(exported), left)
