"""Containers as trees of several kernels and runtimes, and what happens to them while they are read."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exporter.collect.anchor import RECHECK_SECONDS
from exporter.collect.container import ContainerCollector
from exporter.collect.contract import Unavailable
from exporter.host.files import Files
from exporter.records.catalogue import metric
from tests.host.trees import (
    MIB,
    MODEL,
    NET,
    ROOT_OF_V2,
    SIDECAR,
    Denied,
    Tree,
    host_of_pods,
    own_network,
    v1_groups,
    v1_memberships,
    v1_mounts,
    v2_mount,
    values,
)

NOW = 2_000_000_000.0
# What every set-up in which the group is read must give, v1 and v2 alike.
GROUP = {
    ("container.cpu.time", "user"): 6.0,
    ("container.cpu.time", "system"): 1.5,
    ("container.cpu.limit",): 2.0,
    ("container.cpu.periods",): 200,
    ("container.cpu.throttled.periods",): 50,
    ("container.cpu.throttled.time",): 4.0,
    ("container.memory.usage",): 300 * MIB,
    ("container.memory.working_set",): 220 * MIB,
    ("container.memory.rss",): 200 * MIB,
    ("container.memory.limit",): 512 * MIB,
    ("container.memory.limit.hits",): 7,
    ("container.memory.oom_kills",): 1,
    ("container.paging.faults", "minor"): 990,
    ("container.paging.faults", "major"): 10,
    ("container.pids.count",): 12,
    ("container.pids.limit",): 100,
    ("container.disk.io", "read"): 4096,
    ("container.disk.io", "write"): 8192,
    ("container.disk.operations", "read"): 1,
    ("container.disk.operations", "write"): 2,
}
PRESSURE = {
    ("container.pressure.time", "cpu", "waiting"): 2.5,
    ("container.pressure.time", "cpu", "stalled"): 0.5,
    ("container.pressure.time", "memory", "waiting"): 0.0,
    ("container.pressure.time", "memory", "stalled"): 0.0,
    ("container.pressure.time", "io", "waiting"): 0.001,
    ("container.pressure.time", "io", "stalled"): 0.001,
}


def of(component: str, *groups: dict[tuple[str, ...], float]) -> dict[tuple[str, ...], float]:
    return {(name, component, *rest): value for group in groups for (name, *rest), value in group.items()}


def collector(root: Path | Files, component: str = "model") -> ContainerCollector:
    files = root if isinstance(root, Files) else Files(root)
    return ContainerCollector(component, *((20, 1) if component == "model" else (1, 20)), files)


def found(root: Path | Files, component: str = "model") -> dict[tuple[str, ...], Any]:
    samples = list(collector(root, component).collect(NOW))
    assert all(len(each.labels) == len(metric(each.name).labels) for each in samples)
    assert all((each.created == 1_700_000_000.0) == (metric(each.name).kind == "counter") for each in samples)
    return values(samples)


# ---------------------------------------------------------------- set-ups


def pod_of_one_user(tree: Tree) -> None:
    """A pod with shared process namespace, containers in cgroup namespaces of their own, v2, one user for both."""
    tree.process(1, "0::/\n", v2_mount("/"))
    tree.v2("sys/fs/cgroup", memory_current="1\n")
    model = "/../" + MODEL.rpartition("/")[2]
    tree.process(20, f"0::{model}\n", v2_mount(model))
    tree.v2("proc/20/root/sys/fs/cgroup")


def pod_of_two_users(tree: Tree) -> None:
    """The same pod, where the model's root may not be entered."""
    pod_of_one_user(tree)
    tree.write("proc/20/mountinfo", "")


def pod_with_own_processes(tree: Tree) -> None:
    """A pod without shared process namespace: the model has no id here."""
    tree.process(1, "0::/\n", v2_mount("/"))
    tree.v2("sys/fs/cgroup")


def host_of_cgroupfs(tree: Tree) -> None:
    """A host with the cgroupfs driver, v2: short paths, and the pod's own limit is lower than the container's."""
    path = "/kubepods/burstable/pod1/" + "2" * 64
    tree.process(1, "0::/system.slice/modeltap.service\n", v2_mount("/"))
    tree.process(20, f"0::{path}\n", v2_mount("/"))
    tree.v2(f"sys/fs/cgroup{path}", memory_max="max\n", cpu_max="max 100000\n", pids_max="max\n")
    tree.v2(f"sys/fs/cgroup{path.rpartition('/')[0]}")


def docker_of_v1(tree: Tree) -> None:
    """Two containers of one process namespace, v1, no cgroup namespaces: mounts show a container's own group."""
    tree.process(1, v1_memberships("/docker/5"), v1_mounts("/docker/5"))
    tree.process(20, v1_memberships("/docker/2"), v1_mounts("/docker/2"))
    v1_groups(tree, "sys/fs/cgroup")
    tree.write("sys/fs/cgroup/memory/memory.usage_in_bytes", "1\n")
    v1_groups(tree, "proc/20/root/sys/fs/cgroup")


def hybrid(tree: Tree) -> None:
    """A host with v1 controllers and an empty v2 hierarchy beside them, which tells pressure."""
    mounts = v1_mounts("/") + v2_mount("/", "/sys/fs/cgroup/unified")
    tree.process(
        1, v1_memberships("/system.slice/modeltap.service", "/system.slice/modeltap.service"), mounts
    )
    tree.process(20, v1_memberships("/system.slice/model.service", "/system.slice/model.service"), mounts)
    v1_groups(tree, "sys/fs/cgroup", "/system.slice/model.service")
    tree.v2("sys/fs/cgroup/unified/system.slice/model.service", memory_current=None)


def one_container(tree: Tree) -> None:
    """Both in one container with a cgroup namespace, as under `modeltap wrap`: what is read is of both."""
    tree.process(1, "0::/\n", v2_mount("/"))
    tree.process(20, "0::/\n", v2_mount("/"))
    tree.v2("sys/fs/cgroup")


def service_around_both(tree: Tree) -> None:
    """The sidecar in a group below the model's: the model's figures hold the sidecar's."""
    tree.process(1, "0::/app.slice/sidecar\n", v2_mount("/"))
    tree.process(20, "0::/app.slice\n", v2_mount("/"))
    tree.v2("sys/fs/cgroup/app.slice")


def bare_host(tree: Tree) -> None:
    """Nothing is in any group: the root of the hierarchy is the machine and no container."""
    tree.process(1, "0::/\n", v2_mount("/"))
    tree.process(20, "0::/\n", v2_mount("/"))
    for name, text in ROOT_OF_V2.items():
        tree.write(f"sys/fs/cgroup/{name}", text)


def bare_host_of_v1(tree: Tree) -> None:
    """The same of v1, where the root has every file, and one more."""
    tree.process(1, v1_memberships("/"), v1_mounts("/"))
    tree.process(20, v1_memberships("/"), v1_mounts("/"))
    v1_groups(tree, "sys/fs/cgroup")
    for folder in ("cpu,cpuacct", "memory", "pids", "blkio"):
        tree.write(f"sys/fs/cgroup/{folder}/release_agent", "\n")


def sandbox(tree: Tree) -> None:
    """A kernel in user space (gVisor): no groups, no mounts of them."""
    tree.process(1, "", "23 1 0:22 / /proc rw - proc proc rw\n")
    tree.process(20, "", "23 1 0:22 / /proc rw - proc proc rw\n")


SEEN: tuple[tuple[Callable[[Tree], None], str, dict[tuple[str, ...], float], tuple[str, str]], ...] = (
    (pod_of_one_user, "model", {**GROUP, **PRESSURE}, ("v2", "process_root")),
    (host_of_pods, "model", {**GROUP, **PRESSURE}, ("v2", "mount")),
    (host_of_cgroupfs, "model", {**GROUP, **PRESSURE}, ("v2", "mount")),
    (docker_of_v1, "model", GROUP, ("v1", "process_root")),
    (one_container, "shared", {**GROUP, **PRESSURE}, ("v2", "mount")),
    (service_around_both, "shared", {**GROUP, **PRESSURE}, ("v2", "mount")),
)
UNSEEN = (pod_of_two_users, pod_with_own_processes, bare_host, bare_host_of_v1, sandbox)


@pytest.mark.parametrize(
    ("setup", "component", "group", "way"), SEEN, ids=lambda it: getattr(it, "__name__", "")
)
def test_group_is_read(setup: Any, component: str, group: Any, way: tuple[str, str], tmp_path: Path) -> None:
    """Whatever the kernel's version and the runtime, the model's group says the same in the same families."""
    setup(Tree(tmp_path))
    expected = of(component, group) | {("modeltap.container", component, *way): 1}
    assert found(tmp_path) == pytest.approx(expected)


def test_hybrid(tmp_path: Path) -> None:
    """Controllers are read where they are: v1's files from v1, pressure from v2."""
    hybrid(Tree(tmp_path))
    ways = {("modeltap.container", "model", each, "mount"): 1 for each in ("v1", "v2")}
    assert found(tmp_path) == pytest.approx(of("model", GROUP, PRESSURE) | ways)


@pytest.mark.parametrize("setup", UNSEEN)
def test_group_out_of_sight_is_absent(setup: Callable[[Tree], None], tmp_path: Path) -> None:
    """Where the model's group cannot be read there is nothing: no figure of the sidecar, none of the machine."""
    setup(Tree(tmp_path))
    with pytest.raises(Unavailable):
        found(tmp_path)


@pytest.mark.parametrize("setup", [pod_of_one_user, pod_of_two_users, pod_with_own_processes])
def test_own_container(setup: Callable[[Tree], None], tmp_path: Path) -> None:
    """The sidecar's own container is told under its own name, wherever the model's is."""
    setup(Tree(tmp_path))
    told = found(tmp_path, "sidecar")
    assert {key[1] for key in told} == {"sidecar"}
    assert told["container.cpu.time", "sidecar", "user"] == 6.0


def test_own_container_is_told_once(tmp_path: Path) -> None:
    """A container of both is the model's collector's to tell, under the name that says so."""
    one_container(Tree(tmp_path))
    with pytest.raises(Unavailable):
        found(tmp_path, "sidecar")


def test_no_limit_is_absent(tmp_path: Path) -> None:
    """Without limits there are none: neither 0 nor a number near 2^63."""
    tree = Tree(tmp_path)
    host_of_pods(tree)
    tree.v2(f"sys/fs/cgroup{MODEL}", memory_max="max\n", cpu_max="max 100000\n", pids_max="max\n")
    limits = {"container.memory.limit", "container.cpu.limit", "container.pids.limit"}
    assert limits.isdisjoint(key[0] for key in found(tmp_path))
    docker_of_v1(tree)
    for name in ("memory.limit_in_bytes", "memory.stat"):
        tree.write(f"proc/20/root/sys/fs/cgroup/memory/{name}", "9223372036854771712\n")
    tree.write("proc/20/root/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n")
    tree.write("proc/20/root/sys/fs/cgroup/pids/pids.max", "max\n")
    assert limits.isdisjoint(key[0] for key in found(tmp_path))


def test_limit_above_that_v1_tells(tmp_path: Path) -> None:
    """v1 tells the limit of a group that is out of sight; the lower one counts."""
    tree = Tree(tmp_path)
    docker_of_v1(tree)
    tree.write("proc/20/root/sys/fs/cgroup/memory/memory.stat", f"hierarchical_memory_limit {64 * MIB}\n")
    assert found(tmp_path)["container.memory.limit", "model"] == 64 * MIB


# ---------------------------------------------------------------- faults

FILES: dict[str, set[str]] = {
    "cpu.stat": {"container.cpu.time", "container.cpu.periods", "container.cpu.throttled.periods"}
    | {"container.cpu.throttled.time"},
    "cpu.max": {"container.cpu.limit"},
    "memory.current": {"container.memory.usage", "container.memory.working_set"},
    "memory.stat": {"container.memory.working_set", "container.memory.rss", "container.paging.faults"},
    "memory.max": {"container.memory.limit"},
    "memory.events": {"container.memory.limit.hits", "container.memory.oom_kills"},
    "pids.current": {"container.pids.count"},
    "pids.max": {"container.pids.limit"},
    "io.stat": {"container.disk.io", "container.disk.operations"},
    "cpu.pressure": set(),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "text", ["", "\n", "-1\n", "nonsense\n", "a b c\nd=e\n\x00\xff", "1e400 nan\n", "9" * 5000]
)
def test_unknown_format_is_absent(name: str, text: str, tmp_path: Path) -> None:
    """A file of a form that is not known takes its own families with it and nothing else, and raises nothing."""
    tree = Tree(tmp_path)
    host_of_pods(tree)
    whole = {key[0] for key in found(tmp_path)}
    tree.write(f"sys/fs/cgroup{MODEL}/{name}", text)
    assert {key[0] for key in found(tmp_path)} == whole - FILES[name]


@pytest.mark.parametrize("name", FILES)
def test_denied_file_is_absent(name: str, tmp_path: Path) -> None:
    """A file that may not be read takes its own families with it and nothing else."""
    host_of_pods(Tree(tmp_path))
    whole = {key[0] for key in found(tmp_path)}
    assert {key[0] for key in found(Denied(tmp_path, f"/{name}"))} == whole - FILES[name]


@pytest.mark.parametrize("ending", ["/cgroup", "/mountinfo", "/stat"])
def test_denied_proc_is_absence(ending: str, tmp_path: Path) -> None:
    """Where /proc does not tell where the group is, or that the process lives, there is nothing."""
    host_of_pods(Tree(tmp_path))
    with pytest.raises(Unavailable):
        found(Denied(tmp_path, ending))


class Turning(Files):
    """Files below which something happens when a path with that ending is read."""

    def __init__(self, root: Path, ending: str, turn: Callable[[], None]) -> None:
        super().__init__(root)
        self.ending, self.turn = ending, turn

    def text(self, path: str) -> str | None:
        if path.endswith(self.ending):
            self.turn()
        return super().text(path)


def test_id_given_to_another_while_it_is_read(tmp_path: Path) -> None:
    """What was read through an id that another process has by now is not shown, and its counters are not kept."""
    tree = Tree(tmp_path)
    host_of_pods(tree)
    turning = Turning(tmp_path, "memory.current", lambda: tree.began(20, 999))
    one = collector(turning)
    with pytest.raises(Unavailable):
        list(one.collect(NOW))
    turning.turn = lambda: None
    with pytest.raises(Unavailable):  # a given id means the process that had it at first
        list(one.collect(NOW + RECHECK_SECONDS))


def test_group_removed_while_it_is_read(tmp_path: Path) -> None:
    """A /proc that vanishes under the reader leaves nothing behind, and the reader whole."""
    tree = Tree(tmp_path)
    host_of_pods(tree)
    one = collector(Turning(tmp_path, "memory.current", (tmp_path / "proc/20/stat").unlink))
    with pytest.raises(Unavailable):
        list(one.collect(NOW))


@pytest.mark.parametrize("state", ["Z", "X"])
def test_ended_process_is_absent(state: str, tmp_path: Path) -> None:
    """A process that only waits to be reaped has no container any more."""
    tree = Tree(tmp_path)
    host_of_pods(tree)
    tree.began(20, 500, state)
    with pytest.raises(Unavailable):
        found(tmp_path)


def test_restarted_container_goes_on_counting(tmp_path: Path) -> None:
    """A new container's counters add to those of the one before; its gauges are its own."""
    tree = Tree(tmp_path)
    host_of_pods(tree)
    pids = [20]
    one = ContainerCollector("model", lambda: pids[0], 1, Files(tmp_path))
    before = values(one.collect(NOW))
    (tmp_path / "proc/20/stat").unlink()
    pids[0] = 21
    path = MODEL.replace("2", "3")
    tree.process(21, f"0::{path}\n", v2_mount("/"))
    tree.v2(f"sys/fs/cgroup{path}", memory_current="5\n", memory_events="max 0\noom_kill 0\n")
    after = values(one.collect(NOW + 1))
    assert after["container.cpu.time", "model", "user"] == 2 * before["container.cpu.time", "model", "user"]
    assert after["container.memory.oom_kills", "model"] == 1
    assert after["container.memory.usage", "model"] == 5


def test_fall_within_a_group_is_noise(tmp_path: Path) -> None:
    """A counter that the kernel rounds down by one does not count all of it again."""
    tree = Tree(tmp_path)
    host_of_pods(tree)
    one = collector(tmp_path)
    before = values(one.collect(NOW))
    tree.write(f"sys/fs/cgroup{MODEL}/cpu.stat", "user_usec 5999999\nsystem_usec 1500001\n")
    after = values(one.collect(NOW + 1))
    assert after["container.cpu.time", "model", "user"] == before["container.cpu.time", "model", "user"]
    assert after["container.cpu.time", "model", "system"] == 1.500001


def test_pipe_does_not_hold_the_reader_up(tmp_path: Path) -> None:
    """A pipe that a container put in a file's place is empty at once."""
    tree = Tree(tmp_path)
    host_of_pods(tree)
    (tmp_path / f"sys/fs/cgroup{MODEL}/memory.max").unlink()
    os.mkfifo(tmp_path / f"sys/fs/cgroup{MODEL}/memory.max")
    assert ("container.memory.limit", "model") not in found(tmp_path)


# ---------------------------------------------------------------- network


def test_network_of_another_namespace(tmp_path: Path) -> None:
    """Where the model has a network namespace of its own, its interfaces are told, loopback left out."""
    tree = Tree(tmp_path)
    host_of_pods(tree)
    own_network(tree)
    told = found(tmp_path)
    assert told["container.network.io", "model", "receive"] == 1005
    assert told["container.network.io", "model", "transmit"] == 206


def test_network_of_our_namespace(tmp_path: Path) -> None:
    """In one pod the namespace is ours: `system.network.io` tells it, and it is not told twice."""
    tree = Tree(tmp_path)
    host_of_pods(tree)
    tree.write("proc/20/net/dev", NET)
    assert not any(key[0] == "container.network.io" for key in found(tmp_path))


def test_network_goes_on_counting(tmp_path: Path) -> None:
    """An interface that starts again from 0 adds to what it counted before."""
    tree = Tree(tmp_path)
    host_of_pods(tree)
    own_network(tree)
    one = collector(tmp_path)
    list(one.collect(NOW))
    tree.write("proc/20/net/dev", NET.replace("1000", "  10"))
    assert values(one.collect(NOW))["container.network.io", "model", "receive"] == 1015


# ---------------------------------------------------------------- the machine


def test_this_machine() -> None:
    """The real tree is read, whatever it has: plausible values under known names, or nothing at all."""
    one = ContainerCollector("model", os.getppid(), os.getpid(), Files())
    for now in (NOW, NOW + 15):
        try:
            samples = list(one.collect(now))
        except Unavailable:
            samples = []
        for each in samples:
            assert len(each.labels) == len(metric(each.name).labels)
            assert isinstance(each.value, int | float)
            assert each.value >= 0


def test_label_values_are_few(tmp_path: Path) -> None:
    """Nothing of a container's name becomes a label."""
    host_of_pods(Tree(tmp_path))
    assert not any("cri" in word for key in found(tmp_path) for word in key)
    assert SIDECAR != MODEL
