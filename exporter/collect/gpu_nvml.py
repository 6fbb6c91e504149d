"""NVIDIA's devices and their instances (MIG) through NVML: which call gives which values, and what its errors mean.

Knows no thread but that of the XID events. A call that a driver does not have yet is asked in its older form, where
there is one.
"""

import importlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from exporter.collect.contract import Unavailable
from exporter.collect.gpu_devices import BareSample, Find, Reason, Unit, processes, text
from exporter.collect.gpu_xids import Xids

MEGA, KIBI, KILO = 1_000_000, 1024, 1000
# Reasons why clocks are held down (nvml.h, nvmlClocksEventReasons): an idle device's, and those that somebody set, are
# no throttling.
THROTTLING: Final = (
    ("sw_power_cap", 0x04),
    ("hw_slowdown", 0x08),
    ("sync_boost", 0x10),
    ("sw_thermal", 0x20),
    ("hw_thermal", 0x40),
    ("hw_power_brake", 0x80),
)
# Values of nvmlValueType_t, with the member of the union that holds it.
_MEMBERS = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
_ALL_LINKS = 0xFFFFFFFF


def load_nvml() -> Any:
    """The NVML binding (package nvidia-ml-py); ImportError where it is not installed."""
    return importlib.import_module("pynvml")


class Nvml:
    """A driver for `Devices`. `load` gives the binding; called again after a driver was lost."""

    name = "nvml"
    errors: tuple[type[Exception], ...] = ()

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load
        self._nvml: Any = None
        self._xids = Xids()
        self._reasons: dict[int, Reason] = {}
        self._about: dict[str, tuple[str, str, str]] = {}
        self._version = ""

    def open(self) -> None:
        try:
            nvml = self._load()
        except ImportError as error:
            raise Unavailable("the package nvidia-ml-py is not installed") from error
        try:
            nvml.nvmlInit()
        except nvml.NVMLError as error:
            raise Unavailable(f"NVML does not start: {error}") from error
        self._nvml, self.errors, self._reasons = nvml, (nvml.NVMLError,), _reasons(nvml)
        self._about = {}
        self._version = self._said(nvml.nvmlSystemGetDriverVersion)
        self._xids.watch(nvml)

    def close(self) -> None:
        nvml, self._nvml = self._nvml, None
        # To shut the library down below a thread that waits in it may end the process.
        if nvml is not None and self._xids.stop():
            try:
                nvml.nvmlShutdown()
            except nvml.NVMLError:
                return  # a lost driver cannot say goodbye

    def reason(self, error: Exception) -> Reason:
        return self._reasons.get(getattr(error, "value", 0), "failed")

    def units(self) -> Sequence[Find]:
        return [partial(self._unit, index) for index in range(self._nvml.nvmlDeviceGetCount())]

    def parts(self, unit: Unit) -> Iterable[Find]:
        if not self._divided(unit):
            return ()
        places = range(self._nvml.nvmlDeviceGetMaxMigDeviceCount(unit.handle))
        return [partial(self._part, unit, place) for place in places]

    def reads(self, unit: Unit) -> Iterable[Callable[[], Iterable[BareSample]]]:
        if unit.parent:
            reads = _OF_EVERY
        else:
            # The processes of a divided device are those of its instances.
            reads = (*_OF_DEVICES, *(_OF_EVERY[:1] if self._divided(unit) else _OF_EVERY))
        return [partial(self._described, unit), *(partial(read, self._nvml, unit.handle) for read in reads)]

    def state(self, unit: Unit) -> str:
        _, _, pending, failure = self._nvml.nvmlDeviceGetRemappedRows(unit.handle)
        return "predicted_failure" if failure else "degraded" if pending else "ok"

    def events(self, unit: Unit) -> Iterable[BareSample]:
        return self._xids.of(unit.id)

    def refused(self) -> Counter[Reason]:
        counts: Counter[Reason] = Counter()
        for code, count in self._xids.errors().items():
            counts[self._reasons.get(code, "failed")] += count
        return counts

    def _unit(self, index: int) -> Unit:
        device = self._nvml.nvmlDeviceGetHandleByIndex(index)
        return Unit(
            device, text(self._nvml.nvmlDeviceGetUUID(device)), text(self._nvml.nvmlDeviceGetName(device))
        )

    def _part(self, unit: Unit, place: int) -> Unit:
        part = self._nvml.nvmlDeviceGetMigDeviceHandleByIndex(unit.handle, place)
        name = self._said(self._nvml.nvmlDeviceGetName, part) or unit.name
        return Unit(part, text(self._nvml.nvmlDeviceGetUUID(part)), name, unit.id)

    def _divided(self, unit: Unit) -> bool:
        try:
            current, _ = self._nvml.nvmlDeviceGetMigMode(unit.handle)
        except self._nvml.NVMLError as error:
            if self.reason(error) in ("lost", "driver"):
                raise
            return False  # no such device, or a driver from before
        return bool(current)

    def _described(self, unit: Unit) -> Iterator[BareSample]:
        if unit.id not in self._about:
            firmware = self._said(self._nvml.nvmlDeviceGetVbiosVersion, unit.handle)
            serial = self._said(self._nvml.nvmlDeviceGetSerial, unit.handle)
            self._about[unit.id] = (self._version, firmware, serial)
        yield "hw.gpu.info", ("NVIDIA", *self._about[unit.id]), 1

    def _said(self, ask: Callable[..., str | bytes], *arguments: Any) -> str:
        """A text, "" where there is none."""
        try:
            return text(ask(*arguments))
        except self._nvml.NVMLError:
            return ""


def _reasons(nvml: Any) -> dict[int, Reason]:
    quiet = ("NOT_SUPPORTED", "NOT_FOUND", "NO_DATA", "INVALID_ARGUMENT", "VGPU_ECC_NOT_SUPPORTED")
    meanings: dict[Reason, tuple[str, ...]] = {
        "": quiet,
        "permission": ("NO_PERMISSION",),
        "too_old": ("FUNCTION_NOT_FOUND", "ARGUMENT_VERSION_MISMATCH", "DEPRECATED"),
        "lost": ("GPU_IS_LOST", "RESET_REQUIRED", "GPU_NOT_FOUND"),
        "driver": ("UNINITIALIZED", "DRIVER_NOT_LOADED", "LIB_RM_VERSION_MISMATCH", "LIBRARY_NOT_FOUND"),
    }
    codes = (
        (reason, getattr(nvml, f"NVML_ERROR_{name}", None))
        for reason in meanings
        for name in meanings[reason]
    )
    return {code: reason for reason, code in codes if code is not None}


# ---------------------------------------------------------------- what each call gives


def _memory(nvml: Any, device: Any) -> Iterator[BareSample]:
    memory = nvml.nvmlDeviceGetMemoryInfo(device)
    yield "hw.gpu.memory.usage", (), memory.used
    yield "hw.gpu.memory.limit", (), memory.total


def _processes(nvml: Any, device: Any) -> Iterable[BareSample]:
    found = []
    for kind in ("Compute", "Graphics"):
        try:
            running = getattr(nvml, f"nvmlDeviceGet{kind}RunningProcesses_v3")(device)
        except nvml.NVMLError as error:
            if error.value != nvml.NVML_ERROR_FUNCTION_NOT_FOUND:
                raise
            running = getattr(nvml, f"nvmlDeviceGet{kind}RunningProcesses_v2")(device)
        found += [(one.pid, one.usedGpuMemory) for one in running]
    return processes(found)


def _utilization(nvml: Any, device: Any) -> Iterator[BareSample]:
    rates = nvml.nvmlDeviceGetUtilizationRates(device)
    yield "hw.gpu.utilization", ("general",), rates.gpu / 100
    yield "hw.gpu.memory.activity", (), rates.memory / 100


def _encoder(nvml: Any, device: Any) -> Iterator[BareSample]:
    yield "hw.gpu.utilization", ("encoder",), nvml.nvmlDeviceGetEncoderUtilization(device)[0] / 100


def _decoder(nvml: Any, device: Any) -> Iterator[BareSample]:
    yield "hw.gpu.utilization", ("decoder",), nvml.nvmlDeviceGetDecoderUtilization(device)[0] / 100


def _temperature(nvml: Any, device: Any) -> Iterator[BareSample]:
    yield "hw.temperature", ("gpu",), nvml.nvmlDeviceGetTemperature(device, nvml.NVML_TEMPERATURE_GPU)


def _limit(kind: str, threshold: str, nvml: Any, device: Any) -> Iterator[BareSample]:
    number = getattr(nvml, f"NVML_TEMPERATURE_THRESHOLD_{threshold}")
    yield "hw.temperature.limit", ("gpu", kind), nvml.nvmlDeviceGetTemperatureThreshold(device, number)


def _power(nvml: Any, device: Any) -> Iterator[BareSample]:
    yield "hw.power", ("gpu",), nvml.nvmlDeviceGetPowerUsage(device) / KILO


def _power_limit(nvml: Any, device: Any) -> Iterator[BareSample]:
    yield "hw.power.limit", ("gpu",), nvml.nvmlDeviceGetEnforcedPowerLimit(device) / KILO


def _energy(nvml: Any, device: Any) -> Iterator[BareSample]:
    yield "hw.energy", ("gpu",), nvml.nvmlDeviceGetTotalEnergyConsumption(device) / KILO


def _errors(nvml: Any, device: Any) -> Iterator[BareSample]:
    for word in ("corrected", "uncorrected"):
        kind = getattr(nvml, f"NVML_MEMORY_ERROR_TYPE_{word.upper()}")
        count = nvml.nvmlDeviceGetTotalEccErrors(device, kind, nvml.NVML_VOLATILE_ECC)
        yield "hw.errors", ("gpu", word), count


def _clock(word: str, kind: str, nvml: Any, device: Any) -> Iterator[BareSample]:
    frequency = nvml.nvmlDeviceGetClockInfo(device, getattr(nvml, f"NVML_CLOCK_{kind}"))
    yield "hw.gpu.clock.frequency", (word,), frequency * MEGA


def _throttled(nvml: Any, device: Any) -> Iterator[BareSample]:
    try:
        bits = nvml.nvmlDeviceGetCurrentClocksEventReasons(device)
    except nvml.NVMLError as error:
        if error.value != nvml.NVML_ERROR_FUNCTION_NOT_FOUND:
            raise
        bits = nvml.nvmlDeviceGetCurrentClocksThrottleReasons(device)
    for word, bit in THROTTLING:
        yield "hw.gpu.throttled", (word,), int(bits & bit != 0)


def _fields(nvml: Any, device: Any) -> Iterator[BareSample]:
    """What has no call of its own; PCIe is sampled, which takes 20 ms each way, where the driver does not count it."""
    nvlink = (
        (nvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX, "receive"),
        (nvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX, "transmit"),
    )
    pcie = (
        (nvml.NVML_FI_DEV_PCIE_COUNT_RX_BYTES, "receive"),
        (nvml.NVML_FI_DEV_PCIE_COUNT_TX_BYTES, "transmit"),
    )
    asked = [
        *((field, _ALL_LINKS) for field, _ in nvlink),
        *(field for field, _ in pcie),
        nvml.NVML_FI_DEV_MEMORY_TEMP,
    ]
    answers = nvml.nvmlDeviceGetFieldValues(device, asked)
    values = {one.fieldId: _value(one) for one in answers if one.nvmlReturn == nvml.NVML_SUCCESS}
    yield from (
        ("hw.gpu.io", ("nvlink", way), values[field] * KIBI) for field, way in nvlink if field in values
    )
    counted = [("hw.gpu.io", ("pcie", way), values[field]) for field, way in pcie if field in values]
    yield from counted or _sampled(nvml, device)
    if nvml.NVML_FI_DEV_MEMORY_TEMP in values:
        yield "hw.temperature", ("memory",), values[nvml.NVML_FI_DEV_MEMORY_TEMP]


def _sampled(nvml: Any, device: Any) -> Iterator[BareSample]:
    ways = ((nvml.NVML_PCIE_UTIL_RX_BYTES, "receive"), (nvml.NVML_PCIE_UTIL_TX_BYTES, "transmit"))
    for counter, way in ways:
        rate = nvml.nvmlDeviceGetPcieThroughput(device, counter)
        yield "hw.gpu.pcie.throughput", (way,), rate * KILO


def _value(answer: Any) -> float:
    return float(getattr(answer.value, _MEMBERS[answer.valueType]))


_Read = Callable[[Any, Any], Iterable[BareSample]]
_OF_EVERY: tuple[_Read, ...] = (_memory, _processes)
_OF_DEVICES: tuple[_Read, ...] = (
    *(_utilization, _encoder, _decoder, _temperature),
    partial(_limit, "high.degraded", "SLOWDOWN"),
    partial(_limit, "high.critical", "SHUTDOWN"),
    *(_power, _power_limit, _energy, _errors),
    *(partial(_clock, word, kind) for word, kind in (("graphics", "GRAPHICS"), ("sm", "SM"))),
    *(partial(_clock, word, kind) for word, kind in (("memory", "MEM"), ("video", "VIDEO"))),
    *(_throttled, _fields),
)
