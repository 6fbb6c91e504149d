"""Learning: a reference from live traffic, for a model that has none; off unless a file for it is named.

Of the first live model without a reference, rows are sampled until there are enough over long enough; then one profile
is built, once, and published to the file. Whatever replica is first writes it, all others read it, and it is never
replaced: it is a reference like any other from then on. Invariant: nothing raises for any observation.
"""

import logging
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.aspects import is_free
from exporter.analysis.fit import categorical, numeric
from exporter.records.exchange import OTHER, UNKNOWN
from exporter.records.observation import Column, Observation
from exporter.stats import Profile
from exporter.stats.profiles.learn import LearnConfig, Learner

log = logging.getLogger(__name__)


class Learning:
    """`add` observations of live models without a reference; `profile` once it is `ready`, then `stop`."""

    def __init__(self, rows: int, seconds: float) -> None:
        self._least = rows, seconds
        self._learner: Learner | None = None
        self._name = ""
        self.active = True

    @property
    def rows(self) -> int:
        """How many were taken so far."""
        return self._learner.rows if self._learner is not None else 0

    @property
    def ready(self) -> bool:
        """Whether there are rows enough."""
        return self.active and self._learner is not None and self._learner.ready

    def add(self, name: str, found: Observation, now: float) -> None:
        """Take the rows of one exchange, unless they are of another model than the first one's."""
        if not self.active or not found.rows or name in (UNKNOWN, OTHER):
            return
        if self._learner is None:
            rows, seconds = self._least
            self._name = name
            self._learner = Learner(LearnConfig(rows, seconds, model_name=name))
            log.info("a reference of model %s is learned from its traffic", name)
        if name != self._name or self._learner.ready:
            return
        batch, nulls, roles = _cells(found)
        self._learner.update(now, batch, roles, nulls)

    def profile(self) -> Profile:
        """What was learned; takes seconds. Raises ValueError before there is enough."""
        assert self._learner is not None
        return self._learner.profile()

    def stop(self) -> None:
        """Let go of the rows; nothing is learned any more."""
        self.active = False
        self._learner = None


def _cells(
    found: Observation,
) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[np.bool_]], dict[str, str]]:
    """Columns of as many cells as rows; of two of one name the input."""
    batch: dict[str, NDArray[Any]] = {}
    nulls: dict[str, NDArray[np.bool_]] = {}
    roles: dict[str, str] = {}
    for role, columns in (("feature", found.inputs), ("prediction", found.outputs)):
        for column in columns:
            if column.name in batch or column.kind == "vector" or len(column.values) != found.rows:
                continue
            batch[column.name], roles[column.name] = _values(column), role
            fitted = numeric([column]).nulls if column.kind == "numeric" else 0
            if not isinstance(fitted, int):
                nulls[column.name] = fitted
    return batch, nulls, roles


def _values(column: Column) -> NDArray[Any]:
    """Texts that may be anybody's words become the rest, as in windows without a profile."""
    values = categorical([column]).values
    if column.kind == "numeric":
        return values
    return np.array(
        [OTHER if isinstance(cell, str) and is_free(cell) else cell for cell in values.tolist()], object
    )
