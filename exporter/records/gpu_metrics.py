"""Catalogue rows of GPUs, of their instances (MIG) and of reading them; `hw_parent` is set on an instance only.

Names and attributes are OpenTelemetry's hardware conventions where these have one; clocks, throttling, processes,
PCIe's rate and XIDs are ours beside them.
"""

from exporter.records.metric import Metric

_UNIT = ("hw_id", "hw_name", "hw_parent")
# Attributes that the conventions ask for on what every kind of hardware has.
_TYPED = (*_UNIT, "hw_type")
# The conventions' own metrics of unit 1. They are pushed as they stand, and most receivers add `_ratio` to their names.
RATIOS = ("hw.gpu.utilization", "hw.status")

GPU: tuple[Metric, ...] = (
    Metric(
        "hw.gpu.info",
        "info",
        "1",
        (*_UNIT, "hw_vendor", "hw_driver_version", "hw_firmware_version", "hw_serial_number"),
        "1 for each GPU and instance that answers.",
    ),
    Metric(
        "hw.gpu.utilization",
        "gauge",
        "1",
        (*_UNIT, "hw_gpu_task"),
        "Share of time in which the GPU was busy, by task: general, encoder, decoder.",
    ),
    Metric("hw.gpu.memory.usage", "gauge", "By", _UNIT, "GPU memory in use."),
    Metric("hw.gpu.memory.limit", "gauge", "By", _UNIT, "GPU memory in all."),
    Metric(
        "hw.gpu.memory.activity",
        "gauge",
        "1",
        _UNIT,
        "Share of time in which GPU memory was read or written.",
    ),
    Metric(
        "hw.gpu.process.memory.usage",
        "gauge",
        "By",
        (*_UNIT, "pid"),
        "GPU memory of each process, by the pid that the driver tells; those beyond 32 count as <other>.",
    ),
    Metric(
        "hw.gpu.clock.frequency",
        "gauge",
        "Hz",
        (*_UNIT, "clock"),
        "Frequency of each clock: graphics, sm, memory, video.",
    ),
    Metric(
        "hw.gpu.throttled",
        "gauge",
        "1",
        (*_UNIT, "reason"),
        "1 while clocks are held down for that reason, else 0.",
    ),
    Metric(
        "hw.gpu.io",
        "counter",
        "By",
        (*_UNIT, "link", "network_io_direction"),
        "Bytes that the GPU received and transmitted over each link: pcie, nvlink.",
    ),
    Metric(
        "hw.gpu.pcie.throughput",
        "gauge",
        "By/s",
        (*_UNIT, "network_io_direction"),
        "Bytes per second over PCIe within 20 ms; exists only where the driver does not count them.",
    ),
    Metric(
        "hw.temperature",
        "gauge",
        "Cel",
        (*_UNIT, "hw_sensor_location"),
        "Temperature of the GPU, by sensor: gpu, memory, hotspot.",
    ),
    Metric(
        "hw.temperature.limit",
        "gauge",
        "Cel",
        (*_UNIT, "hw_sensor_location", "hw_limit_type"),
        "Temperature from which the GPU slows down (high.degraded) or switches itself off (high.critical).",
    ),
    Metric("hw.power", "gauge", "W", _TYPED, "Power drawn by the GPU."),
    Metric("hw.power.limit", "gauge", "W", _TYPED, "Power that the GPU may draw."),
    Metric("hw.energy", "counter", "J", _TYPED, "Energy used by the GPU since the driver was loaded."),
    Metric(
        "hw.errors",
        "counter",
        "{error}",
        (*_TYPED, "error_type"),
        "Errors of GPU memory (ECC) since the driver was loaded: corrected, uncorrected.",
    ),
    Metric(
        "hw.status",
        "gauge",
        "1",
        (*_TYPED, "hw_state"),
        "1 for the state that the GPU is in: ok, degraded, predicted_failure, failed (lost, or in need of a reset).",
    ),
    Metric(
        "hw.gpu.xid.errors",
        "counter",
        "{error}",
        (*_UNIT, "xid"),
        "XID errors that the driver told since the sidecar watches it, by number.",
    ),
    Metric(
        "modeltap.gpu.refusals",
        "counter",
        "{read}",
        ("source", "reason"),
        "Reads of a GPU that were refused, by reason: permission, too_old, lost, driver, failed, too_many.",
    ),
    Metric(
        "modeltap.gpu.hangs",
        "counter",
        "{hang}",
        ("source",),
        "Times that the driver did not answer within 10 seconds.",
    ),
)
