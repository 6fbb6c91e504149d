"""Receipts put together: rows of requests for callers to pick up as signed tokens, and labels that come back with one.

Everything here is on the loop of the analysis. Bounded: the latest so many rows can be picked up, and so many that came
back are remembered. Invariant: the store is asked first; where it has the rows, or a label of them, a receipt counts
nothing of its own.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np

from exporter.pending.contract import DAY_SECONDS, Label, Limits, Rows, Taken
from exporter.pending.receipt import MAX_ROWS, REFUSALS, BadKeys, Given, Receipts, Refused, read_keys
from exporter.pending.row import DIGEST_BYTES, ROW, key, request_digest, split
from exporter.records.feedback import Feedback
from exporter.records.sample import Sample
from exporter.settings.config import Config

log = logging.getLogger("modeltap.labels")
_RECENT_ROWS: Final = 50_000
_REMEMBERED_ROWS: Final = 100_000
# Why a receipt is refused, with what was expected instead.
EXPECTED: Final = {
    "no_receipts": "--label-receipts, without which no receipt is known here",
    "receipt_malformed": "a receipt as it was handed out",
    "receipt_unknown_key": "a receipt signed with a key of --label-receipts",
    "receipt_forged": "a receipt as it was handed out",
    "receipt_expired": "a receipt of a prediction no older than --label-age",
}
# Of what the store says: it has no such rows. Not `lost`: what it hands out late counts still.
_NOT_THERE: Final = ("parked", "full")
_COUNTED: Final = ("joined", "duplicate", "stale", "corrected")
Offer = Callable[[Rows, float], bool]


def desk_of(config: Config) -> "Desk | None":
    """What the configuration wants; None for nothing, and for a file that became useless after the start."""
    if not config.label_receipts:
        return None
    limits = Limits(rows=_REMEMBERED_ROWS, age_seconds=config.label_age * DAY_SECONDS)
    try:
        return Desk(Receipts(read_keys(config.label_receipts), limits))
    except (BadKeys, OSError) as error:
        log.error("no receipts: %s", error)
        return None


class Desk:
    """`before` a store it sees rows, `token` is picked up, `key` and `redeemed` are of labels that come back."""

    def __init__(self, receipts: Receipts) -> None:
        self._receipts = receipts
        self._recent: OrderedDict[bytes, list[bytes]] = OrderedDict()
        self._rows = 0
        self._unknown = 0

    def before(self, offer: Offer) -> Offer:
        """The same, of which what was taken can be picked up."""

        def offered(rows: Rows, now: float) -> bool:
            kept = offer(rows, now)
            if kept:
                self._keep(rows)
            return kept

        return offered

    def _keep(self, rows: Rows) -> None:
        for name, row in zip(rows.keys, split(rows.values), strict=True):
            listed = self._recent.setdefault(name[:DIGEST_BYTES], [])
            if len(listed) <= MAX_ROWS:  # one more than fits: so that it is known as too large
                listed.append(row)
                self._rows += 1
        while self._rows > _RECENT_ROWS:
            _, gone = self._recent.popitem(last=False)
            self._rows -= len(gone)

    def token(self, identity: str, output: str = "") -> str | None:
        """The receipt of a request; None if it is not among the latest ones, or has too many rows."""
        digest = request_digest(output, identity)
        listed = self._recent.get(digest)
        if listed is None:
            self._unknown += 1
            return None
        return self._receipts.issue(digest, np.frombuffer(b"".join(listed), ROW))

    # ---------------------------------------------------------------- labels

    def key(self, one: Feedback, now: float) -> bytes | str:
        """The key of the row that a label is of; why the receipt is refused."""
        try:
            rows = self._receipts.open(one.receipt, now)
        except Refused as refusal:
            return f"receipt_{refusal.reason}"
        name = key(rows.keys[0][:DIGEST_BYTES], one.row)
        return name if name in rows.keys else "unknown"

    def redeemed(
        self, given: Sequence[Feedback], labels: Sequence[Label], taken: Sequence[Taken], now: float
    ) -> list[Taken]:
        """What became of labels, those with a receipt of whose rows the store knows nothing included."""
        return [
            self._redeemed(one, label, found, now) if one.receipt and found.outcome in _NOT_THERE else found
            for one, label, found in zip(given, labels, taken, strict=True)
        ]

    def _redeemed(self, one: Feedback, label: Label, found: Taken, now: float) -> Taken:
        try:
            (own,) = self._receipts.redeem(one.receipt, [Given(one.row, label.value, label.time)], now)
        except Refused:
            return found  # it expired in the meantime
        return own if own.outcome in _COUNTED else found

    def samples(self, created: float) -> Iterator[Sample]:
        """Receipts by what became of them."""
        own = self._receipts
        counts = {"issued": own.issued, "too_large": own.too_large, "not_recent": self._unknown}
        counts |= {"joined": own.redeemed, "duplicate": own.replayed}
        counts |= {reason: own.refused[reason] for reason in REFUSALS}
        for outcome, count in counts.items():
            yield Sample("modeltap.label_receipts", (outcome,), count, created)
