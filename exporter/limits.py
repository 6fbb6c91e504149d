"""What the analysis may use: memory and CPU, from the cgroup's limits (v2, then v1) or, without any, fixed bounds."""

from pathlib import Path

DATA_PLANE_BYTES = 64 << 20  # left to the data plane out of the cgroup's limit
DEFAULT_MEMORY = 512 << 20
LEAST_MEMORY = 64 << 20
DEFAULT_CORES = 0.5
_UNLIMITED = 1 << 60


def memory_bound(configured: int, root: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes of resident memory at which the analysis ends itself."""
    if configured:
        return configured
    limit = _read(root / "memory.max") or _read(root / "memory" / "memory.limit_in_bytes")
    if not limit or limit >= _UNLIMITED:
        return DEFAULT_MEMORY
    return min(DEFAULT_MEMORY, max(limit - DATA_PLANE_BYTES, LEAST_MEMORY))


def cpu_budget(configured: float, root: Path = Path("/sys/fs/cgroup")) -> float:
    """Cores that the analysis may use on average: a quarter of the quota, else half a core."""
    if configured:
        return configured
    try:
        quota, period = (root / "cpu.max").read_text().split()
    except (OSError, ValueError):
        quota = str(_read(root / "cpu" / "cpu.cfs_quota_us") or "max")
        period = str(_read(root / "cpu" / "cpu.cfs_period_us") or 100_000)
    if not quota.isdecimal() or not period.isdecimal() or int(period) == 0:
        return DEFAULT_CORES
    return int(quota) / int(period) / 4


def _read(path: Path) -> int:
    """A number in a file, 0 if there is none."""
    try:
        text = path.read_text().strip()
    except OSError:
        return 0
    return int(text) if text.isdecimal() else 0
