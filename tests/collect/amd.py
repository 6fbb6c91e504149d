"""What exporter/collect/gpu_amd.py calls of amdsmi 7.0, as that answers: its types, units, keys, "N/A" and errors."""

from enum import IntEnum
from typing import Any

NO_PERM, NOT_SUPPORTED, NOT_FOUND, DRIVER_NOT_LOADED = 10, 2, 31, 34
MIB = 1 << 20


class AmdSmiException(Exception):
    """Base of what the binding raises."""


class AmdSmiLibraryException(AmdSmiException):
    """The library's own errors."""

    def __init__(self, err_code: int) -> None:
        super().__init__(err_code)
        self.err_code = abs(err_code)


class AmdSmiParameterException(AmdSmiException):
    """A call with what it does not take; has no code."""

    err_code = None


class AmdSmiMemoryType(IntEnum):
    """Of the card, visible to the host, the host's."""

    VRAM, VIS_VRAM, GTT = range(3)


class AmdSmiTemperatureType(IntEnum):
    """Sensors; HOTSPOT and JUNCTION are one."""

    EDGE, HOTSPOT, VRAM = range(3)
    JUNCTION = 1


class AmdSmiTemperatureMetric(IntEnum):
    """What of a sensor."""

    CURRENT, MAX, MIN, MAX_HYST, MIN_HYST, CRITICAL, CRITICAL_HYST, EMERGENCY = range(8)


class AmdSmiClkType(IntEnum):
    """Clocks."""

    SYS, DF, DCEF, SOC, MEM, PCIE, VCLK0, VCLK1 = range(8)
    GFX = 0


class Handle:
    """A processor."""

    def __init__(self, number: int) -> None:
        self.number = number


class Amdsmi:
    """The module. `errors` maps (function without its prefix, device or None) to the code that it fails with."""

    AmdSmiException = AmdSmiException
    AmdSmiLibraryException = AmdSmiLibraryException
    AmdSmiMemoryType = AmdSmiMemoryType
    AmdSmiTemperatureType = AmdSmiTemperatureType
    AmdSmiTemperatureMetric = AmdSmiTemperatureMetric
    AmdSmiClkType = AmdSmiClkType

    def __init__(self, devices: int = 2) -> None:
        self.devices = devices
        self.started = 0
        self.energy = 2_000_000
        self.errors: dict[tuple[str, int | None], int] = {}

    def _check(self, function: str, device: Any = None, *typed: tuple[Any, type]) -> None:
        if function not in ("init", "get_processor_handles", "shut_down"):
            typed = ((device, Handle), *typed)
        for value, kind in typed:
            if not isinstance(value, kind):
                raise AmdSmiParameterException
        if function != "init" and not self.started:
            raise AmdSmiLibraryException(32)
        number = device.number if device is not None else None
        for key in ((function, number), (function, None), ("*", number)):
            if key in self.errors:
                raise AmdSmiLibraryException(self.errors[key])

    def amdsmi_init(self) -> None:
        self._check("init")
        self.started += 1

    def amdsmi_shut_down(self) -> None:
        self._check("shut_down")
        self.started -= 1

    def amdsmi_get_processor_handles(self) -> list[Handle]:
        self._check("get_processor_handles")
        return [Handle(number) for number in range(self.devices)]

    def amdsmi_get_gpu_device_uuid(self, device: Handle) -> str:
        self._check("uuid", device)
        return f"{device.number}0ff74a1-0000-1000-80a7-36d3a9d8f1f2"

    def amdsmi_get_gpu_asic_info(self, device: Handle) -> dict[str, Any]:
        self._check("asic_info", device)
        serial = "N/A" if device.number else "0x7A36D3A9D8F1F200"
        return {"market_name": "AMD Instinct MI300X", "vendor_id": "0x1002", "asic_serial": serial}

    def amdsmi_get_gpu_driver_info(self, device: Handle) -> dict[str, Any]:
        self._check("driver_info", device)
        return {"driver_name": "amdgpu", "driver_version": "6.12.12", "driver_date": "N/A"}

    def amdsmi_get_gpu_vbios_info(self, device: Handle) -> dict[str, Any]:
        self._check("vbios_info", device)
        return {"name": "AMD", "build_date": "", "part_number": "113", "version": "022.040.003"}

    def amdsmi_get_gpu_activity(self, device: Handle) -> dict[str, Any]:
        self._check("activity", device)
        return {"gfx_activity": 42, "umc_activity": 7, "mm_activity": "N/A"}

    def amdsmi_get_gpu_memory_usage(self, device: Handle, kind: AmdSmiMemoryType) -> int:
        self._check("memory_usage", device, (kind, AmdSmiMemoryType))
        return 2**31

    def amdsmi_get_gpu_memory_total(self, device: Handle, kind: AmdSmiMemoryType) -> int:
        self._check("memory_total", device, (kind, AmdSmiMemoryType))
        return 192 * 2**30

    def amdsmi_get_gpu_process_list(self, device: Handle) -> list[dict[str, Any]]:
        self._check("process_list", device)
        memory = {"gtt_mem": 0, "cpu_mem": 0, "vram_mem": 300 * MIB}
        return [{"name": "python", "pid": 4242, "mem": 310 * MIB, "memory_usage": memory}]

    def amdsmi_get_power_info(self, device: Handle) -> dict[str, Any]:
        self._check("power_info", device)
        current, average = (550, "N/A") if device.number == 0 else ("N/A", 250)
        return {"socket_power": 0, "current_socket_power": current, "average_socket_power": average}

    def amdsmi_get_energy_count(self, device: Handle) -> dict[str, Any]:
        self._check("energy_count", device)
        # In microjoules of 15.3.
        return {"energy_accumulator": self.energy, "counter_resolution": 15.25, "timestamp": 1}

    def amdsmi_get_temp_metric(
        self, device: Handle, sensor: AmdSmiTemperatureType, which: AmdSmiTemperatureMetric
    ) -> int:
        self._check("temp_metric", device, (sensor, AmdSmiTemperatureType), (which, AmdSmiTemperatureMetric))
        if sensor == AmdSmiTemperatureType.EDGE:
            raise AmdSmiLibraryException(NOT_SUPPORTED)  # as on an MI300X
        return {"CURRENT": 55, "CRITICAL": 100, "EMERGENCY": 105}[which.name] + sensor

    def amdsmi_get_clock_info(self, device: Handle, clock: AmdSmiClkType) -> dict[str, Any]:
        self._check("clock_info", device, (clock, AmdSmiClkType))
        return {"clk": "N/A" if clock == AmdSmiClkType.VCLK0 else 1300, "min_clk": 132, "max_clk": 2100}

    def amdsmi_get_violation_status(self, device: Handle) -> dict[str, Any]:
        self._check("violation_status", device)
        words = ("prochot_thrm", "ppt_pwr", "socket_thrm", "vr_thrm")
        active = {f"active_{word}": word == "ppt_pwr" for word in words}
        return active | {"active_hbm_thrm": "N/A"}

    def amdsmi_get_gpu_total_ecc_count(self, device: Handle) -> dict[str, Any]:
        self._check("total_ecc_count", device)
        return {"correctable_count": 4, "uncorrectable_count": 1, "deferred_count": 0}
