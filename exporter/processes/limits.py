"""What the analysis may use: memory and CPU, from the cgroup's limits (v2, then v1) or, without any, fixed bounds.

A limit anywhere above the process binds it, so its own group and every one above count, up to what is visible here.
Reads files only; one that is missing or makes no sense is no limit.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

DATA_PLANE_BYTES = 64 << 20  # left to the data plane out of the cgroup's limit
DEFAULT_MEMORY = 512 << 20
LEAST_MEMORY = 80 << 20  # an idle analysis takes about 60 MB: under that it would only start and end
DEFAULT_CORES = 0.5
_ROOT = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
_UNLIMITED = 1 << 60  # v1 says "none" with a number near 2^63


def memory_bound(configured: int, root: Path = _ROOT, membership: Path = _MEMBERSHIP) -> int:
    """Bytes of resident memory at which the analysis ends itself."""
    if configured:
        return configured
    found = [_number(group / name) for group in _groups(root, membership, "") for name in _V2_MEMORY]
    found += [
        _number(group / "memory.limit_in_bytes") for group in _groups(root / "memory", membership, "memory")
    ]
    limits = [limit for limit in found if 0 < limit < _UNLIMITED]
    if not limits:
        return DEFAULT_MEMORY
    return min(DEFAULT_MEMORY, max(min(limits) - DATA_PLANE_BYTES, LEAST_MEMORY))


# Over memory.high nobody is killed, but everybody in the group is slowed down, the data plane too.
_V2_MEMORY = ("memory.max", "memory.high")


def cpu_budget(configured: float, root: Path = _ROOT, membership: Path = _MEMBERSHIP) -> float:
    """Cores that the analysis may use on average: a quarter of the quota, else half a core."""
    if configured:
        return configured
    found = [_cores(*_words(group / "cpu.max")) for group in _groups(root, membership, "")]
    for mount in ("cpu", "cpu,cpuacct"):
        for group in _groups(root / mount, membership, "cpu"):
            found.append(_cores(*_words(group / "cpu.cfs_quota_us"), *_words(group / "cpu.cfs_period_us")))
    quotas = [cores for cores in found if cores]
    return min(quotas) / 4 if quotas else DEFAULT_CORES


def _groups(mount: Path, membership: Path, controller: str) -> Iterator[Path]:
    """This process's group of that controller ("" in v2) below `mount`, and every one above it."""
    yield mount
    for line in _text(membership).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        inside = PurePosixPath(path.lstrip("/"))
        # Seen from within a namespace, a group outside it has a path with "..": there is nothing to read.
        if controller in controllers.split(",") and ".." not in inside.parts:
            for group in (inside, *inside.parents):
                yield mount / group


def _cores(*words: str) -> float:
    """Quota over period; 0.0 if that is no limit."""
    if len(words) != 2 or not all(word.isascii() and word.isdigit() for word in words):
        return 0.0
    quota, period = map(int, words)
    return quota / period if period else 0.0


def _number(path: Path) -> int:
    """A number in a file, 0 if there is none."""
    words = _words(path)
    return int(words[0]) if len(words) == 1 and words[0].isascii() and words[0].isdigit() else 0


def _words(path: Path) -> list[str]:
    return _text(path).split()


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ValueError):
        return ""
