"""AMD's devices: a module that answers as amdsmi does, and the binding where it is not installed."""

import importlib
from typing import Any

import pytest

from exporter.collect.background import Background
from exporter.collect.contract import Unavailable
from exporter.collect.gpu import GpuCollector, met
from exporter.collect.gpu_amd import Amd, load_amdsmi
from exporter.collect.gpu_devices import RETRY_SECONDS, Devices
from exporter.records.catalogue import metric
from tests.collect import amd
from tests.collect.amd import DRIVER_NOT_LOADED, NO_PERM, NOT_FOUND, NOT_SUPPORTED, Amdsmi

NOW = 2_000_000_000.0
ONE, TWO = (f"{number}0ff74a1-0000-1000-80a7-36d3a9d8f1f2" for number in range(2))


@pytest.fixture
def smi() -> Amdsmi:
    """A driver with two devices."""
    return Amdsmi()


def made(smi: Amdsmi) -> GpuCollector:
    return GpuCollector("gpu_amd", Devices(Amd(lambda: smi), lambda: 1000.0), Background("amd", wait=30))


def values(gpu: GpuCollector, now: float = NOW) -> dict[tuple[str, ...], Any]:
    return {(each.name, each.labels[0], *each.labels[3:]): each.value for each in gpu.collect(now)}


def refused(gpu: GpuCollector) -> dict[str, Any]:
    found = {each.labels[-1]: each.value for each in met([gpu]) if each.name == "modeltap.gpu.refusals"}
    return {reason: count for reason, count in found.items() if count}


def test_every_value(smi: Amdsmi) -> None:
    """The same families as NVIDIA's, in their units; what is "N/A" or not supported is absent and not counted."""
    gpu = made(smi)
    assert all(len(each.labels) == len(metric(each.name).labels) for each in gpu.collect(NOW))
    found = {key: value for key, value in values(gpu).items() if key[1] == ONE}
    state = {("hw.status", ONE, "gpu", word): 0 for word in ("degraded", "predicted_failure", "failed")}
    words = ("hw_thermal", "sw_thermal", "regulator_thermal")
    assert found == {
        ("hw.gpu.info", ONE, "AMD", "6.12.12", "022.040.003", "0x7A36D3A9D8F1F200"): 1,
        ("hw.gpu.utilization", ONE, "general"): pytest.approx(0.42),
        ("hw.gpu.memory.activity", ONE): pytest.approx(0.07),
        ("hw.gpu.memory.usage", ONE): 2**31,
        ("hw.gpu.memory.limit", ONE): 192 * 2**30,
        ("hw.gpu.process.memory.usage", ONE, "4242"): 300 << 20,
        ("hw.power", ONE, "gpu"): 550,
        ("hw.energy", ONE, "gpu"): pytest.approx(30.5),
        ("hw.gpu.throttled", ONE, "sw_power_cap"): 1,
        **{("hw.gpu.throttled", ONE, word): 0 for word in words},
        ("hw.errors", ONE, "gpu", "corrected"): 4,
        ("hw.errors", ONE, "gpu", "uncorrected"): 1,
        ("hw.temperature", ONE, "hotspot"): 56,
        ("hw.temperature", ONE, "memory"): 57,
        ("hw.temperature.limit", ONE, "hotspot", "high.degraded"): 101,
        ("hw.temperature.limit", ONE, "hotspot", "high.critical"): 106,
        ("hw.temperature.limit", ONE, "memory", "high.degraded"): 102,
        ("hw.temperature.limit", ONE, "memory", "high.critical"): 107,
        ("hw.gpu.clock.frequency", ONE, "graphics"): 1300e6,
        ("hw.gpu.clock.frequency", ONE, "memory"): 1300e6,
        ("hw.status", ONE, "gpu", "ok"): 1,
        **state,
    }
    assert values(gpu)["hw.power", TWO, "gpu"] == 250  # what an older generation fills
    assert ("hw.gpu.info", TWO, "AMD", "6.12.12", "022.040.003", "") in values(gpu)
    assert refused(gpu) == {}


@pytest.mark.parametrize(
    ("code", "counted"), [(NOT_SUPPORTED, {}), (NO_PERM, {"permission": 1}), (7, {"failed": 1})]
)
def test_refused_value_is_absent(smi: Amdsmi, code: int, counted: dict[str, int]) -> None:
    """For that device only; counted unless the device has no such value."""
    smi.errors["energy_count", 0] = code
    gpu = made(smi)
    found = values(gpu)
    assert ("hw.energy", ONE, "gpu") not in found
    assert ("hw.energy", TWO, "gpu") in found
    assert refused(gpu) == counted


def test_lost_device(smi: Amdsmi) -> None:
    """Its state is all that stays."""
    gpu = made(smi)
    values(gpu)
    smi.errors["*", 0] = NOT_FOUND
    found = values(gpu, NOW + 1)
    assert {key for key, value in found.items() if key[1] == ONE and value} == {
        ("hw.status", ONE, "gpu", "failed")
    }
    assert ("hw.power", TWO, "gpu") in found


def test_no_driver(smi: Amdsmi) -> None:
    """Unavailable while it is not there, asked rarely; let go once."""
    smi.errors["init", None] = DRIVER_NOT_LOADED
    gpu = made(smi)
    with pytest.raises(Unavailable):
        values(gpu)
    smi.errors.clear()
    assert values(gpu, NOW + RETRY_SECONDS)
    gpu.close()
    gpu.close()
    assert smi.started == 0


def test_driver_lost(smi: Amdsmi) -> None:
    """A driver that was there and fails as a whole is a failure until it is back."""
    gpu = made(smi)
    values(gpu)
    smi.errors["get_processor_handles", None] = DRIVER_NOT_LOADED
    with pytest.raises(amd.AmdSmiLibraryException):
        values(gpu, NOW + 1)
    smi.errors.clear()
    assert values(gpu, NOW + 2)
    assert refused(gpu) == {"driver": 1}


@pytest.mark.parametrize(
    "error", [ImportError("no module"), OSError("no library"), KeyError("libamd_smi.so")]
)
def test_no_binding(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unavailable without the package, or without its library, about which the package prints."""

    def fail(name: str) -> None:
        print("Unable to find libamd_smi.so")
        raise error

    monkeypatch.setattr(importlib, "import_module", fail)
    gpu = GpuCollector("gpu_amd", Devices(Amd(load_amdsmi)), Background("amd", wait=30))
    with pytest.raises(Unavailable):
        values(gpu)
    assert capsys.readouterr().out == ""
