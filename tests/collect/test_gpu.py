"""GPUs: a fake driver behind the real binding's errors, and the real binding without a driver."""

from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from exporter.collect.contract import Unavailable
from exporter.collect.gpu import RETRY_SECONDS, GpuCollector, load_nvml
from exporter.records.catalogue import CATALOGUE
from exporter.records.sample import Sample

NOW = 2_000_000_000.0


class FakeNvml:
    """A driver with devices; `errors` maps (function, device) to the code that it fails with."""

    NVMLError = pynvml.NVMLError
    NVML_TEMPERATURE_GPU = pynvml.NVML_TEMPERATURE_GPU

    def __init__(self, devices: int = 2) -> None:
        self.devices = devices
        self.errors: dict[tuple[str, int | None], int] = {}
        self.energy = 5_000
        self.starts = 0
        self.stops = 0

    def _check(self, function: str, device: int | None = None) -> None:
        code = self.errors.get((function, device)) or self.errors.get(("*", device))
        if code is not None:
            raise pynvml.NVMLError(code)

    def nvmlInit(self) -> None:
        self._check("init")
        self.starts += 1

    def nvmlShutdown(self) -> None:
        self.stops += 1
        self._check("shutdown")

    def nvmlDeviceGetCount(self) -> int:
        self._check("count")
        return self.devices

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        self._check("handle", index)
        return index

    def nvmlDeviceGetUUID(self, device: int) -> str:
        return f"GPU-{device}"

    def nvmlDeviceGetName(self, device: int) -> bytes:
        return b"NVIDIA H200"  # older bindings answer with bytes

    def nvmlDeviceGetUtilizationRates(self, device: int) -> Any:
        self._check("utilization", device)
        return SimpleNamespace(gpu=37, memory=12)

    def nvmlDeviceGetMemoryInfo(self, device: int) -> Any:
        self._check("memory", device)
        return SimpleNamespace(used=2**30, total=2**34, free=0)

    def nvmlDeviceGetTemperature(self, device: int, sensor: int) -> int:
        self._check("temperature", device)
        return 61

    def nvmlDeviceGetPowerUsage(self, device: int) -> int:
        self._check("power", device)
        return 412_500

    def nvmlDeviceGetTotalEnergyConsumption(self, device: int) -> int:
        self._check("energy", device)
        return self.energy


@pytest.fixture
def nvml() -> FakeNvml:
    """A driver with two devices."""
    return FakeNvml()


def collector(nvml: FakeNvml) -> GpuCollector:
    return GpuCollector(lambda: nvml, lambda: 1000.0)


def values(samples: Any) -> dict[tuple[str, str], Any]:
    found: list[Sample] = list(samples)
    return {(each.name, each.labels[0]): each.value for each in found}


def test_every_family(nvml: FakeNvml) -> None:
    """Each hw.* family of the catalogue is given for each device, in its unit, families together."""
    samples = list(collector(nvml).collect(NOW))
    assert {each.labels for each in samples} == {("GPU-0", "NVIDIA H200"), ("GPU-1", "NVIDIA H200")}
    families = [row.name for row in CATALOGUE if row.name.startswith("hw.")]
    assert [each.name for each in samples] == [name for name in families for _ in range(2)]
    found = values(samples)
    assert found["hw.gpu.utilization", "GPU-1"] == 0.37
    assert found["hw.gpu.memory.usage", "GPU-1"] == 2**30
    assert found["hw.gpu.memory.limit", "GPU-1"] == 2**34
    assert found["hw.temperature", "GPU-1"] == 61
    assert found["hw.power", "GPU-1"] == 412.5
    assert found["hw.energy", "GPU-1"] == 5.0
    assert {each.created for each in samples if each.name == "hw.energy"} == {1000.0}


def test_unsupported_field_is_absent(nvml: FakeNvml) -> None:
    """A field that a device does not support is absent for that device only."""
    nvml.errors["power", 0] = pynvml.NVML_ERROR_NOT_SUPPORTED
    found = values(collector(nvml).collect(NOW))
    assert ("hw.power", "GPU-0") not in found
    assert ("hw.power", "GPU-1") in found
    assert ("hw.temperature", "GPU-0") in found


@pytest.mark.parametrize("function", ["handle", "*"])
def test_device_lost_in_flight(nvml: FakeNvml, function: str) -> None:
    """A device that is lost is absent from then on; the others go on."""
    gpu = collector(nvml)
    assert len(values(gpu.collect(NOW))) == 12
    nvml.errors[function, 0] = pynvml.NVML_ERROR_GPU_IS_LOST
    assert {device for _, device in values(gpu.collect(NOW + 1))} == {"GPU-1"}
    nvml.errors[function, 1] = pynvml.NVML_ERROR_NO_PERMISSION
    with pytest.raises(Unavailable):
        list(gpu.collect(NOW + 2))


def test_no_device(nvml: FakeNvml) -> None:
    """A driver without devices has nothing to collect."""
    nvml.devices = 0
    with pytest.raises(Unavailable):
        list(collector(nvml).collect(NOW))


def test_no_driver_is_quiet_and_asked_rarely(nvml: FakeNvml) -> None:
    """Without a driver it is unavailable; a driver that comes later is found after the retry interval."""
    nvml.errors["init", None] = pynvml.NVML_ERROR_DRIVER_NOT_LOADED
    gpu = collector(nvml)
    with pytest.raises(Unavailable):
        list(gpu.collect(NOW))
    nvml.errors.clear()
    with pytest.raises(Unavailable):
        list(gpu.collect(NOW + 1))
    assert values(gpu.collect(NOW + RETRY_SECONDS))
    assert nvml.starts == 1


def test_driver_lost(nvml: FakeNvml) -> None:
    """A driver that fails as a whole is an error, and is started anew when it is back."""
    gpu = collector(nvml)
    assert values(gpu.collect(NOW))
    nvml.errors = {("count", None): pynvml.NVML_ERROR_UNINITIALIZED, ("shutdown", None): 1}
    with pytest.raises(pynvml.NVMLError):
        list(gpu.collect(NOW + 1))
    nvml.errors.clear()
    assert values(gpu.collect(NOW + RETRY_SECONDS + 1))
    assert (nvml.starts, nvml.stops) == (2, 1)


def test_energy_reset(nvml: FakeNvml) -> None:
    """Energy that starts again from 0 (a driver reloaded) has a new start time, kept from then on."""
    nvml.devices = 1
    gpu = collector(nvml)
    list(gpu.collect(NOW))
    nvml.energy = 1_000
    for later in (1, 2):
        (energy,) = [each for each in gpu.collect(NOW + later) if each.name == "hw.energy"]
        assert (energy.value, energy.created) == (1.0, NOW + 1)
        nvml.energy += 500 if later > 1 else 0


def test_close(nvml: FakeNvml) -> None:
    """The driver is let go once, also when closed twice or never started."""
    gpu = collector(nvml)
    gpu.close()
    list(gpu.collect(NOW))
    gpu.close()
    gpu.close()
    assert nvml.stops == 1


def test_binding_not_installed() -> None:
    """Without the binding it is unavailable."""

    def missing() -> Any:
        raise ImportError

    with pytest.raises(Unavailable):
        list(GpuCollector(missing).collect(NOW))


def test_real_binding() -> None:
    """The real binding has a driver and gives samples, or is unavailable; it has all that is called."""
    with suppress(Unavailable):
        assert values(GpuCollector(load_nvml).collect(NOW))
    called = [name for name in vars(FakeNvml) if name.startswith(("nvml", "NVML"))]
    assert all(hasattr(pynvml, name) for name in called)
