"""What the analysis may use, from trees of files as the kernel shows them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from exporter.processes.limits import (
    DATA_PLANE_BYTES,
    DEFAULT_CORES,
    DEFAULT_MEMORY,
    LEAST_MEMORY,
    cpu_budget,
    memory_bound,
)

MIB = 1 << 20
V1_NONE = "9223372036854771712"
V1_MEMBERSHIP = "5:memory:/pod/me\n4:cpu,cpuacct:/pod/me\n1:name=systemd:/pod/me\n"


def tree(folder: Path, files: Mapping[str, str]) -> tuple[Path, Path]:
    """The mount point and the membership file of a made-up cgroup."""
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder / "cgroup", folder / "membership"


MEMORY = (
    ("a container of v2", {"cgroup/memory.max": f"{256 * MIB}\n", "membership": "0::/\n"}, 192 * MIB),
    ("no limit in v2", {"cgroup/memory.max": "max\n", "membership": "0::/\n"}, DEFAULT_MEMORY),
    (
        "the lowest limit above the process counts",
        {
            "cgroup/a/memory.max": f"{200 * MIB}",
            "cgroup/a/b/memory.max": f"{300 * MIB}",
            "membership": "0::/a/b\n",
        },
        200 * MIB - DATA_PLANE_BYTES,
    ),
    (
        "being slowed down is a limit too",
        {"cgroup/memory.max": f"{400 * MIB}", "cgroup/memory.high": f"{300 * MIB}"},
        300 * MIB - DATA_PLANE_BYTES,
    ),
    ("a container of v1", {"cgroup/memory/memory.limit_in_bytes": f"{256 * MIB}"}, 192 * MIB),
    ("no limit in v1", {"cgroup/memory/memory.limit_in_bytes": V1_NONE}, DEFAULT_MEMORY),
    (
        "a nested group of v1",
        {
            "cgroup/memory/memory.limit_in_bytes": V1_NONE,
            "cgroup/memory/pod/me/memory.limit_in_bytes": f"{256 * MIB}",
            "membership": V1_MEMBERSHIP,
        },
        192 * MIB,
    ),
    ("a limit that leaves next to nothing", {"cgroup/memory.max": f"{32 * MIB}"}, LEAST_MEMORY),
    ("a generous limit", {"cgroup/memory.max": f"{8192 * MIB}"}, DEFAULT_MEMORY),
    ("no cgroup", {}, DEFAULT_MEMORY),
    ("garbage", {"cgroup/memory.max": "lots\x00", "membership": "0:no\n:::\n\n0::/../..\n"}, DEFAULT_MEMORY),
    ("an empty file", {"cgroup/memory.max": "", "membership": ""}, DEFAULT_MEMORY),
    ("a digit that is none", {"cgroup/memory.max": "²"}, DEFAULT_MEMORY),
)
CPU = (
    ("a container of v2", {"cgroup/cpu.max": "200000 100000\n"}, 0.5),
    ("no limit in v2", {"cgroup/cpu.max": "max 100000\n"}, DEFAULT_CORES),
    (
        "the lowest quota above the process counts",
        {"cgroup/a/cpu.max": "100000 100000", "cgroup/a/b/cpu.max": "400000 100000", "membership": "0::/a/b"},
        0.25,
    ),
    (
        "a container of v1",
        {"cgroup/cpu/cpu.cfs_quota_us": "50000", "cgroup/cpu/cpu.cfs_period_us": "100000"},
        0.125,
    ),
    (
        "v1 under its long name, in a nested group",
        {
            "cgroup/cpu,cpuacct/pod/me/cpu.cfs_quota_us": "100000",
            "cgroup/cpu,cpuacct/pod/me/cpu.cfs_period_us": "100000",
            "membership": V1_MEMBERSHIP,
        },
        0.25,
    ),
    (
        "no limit in v1",
        {"cgroup/cpu/cpu.cfs_quota_us": "-1", "cgroup/cpu/cpu.cfs_period_us": "100000"},
        DEFAULT_CORES,
    ),
    ("no cgroup", {}, DEFAULT_CORES),
    ("garbage", {"cgroup/cpu.max": "much of it"}, DEFAULT_CORES),
    ("a period of nothing", {"cgroup/cpu.max": "100000 0"}, DEFAULT_CORES),
    ("half a file", {"cgroup/cpu.max": "100000"}, DEFAULT_CORES),
)


@pytest.mark.parametrize(("files", "bound"), [row[1:] for row in MEMORY], ids=[row[0] for row in MEMORY])
def test_memory_bound(tmp_path: Path, files: Mapping[str, str], bound: int) -> None:
    """The memory bound follows the lowest limit, less the data plane's part; nonsense is no limit."""
    assert memory_bound(0, *tree(tmp_path, files)) == bound


@pytest.mark.parametrize(("files", "cores"), [row[1:] for row in CPU], ids=[row[0] for row in CPU])
def test_cpu_budget(tmp_path: Path, files: Mapping[str, str], cores: float) -> None:
    """The CPU budget is a quarter of the lowest quota; nonsense is no quota."""
    assert cpu_budget(0.0, *tree(tmp_path, files)) == cores


def test_files_that_are_no_text(tmp_path: Path) -> None:
    """A file that is no text is no limit."""
    (tmp_path / "memory.max").write_bytes(b"\xff\xfe")
    assert memory_bound(0, tmp_path, tmp_path / "memory.max") == DEFAULT_MEMORY


def test_configured_values_win(tmp_path: Path) -> None:
    """What the user sets is taken as it is."""
    files = {"cgroup/memory.max": f"{256 * MIB}", "cgroup/cpu.max": "200000 100000"}
    assert memory_bound(7, *tree(tmp_path, files)) == 7
    assert cpu_budget(3.0, *tree(tmp_path, files)) == 3.0
