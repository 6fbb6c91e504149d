"""Ledger: the counters of a store that many processes share, as the numbers that one transaction moves.

Knows the names that are kept, and that `pending` follows from the others: a number that is not kept cannot disagree.
"""

from collections.abc import Mapping
from typing import Final

from exporter.pending.contract import Counts
from exporter.pending.row import ROW_BYTES

# `rows` and `keys` that are held, joined ones included; the others are fields of Counts.
KEPT: Final = (
    *("predictions", "joined", "expired", "evicted", "repeated", "parked", "released"),
    *("refused_labels", "refused_cells", "rows", "keys"),
)


def counts_of(kept: Mapping[str, int], key_cost: int) -> Counts:
    """What the kept numbers say; `key_cost` is what a key takes beside its rows."""
    fields = {name: kept.get(name, 0) for name in KEPT}
    rows, keys = fields.pop("rows"), fields.pop("keys")
    pending = fields["predictions"] - fields["joined"] - fields["expired"] - fields["evicted"]
    return Counts(**fields, pending=pending, held_bytes=keys * key_cost + rows * ROW_BYTES)
