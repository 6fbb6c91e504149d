"""Catalogue rows of resources: processes by component (model, data_plane or analysis), network."""

from exporter.records.metric import Metric

_PROCESS = ("component",)

RESOURCES: tuple[Metric, ...] = (
    Metric(
        "process.cpu.time", "counter", "s", (*_PROCESS, "cpu_mode"), "CPU time used, by mode (user, system)."
    ),
    Metric("process.memory.usage", "gauge", "By", _PROCESS, "Resident memory."),
    Metric(
        "process.memory.pss",
        "gauge",
        "By",
        _PROCESS,
        "Resident memory with shared pages divided among those that share them; read once a minute at most.",
    ),
    Metric("process.memory.virtual", "gauge", "By", _PROCESS, "Virtual memory."),
    Metric("process.thread.count", "gauge", "{thread}", _PROCESS, "Threads."),
    Metric(
        "process.unix.file_descriptor.count", "gauge", "{file_descriptor}", _PROCESS, "Open file descriptors."
    ),
    Metric(
        "process.unix.file_descriptor.utilization",
        "gauge",
        "1",
        _PROCESS,
        "Share of its limit of file descriptors that is open, of the process that is nearest to it.",
    ),
    Metric(
        "process.context_switches",
        "counter",
        "{context_switch}",
        (*_PROCESS, "process_context_switch_type"),
        "Context switches of all threads (voluntary, involuntary).",
    ),
    Metric(
        "process.paging.faults",
        "counter",
        "{fault}",
        (*_PROCESS, "system_paging_fault_type"),
        "Page faults (minor, major).",
    ),
    Metric(
        "process.disk.io",
        "counter",
        "By",
        (*_PROCESS, "disk_io_direction"),
        "Bytes read from and written to disk (read, write).",
    ),
    Metric("process.uptime", "gauge", "s", _PROCESS, "Time since the process started."),
    Metric("process.instances", "gauge", "{process}", _PROCESS, "Processes that the component consists of."),
    Metric(
        "system.network.io",
        "counter",
        "By",
        ("network_io_direction",),
        "Bytes through the interfaces of this network namespace, loopback left out (receive, transmit).",
    ),
)
