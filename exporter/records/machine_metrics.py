"""Catalogue rows of containers (control groups) and of the host.

`component` of a container is model, sidecar, or shared where one group holds both.
"""

from exporter.records.metric import Metric

_GROUP = ("component",)
_DISK = ("disk_io_direction",)
_PRESSURE = ("resource", "state")

CONTAINERS: tuple[Metric, ...] = (
    Metric(
        "container.cpu.time",
        "counter",
        "s",
        (*_GROUP, "cpu_mode"),
        "CPU time that the container used, by mode (user, system).",
    ),
    Metric(
        "container.cpu.limit",
        "gauge",
        "{cpu}",
        _GROUP,
        "Cores that the CPU quota allows; absent without one.",
    ),
    Metric(
        "container.cpu.periods",
        "counter",
        "{period}",
        _GROUP,
        "Periods of the CPU quota in which there was work.",
    ),
    Metric(
        "container.cpu.throttled.periods",
        "counter",
        "{period}",
        _GROUP,
        "Periods of the CPU quota in which it was used up and tasks had to wait.",
    ),
    Metric(
        "container.cpu.throttled.time",
        "counter",
        "s",
        _GROUP,
        "Time for which CPUs were kept from the container.",
    ),
    Metric(
        "container.memory.usage",
        "gauge",
        "By",
        _GROUP,
        "Memory charged to the container, caches of files too.",
    ),
    Metric(
        "container.memory.working_set",
        "gauge",
        "By",
        _GROUP,
        "Memory charged to the container less the caches that are given up first.",
    ),
    Metric("container.memory.rss", "gauge", "By", _GROUP, "Anonymous memory of the container."),
    Metric(
        "container.memory.limit",
        "gauge",
        "By",
        _GROUP,
        "Lowest memory limit of the container and of the groups above it that can be seen; absent without one.",
    ),
    Metric(
        "container.memory.limit.hits",
        "counter",
        "{hit}",
        _GROUP,
        "Times that the container's memory met its limit, and something had to be given up.",
    ),
    Metric(
        "container.memory.oom_kills",
        "counter",
        "{process}",
        _GROUP,
        "Processes of the container that the kernel killed for want of memory.",
    ),
    Metric(
        "container.paging.faults",
        "counter",
        "{fault}",
        (*_GROUP, "system_paging_fault_type"),
        "Page faults in the container (minor, major).",
    ),
    Metric("container.pids.count", "gauge", "{task}", _GROUP, "Processes and threads of the container."),
    Metric(
        "container.pids.limit",
        "gauge",
        "{task}",
        _GROUP,
        "Lowest limit of processes and threads of the container and of the groups above it that can be seen; absent "
        "without one.",
    ),
    Metric(
        "container.disk.io",
        "counter",
        "By",
        (*_GROUP, *_DISK),
        "Bytes that the container read from and wrote to disks (read, write).",
    ),
    Metric(
        "container.disk.operations",
        "counter",
        "{operation}",
        (*_GROUP, *_DISK),
        "Operations of the container on disks (read, write).",
    ),
    Metric(
        "container.network.io",
        "counter",
        "By",
        (*_GROUP, "network_io_direction"),
        "Bytes through the interfaces of the model's network namespace, loopback left out; absent where it is the "
        "sidecar's too (see system_network_io_bytes_total).",
    ),
    Metric(
        "container.pressure.time",
        "counter",
        "s",
        (*_GROUP, *_PRESSURE),
        "Time in which tasks of the container waited for a resource (cpu, memory, io): one at least (waiting), or all "
        "(stalled).",
    ),
    Metric(
        "modeltap.container",
        "info",
        "1",
        (*_GROUP, "cgroup", "view"),
        "Control groups that are read: their version (v1, v2), and whether by the sidecar's own mount or through the "
        "process's root (mount, process_root).",
    ),
)

HOST: tuple[Metric, ...] = (
    Metric("system.cpu.time", "counter", "s", ("cpu_mode",), "Time that the host's CPUs spent, by mode."),
    Metric("system.cpu.logical.count", "gauge", "{cpu}", (), "Logical CPUs of the host that are online."),
    *(
        Metric(
            f"system.cpu.load_average.{minutes}m",
            "gauge",
            "{thread}",
            (),
            f"Tasks of the host that ran or waited for a CPU or a disk, averaged over {minutes} min.",
        )
        for minutes in (1, 5, 15)
    ),
    Metric(
        "system.memory.usage",
        "gauge",
        "By",
        ("system_memory_state",),
        "Memory of the host by state (used, free, cached, buffers); used is what is not available, so states overlap.",
    ),
    Metric("system.memory.limit", "gauge", "By", (), "Memory of the host in all."),
    Metric(
        "system.memory.linux.available",
        "gauge",
        "By",
        (),
        "Memory of the host that can be had without swapping, as the kernel estimates it.",
    ),
    Metric(
        "system.disk.io",
        "counter",
        "By",
        _DISK,
        "Bytes read from and written to the host's disks (read, write).",
    ),
    Metric(
        "system.disk.operations",
        "counter",
        "{operation}",
        _DISK,
        "Operations of the host's disks (read, write).",
    ),
    Metric(
        "system.pressure.time",
        "counter",
        "s",
        _PRESSURE,
        "Time in which tasks of the host waited for a resource (cpu, memory, io): one at least (waiting), or all "
        "(stalled).",
    ),
)
