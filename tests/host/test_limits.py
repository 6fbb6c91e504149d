"""What the analysis may use, from trees of files as the kernel shows them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from exporter.host.files import Files
from exporter.host.limits import (
    DATA_PLANE_BYTES,
    DEFAULT_CORES,
    DEFAULT_MEMORY,
    LEAST_MEMORY,
    cpu_budget,
    memory_bound,
)
from tests.host.trees import MIB, Tree, v1_groups, v1_memberships, v1_mounts, v2_mount

V1_NONE = "9223372036854771712"
MEMBER_OF_V1 = v1_memberships("/pod/me")
V2 = "sys/fs/cgroup"
# Memberships and mounts: a container of each version, a nested group of each, and a sandbox that tells no mounts.
CONTAINER, NESTED = ("0::/\n", v2_mount("/")), ("0::/a/b\n", v2_mount("/"))
CONTAINER_V1, NESTED_V1 = (MEMBER_OF_V1, v1_mounts("/pod/me")), (MEMBER_OF_V1, v1_mounts("/"))
SANDBOX = ("0::/elsewhere\n", "")
MEMORY = {
    "a container of v2": (CONTAINER, {f"{V2}/memory.max": f"{256 * MIB}\n"}, 192 * MIB),
    "no limit in v2": (CONTAINER, {f"{V2}/memory.max": "max\n"}, DEFAULT_MEMORY),
    "the lowest limit above the process counts": (
        NESTED,
        {f"{V2}/a/memory.max": f"{200 * MIB}", f"{V2}/a/b/memory.max": f"{300 * MIB}"},
        200 * MIB - DATA_PLANE_BYTES,
    ),
    "being slowed down is a limit too": (
        CONTAINER,
        {f"{V2}/memory.max": f"{400 * MIB}", f"{V2}/memory.high": f"{300 * MIB}"},
        300 * MIB - DATA_PLANE_BYTES,
    ),
    "a container of v1": (
        CONTAINER_V1,
        {f"{V2}/memory/memory.limit_in_bytes": f"{256 * MIB}"},
        192 * MIB,
    ),
    "no limit in v1": (CONTAINER_V1, {f"{V2}/memory/memory.limit_in_bytes": V1_NONE}, DEFAULT_MEMORY),
    "a nested group of v1": (
        NESTED_V1,
        {
            f"{V2}/memory/memory.limit_in_bytes": V1_NONE,
            f"{V2}/memory/pod/me/memory.limit_in_bytes": f"{256 * MIB}",
        },
        192 * MIB,
    ),
    "v2 in a sandbox that tells no mounts": (SANDBOX, {f"{V2}/memory.max": f"{256 * MIB}"}, 192 * MIB),
    "v1 in a sandbox that tells no mounts": (
        ("4:memory:/x\n", ""),
        {f"{V2}/memory/memory.limit_in_bytes": f"{256 * MIB}"},
        192 * MIB,
    ),
    "a limit that leaves next to nothing": (CONTAINER, {f"{V2}/memory.max": f"{32 * MIB}"}, LEAST_MEMORY),
    "a generous limit": (CONTAINER, {f"{V2}/memory.max": f"{8192 * MIB}"}, DEFAULT_MEMORY),
    "garbage": (("0:no\n:::\n\n0::/../..\n", "lots"), {f"{V2}/memory.max": "lots\x00"}, DEFAULT_MEMORY),
    "an empty file": (("", ""), {f"{V2}/memory.max": ""}, DEFAULT_MEMORY),
    "a digit that is none": (CONTAINER, {f"{V2}/memory.max": "²"}, DEFAULT_MEMORY),
}
CPU = {
    "a container of v2": (CONTAINER, {f"{V2}/cpu.max": "200000 100000\n"}, 0.5),
    "no limit in v2": (CONTAINER, {f"{V2}/cpu.max": "max 100000\n"}, DEFAULT_CORES),
    "the lowest quota above the process counts": (
        NESTED,
        {f"{V2}/a/cpu.max": "100000 100000", f"{V2}/a/b/cpu.max": "400000 100000"},
        0.25,
    ),
    "a container of v1": (
        CONTAINER_V1,
        {f"{V2}/cpu,cpuacct/cpu.cfs_quota_us": "50000", f"{V2}/cpu,cpuacct/cpu.cfs_period_us": "100000"},
        0.125,
    ),
    "a nested group of v1": (
        NESTED_V1,
        {
            f"{V2}/cpu,cpuacct/pod/me/cpu.cfs_quota_us": "100000",
            f"{V2}/cpu,cpuacct/pod/me/cpu.cfs_period_us": "100000",
        },
        0.25,
    ),
    "no limit in v1": (
        CONTAINER_V1,
        {f"{V2}/cpu,cpuacct/cpu.cfs_quota_us": "-1", f"{V2}/cpu,cpuacct/cpu.cfs_period_us": "100000"},
        DEFAULT_CORES,
    ),
    "garbage": (CONTAINER, {f"{V2}/cpu.max": "much of it"}, DEFAULT_CORES),
    "a period of nothing": (CONTAINER, {f"{V2}/cpu.max": "100000 0"}, DEFAULT_CORES),
    "half a file": (CONTAINER, {f"{V2}/cpu.max": "100000"}, DEFAULT_CORES),
}


def machine(folder: Path, told: tuple[str, str], files: Mapping[str, str]) -> Files:
    """A root with those memberships and mounts of this process, and those files of its groups."""
    tree = Tree(folder)
    tree.ours(*told)
    for path, text in files.items():
        tree.group(path.rpartition("/")[0])
        tree.write(path, text)
    return Files(folder)


@pytest.mark.parametrize("name", MEMORY)
def test_memory_bound(name: str, tmp_path: Path) -> None:
    """The memory bound follows the lowest limit, less the data plane's part; nonsense is no limit."""
    told, files, bound = MEMORY[name]
    assert memory_bound(0, machine(tmp_path, told, files)) == bound


@pytest.mark.parametrize("name", CPU)
def test_cpu_budget(name: str, tmp_path: Path) -> None:
    """The CPU budget is a quarter of the lowest quota; nonsense is no quota."""
    told, files, cores = CPU[name]
    assert cpu_budget(0.0, machine(tmp_path, told, files)) == cores


def test_no_groups(tmp_path: Path) -> None:
    """Where there are none, the fixed bounds hold."""
    assert memory_bound(0, Files(tmp_path)) == DEFAULT_MEMORY
    assert cpu_budget(0.0, Files(tmp_path)) == DEFAULT_CORES


def test_groups_at_work(tmp_path: Path) -> None:
    """The same group, as either version tells it: 512 MiB and two cores."""
    new, old = Tree(tmp_path / "new"), Tree(tmp_path / "old")
    new.ours(*CONTAINER)
    new.v2(V2)
    old.ours(v1_memberships("/pod/me"), v1_mounts("/pod/me"))
    v1_groups(old, V2)
    for tree in (new, old):
        files = Files(tree.folder)
        assert memory_bound(0, files) == 512 * MIB - DATA_PLANE_BYTES
        assert cpu_budget(0.0, files) == 0.5


def test_files_that_are_no_text(tmp_path: Path) -> None:
    """A file that is no text is no limit."""
    files = machine(tmp_path, CONTAINER, {f"{V2}/memory.max": ""})
    (tmp_path / V2 / "memory.max").write_bytes(b"\xff\xfe")
    assert memory_bound(0, files) == DEFAULT_MEMORY


def test_configured_values_win(tmp_path: Path) -> None:
    """What the user sets is taken as it is."""
    set_by_kernel = {f"{V2}/memory.max": f"{256 * MIB}", f"{V2}/cpu.max": "200000 100000"}
    files = machine(tmp_path, CONTAINER, set_by_kernel)
    assert memory_bound(7, files) == 7
    assert cpu_budget(3.0, files) == 3.0
