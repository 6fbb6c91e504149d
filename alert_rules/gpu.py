"""Rules about GPUs: lost, told an XID, memory that errs, too hot, full, and a driver that cannot be read.

It knows no model. Invariants: an instance (MIG) is a GPU of its own where it has the value; a device that several
sidecars see alerts once for each, for they may be all that still answers; names are taken as scraped or as pushed.
"""

from alert_rules import values
from alert_rules.promql import either
from alert_rules.rules import Alert, Group, series, total
from alert_rules.values import SCOPE

DEVICE = (*SCOPE, "instance", "hw_id", "hw_name")
GPU = 'hw_type="gpu"'
AT = "{{ $labels.hw_id }} ({{ $labels.hw_name }}) at {{ $labels.instance }} (job {{ $labels.job }})"


def group() -> Group:
    return Group(
        "modeltap-gpu",
        (),
        (_lost(), _xid(), _uncorrected(), _hot(), _full(), _unreadable()),
        dashboard="resources",
    )


def _lost() -> Alert:
    failed = either("hw.status", f'{GPU}, hw_state="failed"')
    return Alert(
        "GpuLost",
        "critical",
        "1m",
        f"{_largest(failed)} == 1",
        "A GPU does not answer any more.",
        f"The GPU {AT} answered before and does not now (state failed is {{{{ $value }}}}): it fell off the bus, or "
        "waits for a reset.",
    )


def _xid() -> Alert:
    found = (*DEVICE, "xid")
    counts = series("hw.gpu.xid.errors")
    new = f"{total(counts, *found)} unless {total(f'{counts} offset 15m', *found)}"
    # increase() extrapolates, and does not see the first count of a number that nobody expected.
    grown = f"round({total(f'increase({counts}[15m])', *found)})"
    return Alert(
        "GpuXid",
        "warning",
        "0m",
        f"({new}) > 0 or {grown} > 0",
        "The driver tells of an XID error of a GPU.",
        f"The driver told XID {{{{ $labels.xid }}}} of the GPU {AT}, {{{{ $value }}}} times in the last 15 minutes.",
    )


def _uncorrected() -> Alert:
    errors = series("hw.errors", f'{GPU}, error_type="uncorrected"')
    return Alert(
        "GpuMemoryErrors",
        "warning",
        "0m",
        f"round({total(f'increase({errors}[1h])', *DEVICE)}) > 0",
        "The memory of a GPU has errors that could not be corrected.",
        f"The memory of the GPU {AT} had {{{{ $value }}}} uncorrected errors (ECC) in the last hour.",
    )


def _hot() -> Alert:
    sensor = (*DEVICE, "hw_sensor_location")
    heat = _largest(series("hw.temperature"), *sensor)
    slow = series("hw.temperature.limit", 'hw_limit_type="high.degraded"')
    limit = f"min by ({', '.join(sensor)}) ({slow})"
    known = f"{heat} >= {limit} - {values.GPU_HOT_MARGIN}"
    return Alert(
        "GpuHot",
        "warning",
        "10m",
        f"{known} or ({heat} unless {limit}) >= {values.GPU_HOT}",
        "A GPU is about as hot as it may become.",
        f"The sensor {{{{ $labels.hw_sensor_location }}}} of the GPU {AT} has had {{{{ $value }}}} degrees Celsius or "
        "so for 10 minutes; there the GPU slows down.",
    )


def _full() -> Alert:
    used, whole = _largest(series("hw.gpu.memory.usage")), _largest(series("hw.gpu.memory.limit"))
    return Alert(
        "GpuMemoryFull",
        "warning",
        "15m",
        f"{used} / ({whole} > 0) > {values.GPU_MEMORY_FULL}",
        "The memory of a GPU is full.",
        f"The memory of the GPU {AT} has been {{{{ $value | humanizePercentage }}}} full for 15 minutes; the limit is "
        f"{values.GPU_MEMORY_FULL:.0%}. The next allocation may fail.",
    )


def _unreadable() -> Alert:
    success = series("modeltap.collector.success", 'collector=~"gpu|gpu_amd"')
    kept = ", ".join((*SCOPE, "instance", "collector"))
    return Alert(
        "GpuUnreadable",
        "warning",
        "5m",
        f"min by ({kept}) ({success}) == 0",
        "A sidecar cannot read its GPUs any more.",
        "The driver of the GPUs at {{ $labels.instance }} (job {{ $labels.job }}) hangs or fails since 5 minutes "
        "(success of the collector {{ $labels.collector }} is {{ $value }}); nothing of them is shown.",
    )


def _largest(selector: str, *labels: str) -> str:
    return f"max by ({', '.join(labels or DEVICE)}) ({selector})"
