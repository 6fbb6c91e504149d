"""Learning a reference from live traffic: batches in, and once there are enough of them, one frozen profile.

For models whose training data is not at hand. What it learns is whatever came first, good or bad, so it is off unless
asked for, and says of itself `source="learned"`. Refuses to know models and clocks; `now` is an argument. Invariants:
memory is bounded by the sample; once a file is there it is never learned anew, by this replica or another.

    learner = Learner(LearnConfig(least_rows=10_000, least_seconds=86_400.0))
    learner.update(now, {"age": ages, "score": scores}, {"score": "prediction"})
    if learner.ready:
        profile = published(learner.profile(), "shared/learned.json")   # the one that all replicas use
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from exporter.stats.bins import OTHER, FloatArray, Nulls, Values, as_numbers, canonical, split_nulls
from exporter.stats.profiles.build import Column, ProfileConfig, build
from exporter.stats.profiles.profile import Profile, load
from exporter.stats.profiles.sketch import HITTERS, RowSample

MAX_COLUMNS = 100
SAMPLE = 100_000
# Stands for a null among float64 numbers: no payload holds it, and no moment would take it.
_NULL = -1.7976931348623157e308
_NULL_CODE = -1.0


@dataclass(frozen=True, slots=True)
class LearnConfig:
    """When there is enough: rows, and seconds from the first batch to the last. A day by default, for days repeat."""

    least_rows: int = 10_000
    least_seconds: float = 86_400.0
    model_name: str = "*"
    model_version: str = "*"
    bins: int = 10

    def validate(self) -> list[str]:
        """All problems, as sentences."""
        found = ProfileConfig(bins=self.bins).validate()
        if self.least_rows < 100:
            found.append(f"least_rows: {self.least_rows}, expected a whole number from 100")
        if not 0.0 <= self.least_seconds < float("inf"):
            found.append(f"least_seconds: {self.least_seconds}, expected a number from 0")
        return found


@dataclass(slots=True)
class _Learned:
    """One column: its role, and of categories their codes so far, at most 4,096 and one for the rest."""

    role: str
    numeric: bool
    codes: dict[str, int] = field(default_factory=dict)

    def encoded(self, values: Values, nulls: Nulls, rows: int) -> FloatArray:
        """The cells as numbers that a sample can hold; nulls behind them up to `rows`."""
        mask, _ = split_nulls(nulls)
        found = np.full(rows, _NULL if self.numeric else _NULL_CODE)
        found[: len(values)] = self._numbers(values) if self.numeric else self._codes(values)
        if mask is not None:
            found[: len(mask)][mask] = _NULL if self.numeric else _NULL_CODE
        return found

    def decoded(self, numbers: FloatArray) -> Column:
        """The sampled cells as a column of a profile."""
        if self.numeric:
            null = numbers == _NULL
            return Column(np.where(null, np.nan, numbers), self.role, null)
        names = np.array([*self.codes, None], object)
        return Column(names[numbers.astype(np.int64)], self.role)

    @staticmethod
    def _numbers(values: Values) -> FloatArray:
        ready = as_numbers(values)
        numbers = ready.values.astype(np.float64)
        return numbers if ready.null is None else np.where(ready.null, _NULL, numbers)

    def _codes(self, values: Values) -> FloatArray:
        return np.array([self._code(canonical(cell)) for cell in values.tolist()], np.float64)

    def _code(self, text: str | None) -> float:
        if text is None:
            return _NULL_CODE
        if text not in self.codes and len(self.codes) >= HITTERS:
            text = OTHER  # one code more, and no category in any profile
        return self.codes.setdefault(text, len(self.codes))


class Learner:
    """Accumulates batches. Columns are those of the first batch; what is not among them is counted in `ignored`."""

    def __init__(self, config: LearnConfig) -> None:
        """Raises ValueError for a configuration that is not valid."""
        problems = config.validate()
        if problems:
            raise ValueError("; ".join(problems))
        self.config = config
        self.ignored = 0
        self.rows = 0
        self._columns: dict[str, _Learned] = {}
        self._sample: RowSample | None = None
        self._first: float | None = None
        self._last = 0.0

    def update(
        self,
        now: float,
        batch: Mapping[str, Values],
        roles: Mapping[str, str] | None = None,
        nulls: Mapping[str, Nulls] | None = None,
    ) -> None:
        """Add rows: one-dimensional arrays, as `Windows.update` takes them. Columns without a role are features."""
        flat = {name: np.asarray(values) for name, values in batch.items() if np.ndim(values) == 1}
        rows = max((len(values) for values in flat.values()), default=0)
        if not rows:
            return
        if self._sample is None:
            self._begin(now, flat, roles or {})
        assert self._sample is not None
        self.ignored += sum(len(values) for name, values in flat.items() if name not in self._columns)
        own = nulls or {}
        empty = np.zeros(0)
        table = [
            column.encoded(flat.get(name, empty), own.get(name), rows)
            for name, column in self._columns.items()
        ]
        self._sample.update(np.stack(table, axis=1))
        self.rows += rows
        self._last = max(self._last, now)

    @property
    def ready(self) -> bool:
        """Whether there are enough rows over enough time."""
        if self._first is None:
            return False
        long_enough = self._last - self._first >= self.config.least_seconds
        return long_enough and self.rows >= self.config.least_rows

    def profile(self) -> Profile:
        """The profile of the sampled rows. Raises ValueError before there are enough."""
        if not self.ready or self._sample is None:
            raise ValueError(f"{self.rows} rows so far, too few or over too short a time")
        table = self._sample.table()
        columns = {
            name: column.decoded(table[:, place])
            for place, (name, column) in enumerate(self._columns.items())
        }
        own = self.config
        config = ProfileConfig(own.model_name, own.model_version, own.bins, source="learned")
        return build(columns, config)

    def _begin(self, now: float, batch: Mapping[str, Values], roles: Mapping[str, str]) -> None:
        for name, values in list(batch.items())[:MAX_COLUMNS]:
            numeric = values.dtype.kind in "fiu"
            self._columns[name] = _Learned(roles.get(name, "feature"), numeric)
        limit = max(SAMPLE, self.config.least_rows) if len(self._columns) <= 40 else SAMPLE // 4
        self._sample = RowSample(len(self._columns), limit)
        self._first = self._last = now


def published(profile: Profile, path: str | Path) -> Profile:
    """The profile in that file, which is this one unless another replica was first.

    The file appears whole or not at all, and is never replaced. Raises OSError, and ProfileError if what is there is
    no profile.
    """
    target = Path(path)
    if not target.exists():
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f"{target.name}.", suffix=".part") as part:
            part.write(profile.to_json().encode())
            part.flush()
            os.fsync(part.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(part.name, target)
    return load(target)
