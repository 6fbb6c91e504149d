"""The row "GPU": what the sidecar reads of devices or, where it sees none, what NVIDIA's dcgm-exporter tells of them.

It knows which of dcgm-exporter's series says the same as one of ours. Invariants: a device that both tell is shown
once; of dcgm-exporter's only devices of the chosen sidecars' pods are shown.
"""

from collections.abc import Sequence

from alert_rules.promql import either as named
from alert_rules.promql import family
from dashboards.panels import Panel, Query, coloured, empty, table, timeseries
from dashboards.queries import gauge, increase, rate, total
from dashboards.variables import TARGET

LEGEND = "{{instance}} {{gpu}}"
NO_GPU = "No GPU"
MEBIBYTE = 1024 * 1024
GENERAL, CODECS = f'{TARGET}, hw_gpu_task="general"', f'{TARGET}, hw_gpu_task!="general"'


def panels() -> Sequence[Panel]:
    shown = (*_use(), *_heat(), *_flow(), _errors(), empty(_xids(), "None"), _states(), _devices())
    return tuple(panel if panel["title"] == "GPU XIDs" else empty(panel, NO_GPU) for panel in shown)


def brief(expr: str) -> str:
    """With the label `gpu`: of an id as long as a UUID its beginning and its end, so that a legend holds more."""
    whole = f'label_replace({expr}, "gpu", "$1", "hw_id", "(.+)")'
    return f'label_replace({whole}, "gpu", "$1…$2", "hw_id", "(.{{12}}).{{4,}}(.{{4}})")'


def either(ours: str, theirs: str) -> str:
    """Ours, and theirs for devices that we do not tell."""
    return f"{ours} or on (hw_id) {dcgm(theirs)}"


def dcgm(expr: str) -> str:
    """What dcgm-exporter tells of devices in the pods of the chosen sidecars, its UUID as our `hw_id`."""
    pods = f'max by (namespace, pod) ({family("modeltap.build")}{{{TARGET}, pod!=""}})'
    mine = f"{expr} * on (namespace, pod) group_left () {pods}"
    return f'label_replace({mine}, "hw_id", "$1", "UUID", "(.+)")'


def _limited(panel: Panel) -> Panel:
    return coloured(panel, {"limit": "red"}, ("limit",))


def _use() -> Sequence[Panel]:
    busy = either(named("hw.gpu.utilization", GENERAL), "DCGM_FI_DEV_GPU_UTIL / 100")
    used = either(gauge("hw.gpu.memory.usage", TARGET), f"DCGM_FI_DEV_FB_USED * {MEBIBYTE}")
    whole = either(
        gauge("hw.gpu.memory.limit", TARGET), f"(DCGM_FI_DEV_FB_USED + DCGM_FI_DEV_FB_FREE) * {MEBIBYTE}"
    )
    moved = either(gauge("hw.gpu.memory.activity", TARGET), "DCGM_FI_DEV_MEM_COPY_UTIL / 100")
    processes = Query(brief(gauge("hw.gpu.process.memory.usage", TARGET)), f"{LEGEND} {{{{pid}}}}")
    return (
        timeseries(
            "GPU busy", "Share of time in which the GPU was busy.", "percentunit", Query(brief(busy), LEGEND)
        ),
        _limited(
            timeseries(
                "GPU memory",
                "GPU memory in use and in all, of devices and of their instances.",
                "bytes",
                Query(brief(used), f"{LEGEND} used"),
                Query(brief(whole), f"limit {LEGEND}"),
            )
        ),
        timeseries(
            "GPU memory traffic",
            "Share of time in which GPU memory was read or written.",
            "percentunit",
            Query(brief(moved), LEGEND),
        ),
        timeseries("GPU memory by process", "GPU memory of each process.", "bytes", processes),
        timeseries(
            "GPU video",
            "Share of time in which the encoder and the decoder were busy.",
            "percentunit",
            Query(brief(named("hw.gpu.utilization", CODECS)), f"{LEGEND} {{{{hw_gpu_task}}}}"),
        ),
    )


def _heat() -> Sequence[Panel]:
    heat = either(gauge("hw.temperature", TARGET), "DCGM_FI_DEV_GPU_TEMP")
    drawn = either(gauge("hw.power", TARGET), "DCGM_FI_DEV_POWER_USAGE")
    limit = gauge("hw.temperature.limit", TARGET)
    return (
        _limited(
            timeseries(
                "GPU temperature",
                "Temperature by sensor, and where the GPU slows down or switches itself off.",
                "celsius",
                Query(brief(heat), f"{LEGEND} {{{{hw_sensor_location}}}}"),
                Query(brief(limit), f"limit {LEGEND} {{{{hw_sensor_location}}}} {{{{hw_limit_type}}}}"),
            )
        ),
        _limited(
            timeseries(
                "GPU power",
                "Power drawn now, the mean that the energy counter gives, and what may be drawn.",
                "watt",
                Query(brief(drawn), f"{LEGEND} now"),
                Query(brief(rate("hw.energy", TARGET)), f"{LEGEND} mean"),
                Query(brief(gauge("hw.power.limit", TARGET)), f"limit {LEGEND}"),
            )
        ),
        timeseries(
            "GPU clocks",
            "Frequency of each clock.",
            "hertz",
            Query(brief(gauge("hw.gpu.clock.frequency", TARGET)), f"{LEGEND} {{{{clock}}}}"),
        ),
        timeseries(
            "GPU throttled",
            "1 while clocks are held down, by reason.",
            "short",
            Query(brief(gauge("hw.gpu.throttled", TARGET)), f"{LEGEND} {{{{reason}}}}"),
        ),
    )


def _flow() -> Sequence[Panel]:
    links = Query(brief(rate("hw.gpu.io", TARGET)), f"{LEGEND} {{{{link}}}} {{{{network_io_direction}}}}")
    sampled = Query(
        brief(gauge("hw.gpu.pcie.throughput", TARGET)), f"{LEGEND} pcie {{{{network_io_direction}}}}"
    )
    text = "Bytes over NVLink and PCIe; PCIe's are a sample of 20 ms where the driver does not count them."
    return (timeseries("GPU links", text, "Bps", links, sampled),)


def _errors() -> Panel:
    errors = Query(brief(increase("hw.errors", TARGET)), f"{LEGEND} {{{{error_type}}}}")
    return timeseries("GPU memory errors", "Errors of GPU memory (ECC), by kind.", "short", errors)


def _xids() -> Panel:
    xids = Query(brief(f"{increase('hw.gpu.xid.errors', TARGET)} > 0"), f"{LEGEND} XID {{{{xid}}}}")
    last = Query(f"{dcgm('DCGM_FI_DEV_XID_ERRORS')} > 0", "{{hw_id}} last XID, by dcgm-exporter")
    return timeseries("GPU XIDs", "XID errors by number.", "short", xids, last)


def _states() -> Panel:
    states = Query(brief(f"({named('hw.status', TARGET)}) == 1"), f"{LEGEND} {{{{hw_state}}}}")
    return timeseries("GPU state", "The state that each GPU is in.", "short", states)


def _devices() -> Panel:
    labels = ("hw_id", "hw_name", "hw_parent", "hw_vendor", "hw_driver_version")
    told = Query(f"count by ({', '.join(labels)}) ({gauge('hw.gpu.info', TARGET)})", shape="table")
    return table(
        "GPUs", "Devices and instances, and how many sidecars see them.", labels, {"Seen": (told, "short")}
    )


def reading() -> Sequence[Panel]:
    """How the sidecar fares with drivers."""
    refused = Query(
        total(increase("modeltap.gpu.refusals", TARGET), "source", "reason"), "{{source}} {{reason}}"
    )
    hangs = Query(total(increase("modeltap.gpu.hangs", TARGET), "source"), "{{source}} hung")
    text = "Values of GPUs that the driver refused, by reason, and times that it did not answer."
    return (empty(timeseries("GPU reads refused", text, "short", refused, hangs), "None refused"),)
