"""Sampling: which requests' rows are kept where there are too many, by a hash of the key: the same on every replica.

All rows of a request are kept or none, so a ranking stays whole. What a lower rate keeps, a higher one keeps too, so
rows that wait still join after the rate was changed. A label of a key that is not kept is known as one at once.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from exporter.pending.contract import Rows
from exporter.pending.row import KEY_BYTES

# Eight bytes of the request's digest, but for those by which stores spread their keys.
_HASH: Final = slice(3, 11)
_KEY: Final = np.dtype({"names": ["hash"], "formats": ["<u8"], "offsets": [3], "itemsize": KEY_BYTES})


class Sampler:
    """`rate` from 0 to 1; `sampled_out` counts rows. Predictions seen = `Counts.predictions` + it, repeats apart."""

    def __init__(self, rate: float) -> None:
        if not 0 <= rate <= 1:
            raise ValueError(f"{rate} (expected a rate from 0 to 1)")
        self.rate = rate
        self.sampled_out = 0
        self._below = round(rate * 2**64)

    def keeps(self, key: bytes) -> bool:
        """Whether rows under this key are kept."""
        return int.from_bytes(key[_HASH], "little") < self._below

    def rows(self, rows: Rows) -> Rows:
        """Those that are kept; the others are counted."""
        if self.rate == 1 or not rows.keys:
            return rows
        kept = self._kept(rows.keys)
        self.sampled_out += len(rows.keys) - len(kept)
        return Rows([rows.keys[place] for place in kept], rows.values[kept])

    def _kept(self, keys: Sequence[bytes]) -> list[int]:
        hashes = np.frombuffer(b"".join(keys), _KEY)["hash"]
        found: list[int] = np.flatnonzero(hashes < np.uint64(self._below)).tolist()
        return found
