"""Every row of the fault matrix is run against the real sidecar, or explained."""

import asyncio

import pytest

from tests.faults.framings import ALL
from tests.faults.matrix import MATRIX, Row
from tests.faults.place import Places
from tests.faults.scale import SCALE

NUMBERS = range(1, 37)
PLAYED = [row for row in MATRIX if row.play is not None]


def test_every_row_is_run_or_explained() -> None:
    """No number of the matrix is missing, and what is not run says why."""
    assert [row.number for row in MATRIX] == sorted(row.number for row in MATRIX)
    assert {row.number for row in MATRIX} == set(NUMBERS)
    assert all(row.play is not None or row.reason for row in MATRIX)


def test_every_framing_is_run() -> None:
    """Each way to frame a body takes part in most of the rows that have framings at all."""
    framed = [row for row in PLAYED if row.framings]
    for framing in ALL:
        assert 2 * sum(framing in row.framings for row in framed) >= len(framed)


@pytest.mark.parametrize("row", PLAYED, ids=lambda row: f"{row.number} {row.title}")
async def test_row(places: Places, row: Row) -> None:
    """The invariants hold and the ledger is exact while the fault lasts and after it."""
    assert row.play is not None
    async with asyncio.timeout(60 + 50 * SCALE):
        await row.play(places, row.framings)
