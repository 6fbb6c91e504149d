"""GPUs through NVML: utilisation, memory, temperature, power, energy, by device.

Knows nothing of which process uses a device. A device or a field that does not answer is absent; nothing
here ends anything. Calls into a driver may block: whoever collects does so in a thread.
"""

import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import psutil

from exporter.collect.contract import Unavailable, World, grouped
from exporter.records.sample import Sample

# Where there is no driver, every attempt to load it searches the file system.
RETRY_SECONDS = 60.0
MAX_LABEL = 128


def load_nvml() -> Any:
    """The NVML binding (package nvidia-ml-py); ImportError where it is not installed."""
    return importlib.import_module("pynvml")


def build(world: World) -> "GpuCollector":
    """The collector of all devices that this world's driver shows."""
    return GpuCollector(world.nvml)


# A failed call raises the binding's NVMLError. Binding and handle -> value in the family's unit.
_Read = Callable[[Any, Any], float]
_FIELDS: tuple[tuple[str, _Read], ...] = (
    ("hw.gpu.utilization", lambda nvml, device: nvml.nvmlDeviceGetUtilizationRates(device).gpu / 100),
    ("hw.gpu.memory.usage", lambda nvml, device: nvml.nvmlDeviceGetMemoryInfo(device).used),
    ("hw.gpu.memory.limit", lambda nvml, device: nvml.nvmlDeviceGetMemoryInfo(device).total),
    (
        "hw.temperature",
        lambda nvml, device: nvml.nvmlDeviceGetTemperature(device, nvml.NVML_TEMPERATURE_GPU),
    ),
    ("hw.power", lambda nvml, device: nvml.nvmlDeviceGetPowerUsage(device) / 1000),  # mW
    ("hw.energy", lambda nvml, device: nvml.nvmlDeviceGetTotalEnergyConsumption(device) / 1000),  # mJ
)


class GpuCollector:
    """Samples of `hw.*` for each device. `load` gives the binding; called again after a driver was lost.

    Unavailable: no binding, no driver, no device. The error of a driver that did answer before is raised.
    """

    name = "gpu"

    def __init__(self, load: Callable[[], Any], boot_time: Callable[[], float] = psutil.boot_time) -> None:
        self._load = load
        self._boot_time = boot_time
        self._lock = threading.Lock()
        self._nvml: Any = None
        self._retry_at = float("-inf")
        self._why = ""
        # Energy by device: the last value, and since when it counts.
        self._energy: dict[str, tuple[float, float]] = {}

    def collect(self, now: float) -> Iterator[Sample]:
        """Samples as of `now`, unix seconds. From any thread."""
        with self._lock:
            nvml = self._started(now)
            try:
                samples = list(self._samples(nvml, nvml.nvmlDeviceGetCount(), now))
            except nvml.NVMLError:
                # The driver itself is gone (unloaded, updated): handles and library state are worthless.
                self._stop()
                raise
        if not samples:
            raise Unavailable("no GPU answers")
        yield from grouped(samples)

    def close(self) -> None:
        """Let the driver go; safe twice."""
        with self._lock:
            self._stop()

    def _started(self, now: float) -> Any:
        if self._nvml is not None:
            return self._nvml
        if now < self._retry_at <= now + RETRY_SECONDS:
            raise Unavailable(self._why)
        self._retry_at = now + RETRY_SECONDS
        try:
            nvml = self._load()
        except ImportError as error:
            self._why = "the package nvidia-ml-py is not installed"
            raise Unavailable(self._why) from error
        try:
            nvml.nvmlInit()
        except nvml.NVMLError as error:
            self._why = f"NVML does not start: {error}"
            raise Unavailable(self._why) from error
        self._nvml = nvml
        return nvml

    def _stop(self) -> None:
        nvml, self._nvml = self._nvml, None
        if nvml is not None:
            with suppress(nvml.NVMLError):  # a lost driver cannot say goodbye
                nvml.nvmlShutdown()

    def _samples(self, nvml: Any, count: int, now: float) -> Iterator[Sample]:
        for index in range(count):
            try:
                device = nvml.nvmlDeviceGetHandleByIndex(index)
                labels = (_text(nvml.nvmlDeviceGetUUID(device)), _text(nvml.nvmlDeviceGetName(device)))
            except nvml.NVMLError:
                continue  # lost, or not ours to see
            for family, read in _FIELDS:
                try:
                    value = read(nvml, device)
                except nvml.NVMLError:
                    continue  # not supported by this device, or lost since
                created = self._counted_since(labels[0], value, now) if family == "hw.energy" else 0.0
                yield Sample(family, labels, value, created)

    def _counted_since(self, device: str, value: float, now: float) -> float:
        """When the energy was 0: before the driver was loaded, or at a reset that was seen."""
        last, since = self._energy.get(device, (0.0, 0.0))
        if value < last:
            since = now
        self._energy[device] = (value, since or self._boot_time())
        return self._energy[device][1]


def _text(value: str | bytes) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return text[:MAX_LABEL]
