"""AMD's devices through amdsmi, ROCm's own binding, where it is installed: the same names as NVIDIA's.

Knows no events. The binding writes "N/A" where a device has no value, and prints when its library is missing.
"""

import contextlib
import importlib
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from exporter.collect.contract import Unavailable
from exporter.collect.gpu_devices import BareSample, Find, Reason, Unit, processes, text

MEGA = 1_000_000
# amdsmi.h, amdsmi_status_t.
_REASONS: Final[dict[int, Reason]] = {
    **dict.fromkeys(
        (1, 2, 3, 40, 47, 52), ""
    ),  # INVAL, NOT_SUPPORTED, NOT_YET_IMPLEMENTED, NO_DATA, no such file
    5: "too_old",  # FAIL_LOAD_SYMBOL
    10: "permission",  # NO_PERM
    31: "lost",  # NOT_FOUND
    **dict.fromkeys((32, 34), "driver"),  # NOT_INIT, DRIVER_NOT_LOADED
}
_SENSORS: Final = (("gpu", "EDGE"), ("hotspot", "HOTSPOT"), ("memory", "VRAM"))
_LIMITS: Final = (("high.degraded", "CRITICAL"), ("high.critical", "EMERGENCY"))
_THROTTLING: Final = (
    ("sw_power_cap", "active_ppt_pwr"),
    ("hw_thermal", "active_prochot_thrm"),
    ("sw_thermal", "active_socket_thrm"),
    ("memory_thermal", "active_hbm_thrm"),
    ("regulator_thermal", "active_vr_thrm"),
)


def load_amdsmi() -> Any:
    """The binding; ImportError where it, or the library below it, is not installed."""
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            return importlib.import_module("amdsmi")
        except (OSError, LookupError, AttributeError) as error:
            raise ImportError(f"amdsmi is installed without its library: {error!r}") from error


class Amd:
    """A driver for `Devices`. `load` gives the binding."""

    name = "amdsmi"
    errors: tuple[type[Exception], ...] = ()

    def __init__(self, load: Callable[[], Any]) -> None:
        self._load = load
        self._smi: Any = None
        self._about: dict[str, tuple[str, str, str]] = {}

    def open(self) -> None:
        try:
            smi = self._load()
        except ImportError as error:
            raise Unavailable(f"amdsmi is not installed: {error}") from error
        try:
            smi.amdsmi_init()
        except smi.AmdSmiException as error:
            raise Unavailable(f"amdsmi does not start: {error}") from error
        self._smi, self.errors, self._about = smi, (smi.AmdSmiException,), {}

    def close(self) -> None:
        smi, self._smi = self._smi, None
        if smi is not None:
            with contextlib.suppress(smi.AmdSmiException):
                smi.amdsmi_shut_down()

    def reason(self, error: Exception) -> Reason:
        return _REASONS.get(getattr(error, "err_code", 0) or 0, "failed")

    def units(self) -> Sequence[Find]:
        return [partial(self._unit, handle) for handle in self._smi.amdsmi_get_processor_handles()]

    def parts(self, unit: Unit) -> Iterable[Find]:
        return ()  # a partition is a processor with a handle of its own

    def reads(self, unit: Unit) -> Iterable[Callable[[], Iterable[BareSample]]]:
        return [partial(self._described, unit), *(partial(read, self._smi, unit.handle) for read in _READS)]

    def state(self, unit: Unit) -> str:
        return "ok"

    def events(self, unit: Unit) -> Iterable[BareSample]:
        return ()

    def refused(self) -> Counter[Reason]:
        return Counter()

    def _unit(self, handle: Any) -> Unit:
        uuid = text(self._smi.amdsmi_get_gpu_device_uuid(handle))
        return Unit(handle, uuid, text(self._smi.amdsmi_get_gpu_asic_info(handle)["market_name"]))

    def _described(self, unit: Unit) -> Iterator[BareSample]:
        if unit.id not in self._about:
            driver = self._said("amdsmi_get_gpu_driver_info", unit, "driver_version")
            firmware = self._said("amdsmi_get_gpu_vbios_info", unit, "version")
            serial = self._said("amdsmi_get_gpu_asic_info", unit, "asic_serial")
            self._about[unit.id] = (driver, firmware, serial)
        yield "hw.gpu.info", ("AMD", *self._about[unit.id]), 1

    def _said(self, ask: str, unit: Unit, key: str) -> str:
        try:
            said = getattr(self._smi, ask)(unit.handle).get(key, "")
        except self._smi.AmdSmiException:
            return ""
        return "" if said == "N/A" else text(said)


# ---------------------------------------------------------------- what each call gives


def _number(value: Any) -> float | None:
    """None for "N/A", and for what an older binding does not tell."""
    return value if isinstance(value, int | float) else None


def _present(family: str, labels: tuple[str, ...], value: Any, factor: float = 1.0) -> Iterator[BareSample]:
    if (number := _number(value)) is not None:
        yield family, labels, number * factor


def _activity(smi: Any, device: Any) -> Iterator[BareSample]:
    activity = smi.amdsmi_get_gpu_activity(device)
    yield from _present("hw.gpu.utilization", ("general",), activity.get("gfx_activity"), 0.01)
    yield from _present("hw.gpu.memory.activity", (), activity.get("umc_activity"), 0.01)


def _memory(smi: Any, device: Any) -> Iterator[BareSample]:
    kind = smi.AmdSmiMemoryType.VRAM
    yield "hw.gpu.memory.usage", (), smi.amdsmi_get_gpu_memory_usage(device, kind)
    yield "hw.gpu.memory.limit", (), smi.amdsmi_get_gpu_memory_total(device, kind)


def _processes(smi: Any, device: Any) -> Iterable[BareSample]:
    running = smi.amdsmi_get_gpu_process_list(device)
    return processes((one["pid"], _number(one["memory_usage"]["vram_mem"])) for one in running)


def _power(smi: Any, device: Any) -> Iterator[BareSample]:
    told = smi.amdsmi_get_power_info(device)
    # Which of them a device fills depends on its generation.
    drawn = (_number(told.get(f"{which}_socket_power")) for which in ("current", "average"))
    yield from _present("hw.power", ("gpu",), next((value for value in drawn if value), None))


def _energy(smi: Any, device: Any) -> Iterator[BareSample]:
    told = smi.amdsmi_get_energy_count(device)
    microjoules = told["energy_accumulator"] * told["counter_resolution"]
    yield "hw.energy", ("gpu",), microjoules / MEGA


def _temperature(place: str, sensor: str, smi: Any, device: Any) -> Iterator[BareSample]:
    kind, now = smi.AmdSmiTemperatureType[sensor], smi.AmdSmiTemperatureMetric.CURRENT
    yield "hw.temperature", (place,), smi.amdsmi_get_temp_metric(device, kind, now)


def _limit(place: str, sensor: str, limit: tuple[str, str], smi: Any, device: Any) -> Iterator[BareSample]:
    kind, which = smi.AmdSmiTemperatureType[sensor], smi.AmdSmiTemperatureMetric[limit[1]]
    yield "hw.temperature.limit", (place, limit[0]), smi.amdsmi_get_temp_metric(device, kind, which)


def _clock(word: str, kind: str, smi: Any, device: Any) -> Iterator[BareSample]:
    told = smi.amdsmi_get_clock_info(device, smi.AmdSmiClkType[kind])
    yield from _present("hw.gpu.clock.frequency", (word,), told.get("clk"), MEGA)


def _throttled(smi: Any, device: Any) -> Iterator[BareSample]:
    told = smi.amdsmi_get_violation_status(device)
    for word, key in _THROTTLING:
        yield from _present("hw.gpu.throttled", (word,), told.get(key))


def _errors(smi: Any, device: Any) -> Iterator[BareSample]:
    told = smi.amdsmi_get_gpu_total_ecc_count(device)
    yield "hw.errors", ("gpu", "corrected"), told["correctable_count"]
    yield "hw.errors", ("gpu", "uncorrected"), told["uncorrectable_count"]


_READS: tuple[Callable[[Any, Any], Iterable[BareSample]], ...] = (
    *(_activity, _memory, _processes, _power, _energy, _throttled, _errors),
    *(partial(_temperature, place, sensor) for place, sensor in _SENSORS),
    *(partial(_limit, place, sensor, limit) for place, sensor in _SENSORS for limit in _LIMITS),
    *(
        partial(_clock, word, kind)
        for word, kind in (("graphics", "GFX"), ("memory", "MEM"), ("video", "VCLK0"))
    ),
)
