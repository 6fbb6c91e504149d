"""The requests of failed exchanges of one model version, judged as data: missing values, types, ranges, categories.

Of the columns that answered exchanges are counted by, and by the same limits; apart from their windows and totals, so
that nothing but data quality ever sees them. No name of a request that no model took becomes a column.
"""

from dataclasses import replace
from typing import Final

from exporter.analysis.batch import Batch
from exporter.analysis.columns import Columns
from exporter.analysis.known import Known
from exporter.analysis.side import Side, SideState, Times
from exporter.stats import Profile

# Totals are all that is read of them: what rolls is as short as may be.
_ROLLING: Final = (1.0,)


class Asked:
    """`update` takes batches in, `state` is a copy. Costs nothing until the first exchange fails."""

    def __init__(self, profile: Profile | None, known: Known, chosen: Columns) -> None:
        self._made = profile, replace(known, windows=_ROLLING), chosen
        self._side: Side | None = None

    @property
    def used(self) -> bool:
        """Whether there was any."""
        return self._side is not None

    def update(self, inputs: Side, now: float, batch: Batch) -> None:
        """Requests that are alike; `inputs` is the side of those answered."""
        if self._side is None:
            self._side = Side("feature", *self._made)
        self._side.follow(inputs)
        self._side.update(Times(now), batch)

    def state(self) -> SideState | None:
        """A copy."""
        return self._side.state(None) if self._side is not None else None
