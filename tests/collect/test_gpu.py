"""GPUs by NVML: a driver of C below the real binding, that divides, loses, refuses, hangs and is too old."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any

import pynvml
import pytest

from exporter.collect import run
from exporter.collect.background import Background, Hung
from exporter.collect.contract import Unavailable
from exporter.collect.gpu import GpuCollector
from exporter.collect.gpu_devices import MAX_PROCESSES, REASONS, RETRY_SECONDS, Devices
from exporter.collect.gpu_nvml import Nvml, load_nvml
from exporter.collect.gpu_xids import EXPECTED
from exporter.records.catalogue import CATALOGUE, metric
from exporter.records.sample import Sample
from tests.collect import nvml
from tests.collect.nvml import Control

NOW = 2_000_000_000.0
BOOT = 1000.0
ONE, TWO = (f"GPU-00000000-0000-0000-0000-00000000000{index}" for index in range(2))
# Given only where the driver has no counter for it, and by no device that is whole.
ELSEWHERE = {"hw.gpu.pcie.throughput"}
PATIENCE = 30.0


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    """A driver with two devices."""
    with nvml.driver(tmp_path) as control:
        yield control
        control.say()


@pytest.fixture
def gpu(control: Control) -> Iterator[GpuCollector]:
    """Waits for every answer, so that each collection has its own."""
    collector = made()
    yield collector
    control.say()
    until(lambda: collector._background.idle)
    collector.close()


def made(background: Background[list[Sample]] | None = None) -> GpuCollector:
    devices = Devices(Nvml(load_nvml), lambda: BOOT)
    return GpuCollector("gpu", devices, background or Background("gpu", wait=PATIENCE, hung=PATIENCE))


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.01)
    return found


def values(gpu: GpuCollector, now: float = NOW) -> dict[tuple[str, ...], Any]:
    """By family, id of the unit, and the labels after name and parent."""
    return {(each.name, each.labels[0], *each.labels[3:]): each.value for each in gpu.collect(now)}


def refused(gpu: GpuCollector) -> dict[str, Any]:
    """By reason; the thread of the events may meet with the same ones, sooner or later."""
    return {reason: count for reason, count in gpu._devices._refused.items() if count}


def told(gpu: GpuCollector) -> set[str]:
    found = [each for each in gpu.samples() if each.name == "modeltap.gpu.refusals"]
    assert len(found) == len(REASONS)
    return {each.labels[1] for each in found if each.value}


def test_every_family(gpu: GpuCollector) -> None:
    """Each family is given for each device, in its unit, with its labels, families together."""
    # The XIDs are watched by a thread that is a little later.
    until(lambda: any(each.name == "hw.gpu.xid.errors" for each in gpu.collect(NOW)))
    samples = list(gpu.collect(NOW))
    runs = [name for name, _ in groupby(each.name for each in samples)]
    families = {row.name for row in CATALOGUE if row.name.startswith("hw.")}
    assert sorted(runs) == sorted(families - ELSEWHERE)
    assert all(len(each.labels) == len(metric(each.name).labels) for each in samples)
    assert {each.labels[:3] for each in samples} == {(ONE, "NVIDIA H200", ""), (TWO, "NVIDIA H200", "")}
    found = values(gpu)
    expected = {
        ("hw.gpu.info", TWO, "NVIDIA", "570.86.15", "96.00.74", "1651"): 1,
        ("hw.gpu.utilization", TWO, "general"): 0.37,
        ("hw.gpu.utilization", TWO, "encoder"): 0.05,
        ("hw.gpu.utilization", TWO, "decoder"): 0.07,
        ("hw.gpu.memory.activity", TWO): 0.12,
        ("hw.gpu.memory.usage", TWO): 2**30,
        ("hw.gpu.memory.limit", TWO): 2**34,
        ("hw.gpu.process.memory.usage", TWO, "101"): 2**21,
        ("hw.gpu.clock.frequency", TWO, "graphics"): 1980e6,
        ("hw.gpu.clock.frequency", TWO, "sm"): 1979e6,
        ("hw.gpu.clock.frequency", TWO, "memory"): 1978e6,
        ("hw.gpu.clock.frequency", TWO, "video"): 1977e6,
        ("hw.gpu.throttled", TWO, "sw_power_cap"): 1,
        ("hw.gpu.throttled", TWO, "hw_thermal"): 0,
        ("hw.gpu.io", TWO, "nvlink", "receive"): 2**20,
        ("hw.gpu.io", TWO, "nvlink", "transmit"): 2**21,
        ("hw.gpu.io", TWO, "pcie", "receive"): 3000,
        ("hw.gpu.io", TWO, "pcie", "transmit"): 4000,
        ("hw.temperature", TWO, "gpu"): 61,
        ("hw.temperature", TWO, "memory"): 70,
        ("hw.temperature.limit", TWO, "gpu", "high.degraded"): 87,
        ("hw.temperature.limit", TWO, "gpu", "high.critical"): 92,
        ("hw.power", TWO, "gpu"): 412.5,
        ("hw.power.limit", TWO, "gpu"): 700,
        ("hw.energy", TWO, "gpu"): 5,
        ("hw.errors", TWO, "gpu", "corrected"): 3,
        ("hw.errors", TWO, "gpu", "uncorrected"): 0,
        ("hw.status", TWO, "gpu", "ok"): 1,
        ("hw.status", TWO, "gpu", "failed"): 0,
        **{("hw.gpu.xid.errors", TWO, number): 0 for number in EXPECTED},
    }
    assert {key: found.get(key) for key in expected} == expected
    assert all(value == 0 for key, value in found.items() if key[1] == TWO and key not in expected)
    assert refused(gpu) == {}
    assert {each.created for each in samples if each.name in ("hw.energy", "hw.errors")} == {BOOT}


def test_unsupported_is_absent_and_not_counted(gpu: GpuCollector, control: Control) -> None:
    """What a device does not have is absent for that device only, and nobody's fault."""
    control.say("power.0=3", "ecc.0=3", "fields.0=3", "processes_read.0=3", "rows.0=3")
    found = values(gpu)
    assert ("hw.power", ONE, "gpu") not in found
    assert ("hw.power", TWO, "gpu") in found
    assert ("hw.temperature", ONE, "gpu") in found
    assert found["hw.status", ONE, "gpu", "ok"] == 1
    assert refused(gpu) == {}


def test_permission(gpu: GpuCollector, control: Control) -> None:
    """What may not be read is absent and counted; a device that may not be opened is not lost."""
    values(gpu)
    control.say("power.0=4", "handle.1=4")
    found = values(gpu)
    assert ("hw.power", ONE, "gpu") not in found
    assert {key[1] for key in found if key[0] != "hw.gpu.xid.errors"} == {ONE}
    assert refused(gpu) == {"permission": 2}
    assert told(gpu) == {"permission"}


def test_other_errors(gpu: GpuCollector, control: Control) -> None:
    """An error that says nothing takes its value away, and is counted."""
    control.say("utilization=999")
    assert ("hw.gpu.utilization", ONE, "general") not in values(gpu)
    assert refused(gpu) == {"failed": 2}


def test_driver_too_old(tmp_path: Path) -> None:
    """Older forms of a call stand in for what a driver lacks, PCIe is sampled; the rest is counted, not fatal."""
    with nvml.driver(tmp_path, old=True) as control:
        gpu = made()
        found = values(gpu)
        assert found["hw.gpu.throttled", ONE, "sw_power_cap"] == 1
        assert found["hw.gpu.process.memory.usage", ONE, "101"] == 2**21
        assert found["hw.gpu.pcie.throughput", ONE, "receive"] == 2_000_000
        assert found["hw.gpu.pcie.throughput", ONE, "transmit"] == 1_000_000
        assert ("hw.gpu.io", ONE, "pcie", "receive") not in found
        assert refused(gpu) == {}
        control.say("encoder=13")
        assert ("hw.gpu.utilization", ONE, "encoder") not in values(gpu)
        assert refused(gpu) == {"too_old": 2}
        gpu.close()


@pytest.mark.parametrize("how", ["lost=0", "handle.0=15", "temperature.0=15", "power.0=16", "devices=1"])
def test_device_lost_in_flight(
    gpu: GpuCollector, control: Control, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A lost device leaves its state and its XIDs behind and nothing else; the other goes on; logged once."""
    gone = TWO if how == "devices=1" else ONE
    until(lambda: ("hw.gpu.xid.errors", gone, "79") in values(gpu))
    control.say(how)
    caplog.clear()
    for later in (1, 2, 3):
        found = values(gpu, NOW + later)
        assert {key[0] for key in found if key[1] == gone} == {"hw.status", "hw.gpu.xid.errors"}
        assert found["hw.status", gone, "gpu", "failed"] == 1
        assert found["hw.status", gone, "gpu", "ok"] == 0
        assert ("hw.power", TWO if gone == ONE else ONE, "gpu") in found
    assert [record.message.split()[1] for record in caplog.records] == [gone]
    assert set(refused(gpu)) <= {"lost", "failed"}


def test_lost_device_comes_back(
    gpu: GpuCollector, control: Control, caplog: pytest.LogCaptureFixture
) -> None:
    """The driver is started anew now and then while a device is lost, and so sees it when it is back."""
    caplog.set_level(logging.INFO)
    values(gpu)
    control.say("lost=0")
    values(gpu, NOW + 1)
    control.say()
    found = values(gpu, NOW + RETRY_SECONDS)
    assert found["hw.status", ONE, "gpu", "ok"] == 1
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_all_devices_lost(gpu: GpuCollector, control: Control) -> None:
    """Their states are told all the same."""
    values(gpu)
    control.say("devices=0")
    found = values(gpu)
    assert found["hw.status", ONE, "gpu", "failed"] == found["hw.status", TWO, "gpu", "failed"] == 1


@pytest.mark.parametrize(("pending", "state"), [(0, "ok"), (1, "degraded"), (2, "predicted_failure")])
def test_state_follows_the_remapped_rows(
    gpu: GpuCollector, control: Control, pending: int, state: str
) -> None:
    """A row that waits for a reset degrades a device, one that could not be remapped foretells its end."""
    control.say(f"pending={pending}")
    found = {key[-1]: value for key, value in values(gpu).items() if key[:2] == ("hw.status", ONE)}
    assert found == dict.fromkeys(("ok", "degraded", "predicted_failure", "failed"), 0) | {state: 1}


def test_instances(gpu: GpuCollector, control: Control) -> None:
    """Each instance has memory and processes of its own, named and under its device, which tells no processes."""
    control.say("mig=3")
    samples = list(gpu.collect(NOW))
    parts = {each.labels[:3] for each in samples if each.labels[2]}
    ids = [f"MIG-00000000-0000-0000-0000-00000000000{place}" for place in range(3)]
    assert parts == {(name, "NVIDIA H200 MIG 1g.18gb", ONE) for name in ids}
    found = values(gpu)
    assert [found["hw.gpu.memory.usage", name] for name in ids] == [2**28] * 3
    assert [found["hw.gpu.process.memory.usage", name, "101"] for name in ids] == [n << 20 for n in (3, 4, 5)]
    assert ("hw.gpu.process.memory.usage", ONE, "101") not in found
    assert ("hw.gpu.process.memory.usage", TWO, "101") in found
    assert ("hw.gpu.utilization", ONE, "general") not in found  # a divided device does not tell
    assert found["hw.gpu.memory.usage", ONE] == 2**30
    assert refused(gpu) == {}


def test_processes_are_bounded(gpu: GpuCollector, control: Control) -> None:
    """Beyond the bound the smallest are one series; a process in both lists counts once."""
    control.say("processes=40")
    found = {
        key[2]: value for key, value in values(gpu).items() if key[:2] == ("hw.gpu.process.memory.usage", ONE)
    }
    assert len(found) == MAX_PROCESSES + 1
    assert sum(found.values()) == sum(at + 1 for at in range(1, 40)) << 20
    assert found["139"] == 40 << 20


def test_units_are_bounded(gpu: GpuCollector, control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices and instances beyond the bound are left out and counted."""
    monkeypatch.setattr("exporter.collect.gpu_devices.MAX_UNITS", 3)
    control.say("mig=3")
    found = values(gpu)
    assert len({key[1] for key in found if key[0] == "hw.gpu.memory.usage"}) == 3
    assert refused(gpu) == {"too_many": 2}


def test_counters_that_start_again(gpu: GpuCollector, control: Control) -> None:
    """A counter that starts again from 0 (a driver loaded anew) has a new start time, kept from then on."""
    values(gpu)
    for later, energy in ((1, 1000), (2, 1500)):
        control.say(f"energy={energy}")
        (found, _) = [each for each in gpu.collect(NOW + later) if each.name == "hw.energy"]
        assert (found.value, found.created) == (energy / 1000, NOW + 1)


def test_xids(gpu: GpuCollector, control: Control) -> None:
    """Each event is counted for its device and number; one that nobody expected is counted as well."""
    until(lambda: ("hw.gpu.xid.errors", ONE, "79") in values(gpu))
    for turn, (device, number) in enumerate(((0, 79), (0, 79), (1, 150)), start=1):
        control.say(f"xid={device}.{number}.{turn}")
        wanted = min(turn, 2) if device == 0 else 1
        until(lambda: values(gpu).get(("hw.gpu.xid.errors", (ONE, TWO)[device], str(number))) == wanted)  # noqa: B023
    found = {key[1:]: value for key, value in values(gpu).items() if key[0] == "hw.gpu.xid.errors" and value}
    assert found == {(ONE, "79"): 2, (TWO, "150"): 1}


def test_xids_of_a_lost_device_stay(gpu: GpuCollector, control: Control) -> None:
    """A device that falls off the bus tells so as it goes: the count is shown although the device is not."""
    until(lambda: ("hw.gpu.xid.errors", ONE, "79") in values(gpu))
    control.say("lost=0", "xid=0.79.1")
    until(lambda: values(gpu)["hw.gpu.xid.errors", ONE, "79"] == 1)
    assert ("hw.power", ONE, "gpu") not in values(gpu)


@pytest.mark.parametrize(
    ("how", "reason"), [("register=3", ""), ("register=4", "permission"), ("events=999", "failed")]
)
def test_no_events(gpu: GpuCollector, control: Control, how: str, reason: str) -> None:
    """A device without events has no XIDs, and all else; that they may not be watched is counted."""
    control.say(how)
    assert ("hw.power", ONE, "gpu") in values(gpu)
    if reason:
        until(lambda: reason in told(gpu))
    found = values(gpu)
    assert not any(key[0] == "hw.gpu.xid.errors" for key in found)
    assert told(gpu) == {reason} - {""}


def test_no_device(gpu: GpuCollector, control: Control) -> None:
    """A driver without devices has nothing to collect."""
    control.say("devices=0")
    with pytest.raises(Unavailable):
        values(gpu)


def test_no_driver_is_quiet_and_asked_rarely(gpu: GpuCollector, control: Control) -> None:
    """Without a driver it is unavailable; a driver that comes later is found after the retry interval."""
    control.say("init=9")
    with pytest.raises(Unavailable):
        values(gpu)
    control.say()
    with pytest.raises(Unavailable):
        values(gpu, NOW + 1)
    assert values(gpu, NOW + RETRY_SECONDS)
    assert refused(gpu) == {}


def test_driver_lost(gpu: GpuCollector, control: Control) -> None:
    """A driver that was there and is gone is a failure until it is back, and counted."""
    values(gpu)
    control.say("gone")
    with pytest.raises(pynvml.NVMLError):
        values(gpu, NOW + 1)
    with pytest.raises(RuntimeError, match="Driver Not Loaded"):
        values(gpu, NOW + 2)
    control.say()
    assert values(gpu, NOW + 3)
    assert refused(gpu) == {"driver": 2}


def test_close(gpu: GpuCollector) -> None:
    """The driver is let go once, also when closed twice or never started; it starts again when asked."""
    gpu.close()
    values(gpu)
    gpu.close()
    gpu.close()
    with pytest.raises(pynvml.NVMLError):
        pynvml.nvmlDeviceGetCount()
    assert values(gpu)


def test_hung_driver(control: Control, caplog: pytest.LogCaptureFixture) -> None:
    """It is not waited for, never asked twice at once, counted once, logged once a change; nothing old is shown."""
    caplog.set_level(logging.INFO)
    clock = [0.0]
    gpu = made(Background("gpu", wait=0.05, hung=10.0, monotonic=lambda: clock[0]))
    states: dict[str, Any] = {}

    def collected() -> set[str]:
        return {each.name for each in run((gpu,), NOW + clock[0], states)}

    until(lambda: "hw.power" in collected())
    control.say("hang=power")
    caplog.clear()
    until(lambda: "hw.power" not in collected())
    for clock[0] in (5.0, 10.0):
        assert collected() == set()  # under way
    for clock[0] in (15.0, 20.0, 25.0):
        assert collected() == {"modeltap.collector.duration", "modeltap.collector.success"}
    assert [each.value for each in gpu.samples() if each.name == "modeltap.gpu.hangs"] == [1]
    control.say()
    until(lambda: gpu._background.idle)
    until(lambda: "hw.power" in collected())
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
    assert isinstance(caplog.records[0].exc_info[1], Hung)  # type: ignore[index]
    gpu.close()


def test_binding_not_installed() -> None:
    """Without the binding it is unavailable."""

    def missing() -> Any:
        raise ImportError

    with pytest.raises(Unavailable):
        list(GpuCollector("gpu", Devices(Nvml(missing))).collect(NOW))


def test_real_driver() -> None:
    """The machine's own driver gives samples, or there is none."""
    gpu = made()
    with suppress(Unavailable):
        assert values(gpu)
    gpu.close()
