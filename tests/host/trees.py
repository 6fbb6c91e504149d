"""Trees of /proc and /sys as kernels and container runtimes make them, in a folder: what collectors take as `root`.

The forms are those of Linux 4.19 (v1), 5.4 (v2 without `full` for the CPU) and 6.1; paths of groups and roots of
mounts are told relative to the reader's cgroup namespace, as the kernel does.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exporter.host.files import Files

V1 = ("cpu", "cpuacct", "memory", "pids", "blkio")
POD = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice"
MODEL, SIDECAR = f"{POD}/cri-containerd-{'2' * 64}.scope", f"{POD}/cri-containerd-{'5' * 64}.scope"
MIB = 1 << 20

# A v2 group at work: 512 MiB of memory, two cores, 100 tasks.
V2_FILES = {
    "cgroup.events": "populated 1\nfrozen 0\n",
    "cpu.stat": "usage_usec 7500000\nuser_usec 6000000\nsystem_usec 1500000\ncore_sched.force_idle_usec 0\n"
    "nr_periods 200\nnr_throttled 50\nthrottled_usec 4000000\nnr_bursts 0\nburst_usec 0\n",
    "cpu.max": "200000 100000\n",
    "memory.current": f"{300 * MIB}\n",
    "memory.max": f"{512 * MIB}\n",
    "memory.stat": f"anon {200 * MIB}\nfile {90 * MIB}\ninactive_file {80 * MIB}\npgfault 1000\npgmajfault 10\n",
    "memory.events": "low 0\nhigh 0\nmax 7\noom 2\noom_kill 1\noom_group_kill 0\n",
    "pids.current": "12\n",
    "pids.max": "100\n",
    "io.stat": "259:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n"
    "253:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n8:16 \n",
    "cpu.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 "
    "total=500000\n",
    "memory.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 "
    "total=0\n",
    "io.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=1000\nfull avg10=0.00 avg60=0.00 avg300=0.00 "
    "total=1000\n",
}
# The same group, as v1 tells it.
V1_FILES: Mapping[str, Mapping[str, str]] = {
    "cpu": {
        "cpu.stat": "nr_periods 200\nnr_throttled 50\nthrottled_time 4000000000\n",
        "cpu.cfs_quota_us": "200000\n",
        "cpu.cfs_period_us": "100000\n",
    },
    "cpuacct": {"cpuacct.stat": "user 600\nsystem 150\n"},
    "memory": {
        "memory.usage_in_bytes": f"{300 * MIB}\n",
        "memory.limit_in_bytes": f"{512 * MIB}\n",
        "memory.failcnt": "7\n",
        "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
        "memory.stat": f"cache 1\nrss 2\nhierarchical_memory_limit {512 * MIB}\ntotal_rss {200 * MIB}\n"
        f"total_inactive_file {80 * MIB}\ntotal_pgfault 1000\ntotal_pgmajfault 10\n",
    },
    "pids": {"pids.current": "12\n", "pids.max": "100\n"},
    "blkio": {
        "blkio.throttle.io_service_bytes": "259:0 Read 4096\n259:0 Write 8192\n259:0 Sync 0\n259:0 Total 12288\n"
        "Total 12288\n",
        "blkio.throttle.io_serviced": "259:0 Read 1\n259:0 Write 2\n259:0 Total 3\nTotal 3\n",
    },
}
NET = (
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls\n"
    "    lo:     999       1    0    0    0     0          0         0      999       1    0    0    0     0\n"
    "  eth0:    1000       9    0    0    0     0          0         0      200       9    0    0    0     0\n"
    "  eth1:       5       1    0    0    0     0          0         0        6       1    0    0    0     0\n"
    "  odd: one two\n"
)
DISKS = (
    " 259       0 nvme0n1 10 0 100 5 20 0 200 5 0 5 10 0 0 0 0\n"
    " 259       1 nvme0n1p1 10 0 100 5 20 0 200 5 0 5 10\n"
    "   8       0 sda 1 0 8 0 2 0 16 0 0 0 0\n"
    " 253       0 dm-0 11 0 108 5 22 0 216 5 0 5 10\n"
    "   7       0 loop0 9 9 9 9 9 9 9 9 9 9 9\n"
    "   8      16 sdb broken\n"
)
MEMORY = (
    "MemTotal:       1000 kB\nMemFree:         200 kB\nMemAvailable:    700 kB\nBuffers:          50 kB\n"
    "Cached:          400 kB\nHugePages_Total:       0\n"
)
PRESSURE = "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\n"
ROOT_OF_V2 = {
    "cgroup.controllers": "cpu io memory pids\n",
    "cpu.stat": "usage_usec 9\nuser_usec 8\nsystem_usec 1\n",
}


class Tree:
    """A root in that folder; the sidecar is process 1 of it, the model the one that is added."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write(
            "proc/stat", "cpu  100 10 50 2000 30 4 6 7 0 0\ncpu0 1 1 1 1\ncpu1 1 1 1 1\nbtime 1700000000\n"
        )
        # What passes through a mapped disk is counted at the one beneath it.
        self.write("sys/dev/block/253:0/slaves/nvme0n1/dev", "259:0\n")

    def write(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def process(
        self, pid: int, cgroup: str, mounts: str = "", ticks: int = 500, net: str = "net:[1]"
    ) -> None:
        """A process with its memberships, its mounts (those of process 1 are ours) and its network namespace."""
        self.began(pid, ticks)
        self.write(f"proc/{pid}/cgroup", cgroup)
        self.write(f"proc/{pid}/mountinfo", mounts)
        names = [pid] if pid != 1 else [pid, "self"]
        for name in names:
            self.write(f"proc/{name}/mountinfo", mounts)
            (self.folder / f"proc/{name}/ns").mkdir(parents=True, exist_ok=True)
            (self.folder / f"proc/{name}/ns/net").unlink(missing_ok=True)
            (self.folder / f"proc/{name}/ns/net").symlink_to(net)

    def ours(self, cgroup: str, mounts: str) -> None:
        """What this very process is told of its memberships and mounts."""
        self.write("proc/self/cgroup", cgroup)
        self.write("proc/self/mountinfo", mounts)

    def group(self, directory: str) -> None:
        """A group of either version, of which nothing is known."""
        self.write(f"{directory}/cgroup.procs", "")
        self.write(f"{directory}/cgroup.events", "populated 1\n")

    def began(self, pid: int, ticks: int, state: str = "S") -> None:
        fields = [state, 0, 1, 1, 0, -1, 0, 11, 0, 2, 0, 5, 5, 0, 0, 20, 0, 1, 0, ticks, 9, 9]
        self.write(f"proc/{pid}/stat", f"{pid} (a) b (c) {' '.join(map(str, fields))}\n")

    def v2(self, directory: str, **changed: str | None) -> None:
        """A v2 group at that directory; `memory_max` is the file memory.max, None leaves it out."""
        self._group(directory, V2_FILES, changed)

    def v1(self, directory: str, controller: str, **changed: str | None) -> None:
        self._group(directory, {"cgroup.procs": "", **V1_FILES[controller]}, changed)

    def _group(self, directory: str, files: Mapping[str, str], changed: Mapping[str, str | None]) -> None:
        given = {name.replace("_", ".", 1): text for name, text in changed.items()}
        for name, text in {**files, **given}.items():
            if text is not None:
                self.write(f"{directory.strip('/')}/{name}", text)


class Denied(Files):
    """The same files, where those whose path ends so may not be read."""

    def __init__(self, root: Path, *endings: str) -> None:
        super().__init__(root)
        self.endings = endings

    def text(self, path: str) -> str | None:
        return None if path.endswith(self.endings) else super().text(path)


def v2_mount(root: str, point: str = "/sys/fs/cgroup", extra: str = "") -> str:
    others = "23 1 0:22 / /proc rw shared:13 - proc proc rw\n24 1 8:1 / /mnt/a\\040b rw - ext4 /dev/sda1 rw\n"
    return f"{others}30 23 0:26 {root} {point} ro,nosuid,relatime{extra} - cgroup2 cgroup rw,nsdelegate\n"


def v1_mounts(root: str, at: str = "/sys/fs/cgroup") -> str:
    """As runtimes mount them: cpu and cpuacct in one, systemd's own without a controller."""
    joined = {"cpu,cpuacct": "rw,cpu,cpuacct", "memory": "rw,memory", "pids": "rw,pids", "blkio": "rw,blkio"}
    lines = [
        f"4{n} 30 0:3{n} {root} {at}/{name} ro,relatime master:9 - cgroup cgroup {options}\n"
        for n, (name, options) in enumerate(joined.items())
    ]
    return "".join(lines) + f"49 30 0:39 {root} {at}/systemd ro - cgroup cgroup rw,xattr,name=systemd\n"


def v1_memberships(path: str, unified: str = "") -> str:
    lines = ["12:pids:", "11:blkio:", "6:memory:", "4:cpu,cpuacct:", "1:name=systemd:"]
    return "".join(f"{line}{path}\n" for line in lines) + (f"0::{unified}\n" if unified else "")


def v1_groups(tree: Tree, at: str, path: str = "") -> None:
    for controller, folder in (
        *(("cpu", "cpu,cpuacct"), ("cpuacct", "cpu,cpuacct")),
        *((each, each) for each in ("memory", "pids", "blkio")),
    ):
        tree.v1(f"{at}/{folder}{path}", controller)


def host_of_pods(tree: Tree) -> None:
    """On the node itself, v2 with the systemd driver: everything is in the one mount."""
    tree.process(1, "0::/system.slice/modeltap.service\n", v2_mount("/"))
    tree.process(20, f"0::{MODEL}\n", v2_mount("/"))
    for name, text in ROOT_OF_V2.items():
        tree.write(f"sys/fs/cgroup/{name}", text)
    tree.v2(f"sys/fs/cgroup{MODEL}")


def host(tree: Tree) -> None:
    """A host of kernel 5.4: it has no line `full` for the CPU."""
    tree.write("proc/loadavg", "0.50 1.25 10.00 2/345 6789\n")
    tree.write("proc/meminfo", MEMORY)
    tree.write("proc/diskstats", DISKS)
    tree.write("proc/pressure/cpu", PRESSURE)
    tree.write("proc/pressure/io", f"{PRESSURE}full avg10=0.00 avg60=0.00 avg300=0.00 total=500000\n")
    for name in ("nvme0n1", "sda", "sdb", "dm-0", "loop0"):
        (tree.folder / f"sys/block/{name}/slaves").mkdir(parents=True)
    (tree.folder / "sys/block/dm-0/slaves/nvme0n1").mkdir()


def own_network(tree: Tree) -> None:
    """The model of a host of pods in a network namespace of its own."""
    tree.process(20, f"0::{MODEL}\n", v2_mount("/"), net="net:[2]")
    tree.write("proc/20/net/dev", NET)


def values(samples: Any) -> dict[tuple[str, ...], Any]:
    return {(each.name, *each.labels): each.value for each in samples}
