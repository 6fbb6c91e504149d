"""Two GPUs that are not there: what the driver of tests/collect/nvml is told, after the streams that are in hand.

It is a stand-in: the real binding reads it as it reads NVIDIA's library, but its figures are made up here.
"""

import asyncio
import math
import random
import time
from collections.abc import Mapping
from pathlib import Path

from tests.collect import nvml

STEP_SECONDS = 2.0
# Power that one device draws idle and at most, in watts.
IDLE, MOST = 110, 690
XID_AFTER_SECONDS = 150.0
POWER_CAP = 4


def environment(folder: Path) -> Mapping[str, str]:
    """What a process needs so that it finds the devices."""
    library = nvml.compiled().parent
    return {"LD_LIBRARY_PATH": str(library), "FAKE_NVML": str(folder / "driver.txt")}


async def play(folder: Path) -> None:
    """Load that comes and goes, heat and power after it, an XID once."""
    control, began, chance = nvml.Control(folder / "driver.txt"), time.monotonic(), random.Random(1)
    heat, energy = [48.0, 46.0], [0.0, 0.0]
    moved = [0.0, 0.0]
    while True:
        passed = time.monotonic() - began
        lines: list[str] = []
        for device in (0, 1):
            wave = 0.55 + 0.35 * math.sin(passed / (45 + 20 * device) + device)
            busy = min(1.0, max(0.0, wave + chance.gauss(0, 0.05)))
            watts = IDLE + (MOST - IDLE) * busy
            heat[device] += (42 + 40 * busy - heat[device]) * 0.08
            energy[device] += watts * 1000 * STEP_SECONDS
            moved[device] += busy * 3e9 * STEP_SECONDS
            told = {
                **{"busy": busy * 100, "moving": busy * 55, "used": 9000 + 2500 * device + 1500 * busy},
                **{"degrees": heat[device], "milliwatts": watts * 1000, "energy": energy[device]},
                **{"links": moved[device], "process": 8200 + 1200 * busy},
            }
            lines += [f"{key}.{device}={int(value)}" for key, value in told.items()]
            if device == 0:
                lines.append(f"throttle={POWER_CAP if busy > 0.8 else 0}")
        if passed > XID_AFTER_SECONDS:
            lines.append("xid=1.31.1")
        control.say(*lines)
        await asyncio.sleep(STEP_SECONDS)
