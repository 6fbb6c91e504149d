"""Kills for want of memory, from the files of several kernels."""

from pathlib import Path

import pytest

from exporter.host.files import Files
from exporter.host.oom import OomKills
from tests.host.trees import Tree, v1_mounts, v2_mount

# The memberships and mounts of a process, and the file that counts, with its text.
PLACES = {
    "cgroup v2 in a container": (
        "0::/\n",
        v2_mount("/"),
        "sys/fs/cgroup/memory.events",
        "low 0\noom 3\noom_kill {}\noom_group_kill 0\n",
    ),
    "cgroup v2 on a host": (
        "0::/system.slice/m.service\n",
        v2_mount("/"),
        "sys/fs/cgroup/system.slice/m.service/memory.events",
        "oom_kill {}\n",
    ),
    "cgroup v2, the host's path": (
        "0::/kubepods/pod7/c1\n",
        v2_mount("/kubepods/pod7/c1"),
        "sys/fs/cgroup/memory.events",
        "max 9\noom_kill {}\n",
    ),
    "cgroup v1": (
        "5:cpu,cpuacct:/a\n4:memory:/docker/c1\n0::/\n",
        v1_mounts("/docker/c1"),
        "sys/fs/cgroup/memory/memory.oom_control",
        "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n",
    ),
    "v2 in a sandbox that tells no mounts": (
        "0::/kubepods/pod7/c1\n",
        "",
        "sys/fs/cgroup/memory.events",
        "oom_kill {}\n",
    ),
    "v1 in a sandbox that tells no mounts": (
        "4:memory:/docker/c1\n",
        "",
        "sys/fs/cgroup/memory/memory.oom_control",
        "oom_kill {}\n",
    ),
    "the root of all groups, which does not count": (
        "0::/\n",
        v2_mount("/"),
        "proc/vmstat",
        "oom_kill {}\n",
    ),
    "no cgroup": ("", "", "proc/vmstat", "nr_free_pages 7\noom_kill {}\n"),
    "no file at all": (None, None, "proc/vmstat", "oom_kill {}\n"),
}


@pytest.mark.parametrize("name", PLACES)
def test_counts(name: str, tmp_path: Path) -> None:
    """The count is found where that system has it, and a rise is told once."""
    cgroup, mounts, place, text = PLACES[name]
    tree = Tree(tmp_path)
    if cgroup is not None and mounts is not None:
        tree.ours(cgroup, mounts)
    if place != "proc/vmstat":
        tree.group(place.rpartition("/")[0])
        tree.write("proc/vmstat", "oom_kill 100\n")
    tree.write(place, text.format(4))
    kills = OomKills(Files(tmp_path))
    assert kills.count() == 4
    assert not kills.look()
    tree.write(place, text.format(5))
    assert kills.look()
    assert not kills.look()


@pytest.mark.parametrize("text", ["", "oom_kill\n", "oom_kill many\n", "oom_kill -1\n", "\xff\xfe"])
def test_nothing_tells(text: str, tmp_path: Path) -> None:
    """A file in a form that is not known tells of no kill, and neither does its absence."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/vmstat").write_bytes(text.encode("latin-1"))
    kills = OomKills(Files(tmp_path))
    assert kills.count() is None
    (tmp_path / "proc/vmstat").write_text("oom_kill 7\n")
    assert not kills.look(), "a first count is no rise"


def test_this_kernel_tells() -> None:
    """On the machine of the tests there is a count."""
    assert isinstance(OomKills().count(), int)
