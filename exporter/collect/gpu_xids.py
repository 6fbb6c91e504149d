"""XID errors as NVML tells them: an event set that a thread of its own waits on, as long as the driver is open.

Knows no other value. Invariant: what was counted stays, whatever becomes of the device, the event set or the driver.
"""

import ctypes
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from exporter.collect.gpu_devices import OTHER, BareSample, text

_WAIT_MILLISECONDS = 500
_PAUSE_SECONDS = 5.0
_END_SECONDS = 2.0
# NVIDIA's catalogue ends below 200; more than these numbers of one device are no numbers of errors.
MAX_NUMBERS = 64
# Counted from 0 on, so that the first one is an increase: applications' faults, memory, NVLink, bus, GSP
# (NVIDIA, "XID Errors", table of XIDs that call for action).
EXPECTED: Final = ("13", "31", "43", "45", "48", "63", "64", "74", "79", "92", "94", "95", "119", "120")


class Xids:
    """Counts by device; `watch` and `stop` from one thread, `of` from any."""

    def __init__(self) -> None:
        self._errors: Counter[int] = Counter()  # what the driver answered instead, by its code
        self._counts: dict[str, Counter[str]] = {}
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def of(self, device: str) -> Iterator[BareSample]:
        """What was counted of the device; nothing if it cannot be watched."""
        with self._lock:
            counts = dict(self._counts.get(device, {}))
        for number, count in counts.items():
            yield "hw.gpu.xid.errors", (number,), count

    def errors(self) -> dict[int, int]:
        """How often the driver gave no event, by the code of its error."""
        with self._lock:
            return dict(self._errors)

    def watch(self, nvml: Any) -> None:
        """Begin to wait for events of all devices of this library."""
        self._end = threading.Event()
        arguments = (nvml, self._end)
        self._thread = threading.Thread(target=self._run, args=arguments, name="collect-xids", daemon=True)
        self._thread.start()

    def stop(self) -> bool:
        """Whether nothing waits any more; the library must stay while something does. Safe twice."""
        self._end.set()
        if self._thread is not None:
            self._thread.join(_END_SECONDS)
            if self._thread.is_alive():
                return False
        self._thread = None
        return True

    def _run(self, nvml: Any, end: threading.Event) -> None:
        while not end.is_set():
            try:
                events = nvml.nvmlEventSetCreate()
                try:
                    devices = self._registered(nvml, events)
                    if not devices:
                        return  # none has events: a virtual one, or another system than Linux
                    self._wait(nvml, events, devices, end)
                finally:
                    with suppress(nvml.NVMLError):
                        nvml.nvmlEventSetFree(events)
            except nvml.NVMLError as error:
                self._fail(error)
            end.wait(_PAUSE_SECONDS)  # a lost device makes every wait fail at once

    def _registered(self, nvml: Any, events: Any) -> dict[int | None, str]:
        """Devices by the address that events have, each with its expected numbers at 0."""
        devices: dict[int | None, str] = {}
        for index in range(nvml.nvmlDeviceGetCount()):
            try:
                device = nvml.nvmlDeviceGetHandleByIndex(index)
                name = text(nvml.nvmlDeviceGetUUID(device))
                nvml.nvmlDeviceRegisterEvents(device, nvml.nvmlEventTypeXidCriticalError, events)
            except nvml.NVMLError as error:
                self._fail(error)
                continue
            devices[_address(device)] = name
            with self._lock:
                self._counts.setdefault(name, Counter(dict.fromkeys(EXPECTED, 0)))
        return devices

    def _fail(self, error: Any) -> None:
        with self._lock:
            self._errors[error.value] += 1

    def _wait(self, nvml: Any, events: Any, devices: dict[int | None, str], end: threading.Event) -> None:
        while not end.is_set():
            try:
                event = nvml.nvmlEventSetWait_v2(events, _WAIT_MILLISECONDS)
            except nvml.NVMLError as error:
                if error.value != nvml.NVML_ERROR_TIMEOUT:
                    raise
                continue
            # The device itself may be past answering.
            name = devices.get(_address(event.device))
            if name is not None and event.eventType == nvml.nvmlEventTypeXidCriticalError:
                self._count(name, str(event.eventData))

    def _count(self, device: str, number: str) -> None:
        with self._lock:
            counts = self._counts[device]
            counts[number if number in counts or len(counts) < MAX_NUMBERS else OTHER] += 1


def _address(handle: Any) -> int | None:
    return ctypes.cast(handle, ctypes.c_void_p).value
