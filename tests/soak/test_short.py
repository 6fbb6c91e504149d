"""The soak in its short form: everything that it does, for some seconds, with a fixed seed."""

from pathlib import Path

from tests.soak import faults
from tests.soak.soak import Plan, soak

SECONDS = 6.0
# Taking a stopped process for hung needs longer than this.
TELEMETRY = tuple(fault for fault in faults.TELEMETRY if fault is not faults.hang_analysis)


async def test_nothing_breaks(tmp_path: Path) -> None:
    """Mixed traffic and faults: ledger exact, counters never back, canary served, nothing left, nothing thrown."""
    lines: list[str] = []
    plan = Plan(SECONDS, seed=11, every=2.0, pauses=(0.1, 0.5), telemetry=TELEMETRY)
    broken = await soak(plan, tmp_path, lines.append)
    assert broken == [], "\n".join([*lines, *broken])
    assert sum(" exchanges  0 broken" in line for line in lines) >= 2
    assert any(line.startswith("canary: ") for line in lines)
    assert any(line.startswith("faults: ") for line in lines)
