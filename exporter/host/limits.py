"""What the analysis may use: memory and CPU, from the control group's limits or, without any, fixed bounds.

A limit anywhere above the process binds it, so its own group and every one above count, up to what is visible here. A
file that is missing or makes no sense is no limit.
"""

from exporter.host.files import Files
from exporter.host.own import own

DATA_PLANE_BYTES = 64 << 20  # left to the data plane out of the group's limit
DEFAULT_MEMORY = 512 << 20
LEAST_MEMORY = 80 << 20  # an idle analysis takes about 60 MB: under that it would only start and end
DEFAULT_CORES = 0.5
# Over memory.high nobody is killed, but everybody in the group is slowed down, the data plane too.
_V2_MEMORY = ("memory.max", "memory.high")
_V1_MEMORY = ("memory.limit_in_bytes",)


def memory_bound(configured: int, files: Files | None = None) -> int:
    """Bytes of resident memory at which the analysis ends itself."""
    if configured:
        return configured
    group = own(files or Files(), "memory")
    names = () if group is None else _V2_MEMORY if group.v2 else _V1_MEMORY
    limits = [limit for name in names if group is not None and (limit := group.least(name))]
    if not limits:
        return DEFAULT_MEMORY
    return min(DEFAULT_MEMORY, max(min(limits) - DATA_PLANE_BYTES, LEAST_MEMORY))


def cpu_budget(configured: float, files: Files | None = None) -> float:
    """Cores that the analysis may use on average: a quarter of the quota, else half a core."""
    if configured:
        return configured
    group = own(files or Files(), "cpu")
    quota = None if group is None else group.cores()
    return quota / 4 if quota else DEFAULT_CORES
