"""Sketches: what a first pass over rows remembers in bounded memory, exact as long as that suffices.

Refuses to know columns and files. Invariants: the same rows in the same order give the same state, on every machine
and however they are cut into chunks; memory does not depend on how many rows came. Errors beyond the bounds are in
each docstring.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from exporter.stats.bins import FloatArray

Hashes = NDArray[np.uint64]

DISTINCT_EXACT = 16_384
HITTERS = 4_096
SAMPLE_ROWS = 1_000_000
SAMPLE_CELLS = 4_000_000  # 32 MB; up to 64 MB while it fills
LEAST_SAMPLE = 10_000
_SEED = 20262


def hash_numbers(values: FloatArray) -> Hashes:
    """64-bit hashes of float64 values; -0.0 is 0.0, every NaN the same. SplitMix64 (Steele, Lea and Flood, 2014)."""
    plain = np.where(np.isnan(values), np.nan, values) + 0.0
    return mixed(plain.view(np.uint64))


def hash_texts(cells: Iterable[str | None]) -> Hashes:
    """64-bit hashes of texts; None is a value of its own."""
    listed = list(cells)
    known = {cell: _text_hash(cell) for cell in set(listed)}
    return np.array([known[cell] for cell in listed], np.uint64)


def mixed(words: Hashes) -> Hashes:
    """Each word through SplitMix64's finaliser: neighbours end far apart."""
    x = words + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _text_hash(cell: str | None) -> int:
    if cell is None:
        return 0
    return int.from_bytes(hashlib.blake2b(cell.encode("utf-8", "replace"), digest_size=8).digest(), "little")


class Distinct:
    """How many different values there are: the smallest hashes with their counts.

    Exact while there are at most `size`. Beyond: (k - 1) / (k-th smallest hash as a share of all), standard error
    1 / sqrt(k - 2), 0.8 % for 16,384; but the number of rows, exactly, if no kept hash came twice. Source:
    Bar-Yossef et al., "Counting distinct elements in a data stream" (2002).
    """

    def __init__(self, size: int = DISTINCT_EXACT) -> None:
        self._size = size
        self._hashes: Hashes = np.zeros(0, np.uint64)
        self._counts = np.zeros(0, np.int64)
        self._cut = False
        self._rows = 0

    def update(self, hashes: Hashes) -> None:
        """Add a hash per row."""
        self._rows += len(hashes)
        if self._cut:
            hashes = hashes[hashes <= self._hashes[-1]]
        new, counts = np.unique(hashes, return_counts=True)
        both, places = np.unique(np.concatenate((self._hashes, new)), return_inverse=True)
        weights = np.concatenate((self._counts, counts))
        summed = np.bincount(places, weights, minlength=len(both)).astype(np.int64)
        self._cut = self._cut or len(both) > self._size
        self._hashes, self._counts = both[: self._size], summed[: self._size]

    @property
    def exact(self) -> bool:
        """Whether all hashes were kept."""
        return not self._cut

    @property
    def count(self) -> int:
        """Different values."""
        if not self._cut:
            return len(self._hashes)
        if int(self._counts.sum()) == len(self._counts):
            return self._rows
        share = (float(self._hashes[-1]) + 1.0) / 2.0**64
        return min(self._rows, round((len(self._hashes) - 1) / share))


class Hitters:
    """The most frequent texts with their counts, at most `size` of them.

    Exact while there are at most `size` different ones. Beyond, every text with more than rows / size rows is kept;
    counts are then too low by at most that. Source: Misra and Gries, "Finding repeated elements" (1982), in the
    mergeable form of Agarwal et al. (2012).
    """

    def __init__(self, size: int = HITTERS) -> None:
        self._size = size
        self.counts: Counter[str] = Counter()
        self.exact = True

    def update(self, times: Mapping[str, int]) -> None:
        """Add counts of texts."""
        self.counts.update(times)
        if len(self.counts) <= self._size:
            return
        self.exact = False
        floor = sorted(self.counts.values(), reverse=True)[self._size]
        self.counts = Counter({text: n - floor for text, n in self.counts.items() if n > floor})


class RowSample:
    """A uniform sample of rows, without replacement, in their order; all rows while they are at most `limit`.

    The standard error of a quantile's rank is at most 0.5 / sqrt(limit). Each row draws a key, and the smallest keys
    stay, so that chunks do not matter.
    """

    def __init__(self, columns: int, limit: int | None = None) -> None:
        room = max(LEAST_SAMPLE, SAMPLE_CELLS // max(1, columns))
        self.limit = min(SAMPLE_ROWS, room) if limit is None else limit
        self.rows = 0
        self.columns = columns
        self._random = np.random.Generator(np.random.PCG64(_SEED))
        self._table = np.zeros((min(1024, 2 * self.limit), columns))
        self._keys = np.zeros(len(self._table))
        self._filled = 0

    @property
    def exact(self) -> bool:
        """Whether the sample is all rows."""
        return self.rows <= self.limit

    def update(self, table: FloatArray) -> None:
        """Add rows, shape (rows, columns)."""
        keys = self._random.random(len(table))
        self.rows += len(table)
        for start in range(0, len(table), self.limit):
            self._append(table[start : start + self.limit], keys[start : start + self.limit])

    def table(self) -> FloatArray:
        """The sample, shape (rows, columns)."""
        self._shrink()
        return self._table[: self._filled]

    def _append(self, table: FloatArray, keys: FloatArray) -> None:
        if self._filled + len(table) > 2 * self.limit:
            self._shrink()
        end = self._filled + len(table)
        while end > len(self._table):
            more = min(max(len(self._table), 1), 2 * self.limit - len(self._table))
            self._table = np.concatenate((self._table, np.zeros((more, self._table.shape[1]))))
            self._keys = np.concatenate((self._keys, np.zeros(more)))
        self._table[self._filled : end] = table
        self._keys[self._filled : end] = keys
        self._filled = end

    def _shrink(self) -> None:
        if self._filled <= self.limit:
            return
        chosen = np.sort(np.argpartition(self._keys[: self._filled], self.limit)[: self.limit])
        self._table[: self.limit] = self._table[chosen]
        self._keys[: self.limit] = self._keys[chosen]
        self._filled = self.limit
