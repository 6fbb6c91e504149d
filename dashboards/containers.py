"""The rows "Containers" and "Host", and what "Resources" shows of processes beyond the usual.

It knows no model names, since no resource has one. Invariant: what a sidecar tells of its host is shown by replica,
since two replicas may tell of the same one.
"""

from collections.abc import Sequence

from dashboards.panels import Panel, Query, coloured, empty, stacked, table, timeseries
from dashboards.queries import gauge, increase, rate, total
from dashboards.variables import TARGET

NO_GROUP = "No control group tells it"
_EACH = ("instance", "component")
_LEGEND = "{{instance}} {{component}}"


def processes() -> Sequence[Panel]:
    """Of each component's tree."""
    nearest = f"max by (component) ({gauge('process.unix.file_descriptor.utilization', TARGET)})"
    shared = total(gauge("process.memory.pss", TARGET), "component")
    switches = total(rate("process.context_switches", TARGET), "component", "process_context_switch_type")
    faults = total(rate("process.paging.faults", TARGET), "component", "system_paging_fault_type")
    return (
        empty(
            timeseries(
                "Memory, shared pages divided",
                "Resident memory with shared pages divided among those that share them, by component.",
                "bytes",
                Query(shared, "{{component}}"),
            ),
            "May not be read here",
        ),
        empty(
            timeseries(
                "Descriptors against the limit",
                "Share of its limit that is open, of the process that is nearest to it, by component.",
                "percentunit",
                Query(nearest, "{{component}}"),
            ),
            "May not be read here",
        ),
        timeseries(
            "Context switches",
            "Context switches per second of all threads, by component.",
            "ops",
            Query(switches, "{{component}} {{process_context_switch_type}}"),
        ),
        timeseries(
            "Page faults",
            "Page faults per second, by component; a major one waits for a disk.",
            "ops",
            Query(faults, "{{component}} {{system_paging_fault_type}}"),
        ),
    )


def containers() -> Sequence[Panel]:
    """Of the model's container and of the sidecar's; of one that holds both as "shared"."""
    return tuple(empty(panel, NO_GROUP) for panel in (*_cpu(), *_memory(), *_flow(), _ways()))


def _cpu() -> Sequence[Panel]:
    used = total(rate("container.cpu.time", TARGET), *_EACH)
    limit = f"max by ({', '.join(_EACH)}) ({gauge('container.cpu.limit', TARGET)})"
    periods = total(rate("container.cpu.periods", TARGET), *_EACH)
    throttled = f"{total(rate('container.cpu.throttled.periods', TARGET), *_EACH)} / ({periods} > 0)"
    waited = total(rate("container.cpu.throttled.time", TARGET), *_EACH)
    return (
        _limited(
            timeseries(
                "Container CPU",
                "Cores in use, and what the quota allows.",
                "short",
                Query(limit, f"limit {_LEGEND}"),
                Query(used, _LEGEND),
            )
        ),
        timeseries(
            "CPU throttled",
            "Share of the quota's periods in which it was used up.",
            "percentunit",
            Query(throttled, _LEGEND),
        ),
        timeseries(
            "CPU kept away",
            "Seconds per second for which CPUs were kept from the container, all of its CPUs together.",
            "short",
            Query(waited, _LEGEND),
        ),
    )


def _memory() -> Sequence[Panel]:
    def of(part: str) -> str:
        return f"max by ({', '.join(_EACH)}) ({gauge(f'container.memory.{part}', TARGET)})"

    killed = total(increase("container.memory.oom_kills", TARGET), *_EACH)
    hits = total(increase("container.memory.limit.hits", TARGET), *_EACH)
    faults = total(rate("container.paging.faults", TARGET), *_EACH, "system_paging_fault_type")
    tasks, most = (gauge(f"container.pids.{part}", TARGET) for part in ("count", "limit"))
    return (
        _limited(
            timeseries(
                "Container memory",
                "The working set, which the limit and the kubelet judge by; all that is charged; anonymous memory.",
                "bytes",
                Query(of("limit"), f"limit {_LEGEND}"),
                Query(of("working_set"), f"{_LEGEND} working set"),
                Query(of("usage"), f"{_LEGEND} charged"),
                Query(of("rss"), f"{_LEGEND} anonymous"),
            )
        ),
        timeseries(
            "Memory limit met",
            "Times that memory met the limit, and processes that the kernel killed for want of it.",
            "short",
            Query(hits, f"{_LEGEND} met"),
            Query(killed, f"{_LEGEND} killed"),
        ),
        timeseries(
            "Page faults of the container",
            "Page faults per second.",
            "ops",
            Query(faults, f"{_LEGEND} {{{{system_paging_fault_type}}}}"),
        ),
        _limited(
            timeseries(
                "Tasks of the container",
                "Processes and threads, and how many there may be.",
                "short",
                Query(most, f"limit {_LEGEND}"),
                Query(tasks, _LEGEND),
            )
        ),
    )


def _flow() -> Sequence[Panel]:
    def by(name: str, *labels: str) -> Query:
        words = " ".join(f"{{{{{label}}}}}" for label in labels)
        return Query(total(rate(name, TARGET), *_EACH, *labels), f"{_LEGEND} {words}")

    disk, network = "disk_io_direction", "network_io_direction"
    return (
        timeseries("Container disk", "Bytes to and from disks.", "Bps", by("container.disk.io", disk)),
        timeseries(
            "Container disk operations",
            "Operations per second.",
            "ops",
            by("container.disk.operations", disk),
        ),
        timeseries(
            "Container network",
            "Bytes through the model's own network namespace; in one pod, Network shows them.",
            "Bps",
            by("container.network.io", network),
        ),
        timeseries(
            "Container pressure",
            "Share of time in which one task at least waited for a resource, or all did.",
            "percentunit",
            by("container.pressure.time", "resource", "state"),
        ),
    )


def _ways() -> Panel:
    labels = ("component", "cgroup", "view")
    seen = f"count by ({', '.join(labels)}) ({gauge('modeltap.container', TARGET)})"
    return table(
        "Control groups",
        "Whose control groups are read, of which version, by our own mount or through the process's root.",
        labels,
        {"Replicas": (Query(seen, shape="table"), "short")},
    )


def host() -> Sequence[Panel]:
    """Of the machine that each replica runs on."""
    idle = total(rate("system.cpu.time", f'{TARGET}, cpu_mode=~"idle|iowait"'), "instance")
    every = total(rate("system.cpu.time", TARGET), "instance")
    modes = f"avg by (cpu_mode) ({rate('system.cpu.time', TARGET)})"
    loads = [
        Query(gauge(f"system.cpu.load_average.{span}", TARGET), f"{{{{instance}}}} {span}")
        for span in ("1m", "5m", "15m")
    ]
    cores = Query(gauge("system.cpu.logical.count", TARGET), "limit {{instance}} CPUs")
    return (
        timeseries(
            "Host CPU busy",
            "Share of the host's CPU time that is not idle, by replica.",
            "percentunit",
            Query(f"1 - {idle} / ({every} > 0)", "{{instance}}"),
        ),
        stacked(
            timeseries(
                "Host CPU by mode",
                "Cores by mode, the mean over replicas.",
                "short",
                Query(modes, "{{cpu_mode}}"),
            )
        ),
        _limited(
            timeseries(
                "Host load", "Tasks that ran or waited, and CPUs, by replica.", "short", cores, *loads
            ),
        ),
        *_host_memory(),
        *_host_flow(),
    )


def _host_memory() -> Sequence[Panel]:
    return (
        _limited(
            timeseries(
                "Host memory",
                "Memory by state, what can be had without swapping, and all of it, by replica.",
                "bytes",
                Query(gauge("system.memory.limit", TARGET), "limit {{instance}}"),
                Query(gauge("system.memory.usage", TARGET), "{{instance}} {{system_memory_state}}"),
                Query(gauge("system.memory.linux.available", TARGET), "{{instance}} available"),
            )
        ),
    )


def _host_flow() -> Sequence[Panel]:
    legend = "{{instance}} {{disk_io_direction}}"
    panels = (
        timeseries(
            "Host disk",
            "Bytes read from and written to the host's disks, by replica.",
            "Bps",
            Query(rate("system.disk.io", TARGET), legend),
        ),
        timeseries(
            "Host disk operations",
            "Operations of the host's disks, by replica.",
            "ops",
            Query(rate("system.disk.operations", TARGET), legend),
        ),
        timeseries(
            "Host pressure",
            "Share of time in which one task at least waited for a resource, or all did, by replica.",
            "percentunit",
            Query(rate("system.pressure.time", TARGET), "{{instance}} {{resource}} {{state}}"),
        ),
    )
    return tuple(empty(panel, "Not told here") for panel in panels)


def _limited(panel: Panel) -> Panel:
    return coloured(panel, {"limit": "red"}, dashed=("limit",))
