"""Bias: which windows no longer stand for the traffic, because what was large was left out.

Bodies over `capture_bytes` are not kept, so their rows are in no window; and large requests are not like small ones.
Thinning is no bias: it takes whole exchanges whatever their size. Refuses to know processes; `now` is an argument.
"""

import numpy as np

from exporter.stats.rolling import RollingSums

LIMIT = 0.01  # share of all bytes of bodies


class Bias:
    """`see` the totals now and then, ask `biased`."""

    def __init__(self, lengths: tuple[float, ...]) -> None:
        self.lengths = lengths
        self._sums = RollingSums((2,), lengths)
        self._last: tuple[int, int] | None = None

    def see(self, now: float, kept_and_left_out: int, left_out: int) -> None:
        """Bytes of bodies since the data plane began: all, and those of bodies that were too large to be kept.

        What passed before the first call belongs to no window.
        """
        found = kept_and_left_out, left_out
        if self._last is not None:
            self._sums.add(now, np.maximum(np.subtract(found, self._last), 0).astype(np.float64))
        self._last = found

    def biased(self, now: float) -> frozenset[float]:
        """The lengths of the windows of which more than 1 % of the bytes were left out."""
        sums = {length: self._sums.read(now, length).tolist() for length in self.lengths}
        return frozenset(length for length, (total, left) in sums.items() if left > LIMIT * total)
