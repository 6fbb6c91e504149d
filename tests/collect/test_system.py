"""The host's totals, from trees of /proc and from this machine."""

from pathlib import Path
from typing import Any

import pytest

from exporter.collect.contract import Unavailable
from exporter.collect.system import SystemCollector
from exporter.host.files import Files
from exporter.records.catalogue import metric
from tests.host.trees import DISKS, PRESSURE, Denied, Tree, host, values

NOW = 2_000_000_000.0


def host_in(root: Path) -> Tree:
    tree = Tree(root)
    host(tree)
    return tree


def found(root: Path | Files) -> dict[tuple[str, ...], Any]:
    samples = list(SystemCollector(root if isinstance(root, Files) else Files(root)).collect(NOW))
    assert all(len(each.labels) == len(metric(each.name).labels) for each in samples)
    assert all((each.created == 1_700_000_000.0) == (metric(each.name).kind == "counter") for each in samples)
    return values(samples)


def test_host(tmp_path: Path) -> None:
    """Every family of a host, in its unit; parts of disks and disks made of others are not counted twice."""
    host_in(tmp_path)
    assert found(tmp_path) == {
        ("system.cpu.time", "user"): 1.0,
        ("system.cpu.time", "nice"): 0.1,
        ("system.cpu.time", "system"): 0.5,
        ("system.cpu.time", "idle"): 20.0,
        ("system.cpu.time", "iowait"): 0.3,
        ("system.cpu.time", "interrupt"): 0.1,
        ("system.cpu.time", "steal"): 0.07,
        ("system.cpu.logical.count",): 2,
        ("system.cpu.load_average.1m",): 0.5,
        ("system.cpu.load_average.5m",): 1.25,
        ("system.cpu.load_average.15m",): 10.0,
        ("system.memory.limit",): 1_024_000,
        ("system.memory.linux.available",): 716_800,
        ("system.memory.usage", "used"): 307_200,
        ("system.memory.usage", "free"): 204_800,
        ("system.memory.usage", "cached"): 409_600,
        ("system.memory.usage", "buffers"): 51_200,
        ("system.disk.io", "read"): 108 * 512,
        ("system.disk.io", "write"): 216 * 512,
        ("system.disk.operations", "read"): 11,
        ("system.disk.operations", "write"): 22,
        ("system.pressure.time", "cpu", "waiting"): 1.5,
        ("system.pressure.time", "cpu", "stalled"): 0.0,
        ("system.pressure.time", "io", "waiting"): 1.5,
        ("system.pressure.time", "io", "stalled"): 0.5,
    }


FILES = {
    "stat": {"system.cpu.time", "system.cpu.logical.count"},
    "loadavg": {"system.cpu.load_average.1m", "system.cpu.load_average.5m", "system.cpu.load_average.15m"},
    "meminfo": {"system.memory.limit", "system.memory.linux.available", "system.memory.usage"},
    "diskstats": {"system.disk.io", "system.disk.operations"},
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "text", ["", "\n \n", "cpu a b c\n", "-1 nan ² inf\n", "\x00\xff\n", "MemTotal: x kB\n"]
)
def test_unknown_format_is_absent(name: str, text: str, tmp_path: Path) -> None:
    """A file of a form that is not known takes its own families with it and nothing else."""
    tree = host_in(tmp_path)
    whole = {key[0] for key in found(tmp_path)}
    tree.write(f"proc/{name}", text)
    left = {key[0] for key in values(SystemCollector(Files(tmp_path)).collect(NOW))}
    assert left == whole - FILES[name]


@pytest.mark.parametrize("name", [*FILES, "pressure/cpu"])
def test_denied_file_is_absent(name: str, tmp_path: Path) -> None:
    """A file that may not be read takes its own families with it and nothing else."""
    host_in(tmp_path)
    whole = {key[0] for key in found(tmp_path)}
    left = values(SystemCollector(Denied(tmp_path, f"proc/{name}")).collect(NOW))
    assert {key[0] for key in left} == whole - FILES.get(name, set())


def test_nothing_to_read(tmp_path: Path) -> None:
    """Without /proc there is no host."""
    with pytest.raises(Unavailable):
        list(SystemCollector(Files(tmp_path)).collect(NOW))


def test_time_that_goes_back_stays(tmp_path: Path) -> None:
    """The kernel may take back time waited for disks: the counter waits until it is passed again."""
    tree = host_in(tmp_path)
    one = SystemCollector(Files(tmp_path))
    list(one.collect(NOW))
    tree.write("proc/stat", "cpu  101 10 50 2000 20 4 6 7 0 0\n")
    tree.write("proc/pressure/cpu", PRESSURE.replace("15", "14"))
    after = values(one.collect(NOW))
    assert after["system.cpu.time", "iowait"] == 0.3
    assert after["system.cpu.time", "user"] == 1.01
    assert after["system.pressure.time", "cpu", "waiting"] == 1.5


def test_removed_disk_keeps_counting(tmp_path: Path) -> None:
    """A disk that is taken out does not make the sum go back."""
    tree = host_in(tmp_path)
    one = SystemCollector(Files(tmp_path))
    before = values(one.collect(NOW))
    tree.write(
        "proc/diskstats", "".join(line for line in DISKS.splitlines(keepends=True) if "sda" not in line)
    )
    after = values(one.collect(NOW))
    assert after["system.disk.io", "read"] == before["system.disk.io", "read"]


def test_this_machine() -> None:
    """The real /proc is read: this machine has CPUs that worked, and memory."""
    one = SystemCollector(Files())
    before, after = (values(one.collect(NOW)) for _ in range(2))
    assert before["system.cpu.time", "user"] > 0
    assert 0 < before["system.memory.usage", "used"] < before["system.memory.limit",]
    assert all(after[key] >= before[key] for key in before if metric(key[0]).kind == "counter")
