"""Rules about what the model's processes and its container have left: memory, CPU, descriptors, tasks.

It knows no model. Invariant: without a limit nothing fires, since there is nothing to run out of; where a container is
out of sight its rules are silent.
"""

from alert_rules import values
from alert_rules.rules import Alert, Group, Record, series, total
from alert_rules.values import SCOPE

EACH = (*SCOPE, "instance", "component")
MEMORY = "instance_component:container_memory_working_set:ratio"
THROTTLED = "instance_component:container_cpu_throttled_periods:ratio_increase15m"
TASKS = "instance_component:container_pids:ratio"
KILLED = "instance_component:container_memory_oom_kills:increase15m"
WHOSE = "{{ $labels.component }} container at {{ $labels.instance }} (job {{ $labels.job }})"


def group() -> Group:
    records = (
        Record(MEMORY, _of_limit("container.memory.working_set", "container.memory.limit")),
        Record(
            THROTTLED,
            f"{_grown('container.cpu.throttled.periods')} / ({_grown('container.cpu.periods')} > 0)",
        ),
        Record(TASKS, _of_limit("container.pids.count", "container.pids.limit")),
        Record(KILLED, _grown("container.memory.oom_kills")),
    )
    return Group(
        "modeltap-resources",
        records,
        (_memory(), _killed(), _throttled(), _descriptors(), _tasks()),
        dashboard="resources",
    )


def _grown(name: str) -> str:
    return total(f"increase({series(name)}[15m])", *EACH)


def _of_limit(used: str, limit: str) -> str:
    each = ", ".join(EACH)
    return f"max by ({each}) ({series(used)}) / max by ({each}) ({series(limit)} > 0)"


def _memory() -> Alert:
    return Alert(
        "ContainerMemoryHigh",
        "warning",
        "5m",
        f"{MEMORY} > {values.MEMORY_RATIO}",
        "A container is close to its memory limit.",
        f"The {WHOSE} has {{{{ $value | humanizePercentage }}}} of its memory limit in its working set; from "
        f"{values.MEMORY_RATIO:.0%} on the next large request can get it killed.",
    )


def _killed() -> Alert:
    return Alert(
        "ContainerOomKill",
        "warning",
        "0m",
        # increase() extrapolates: one kill can read 1.07, and an old one no less than 0.
        f"round({KILLED}) >= 1",
        "The kernel killed a process of a container for want of memory.",
        f"In the {WHOSE} the kernel killed {{{{ $value }}}} processes in the last 15 minutes for want of memory.",
    )


def _throttled() -> Alert:
    return Alert(
        "ContainerThrottled",
        "warning",
        "15m",
        f"{THROTTLED} > {values.THROTTLED_RATIO}",
        "A container is kept from its CPUs by its quota.",
        f"The {WHOSE} used up its CPU quota in {{{{ $value | humanizePercentage }}}} of the periods of the last 15 "
        f"minutes; the limit is {values.THROTTLED_RATIO:.0%}. Every request that falls into such a period waits for "
        "its end.",
    )


def _descriptors() -> Alert:
    each = ", ".join(EACH)
    return Alert(
        "DescriptorsHigh",
        "warning",
        "5m",
        f"max by ({each}) ({series('process.unix.file_descriptor.utilization')}) > {values.DESCRIPTOR_RATIO}",
        "A process is close to its limit of file descriptors.",
        "A process of {{ $labels.component }} at {{ $labels.instance }} (job {{ $labels.job }}) has "
        "{{ $value | humanizePercentage }} of its limit of file descriptors open; at the limit it takes no connection.",
    )


def _tasks() -> Alert:
    return Alert(
        "ContainerTasksHigh",
        "warning",
        "5m",
        f"{TASKS} > {values.TASK_RATIO}",
        "A container is close to its limit of processes and threads.",
        f"The {WHOSE} has {{{{ $value | humanizePercentage }}}} of the processes and threads that it may have; at the "
        "limit no worker starts.",
    )
