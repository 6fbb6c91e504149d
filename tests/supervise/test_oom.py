"""Kills for want of memory, from the files of several kernels."""

from pathlib import Path

import pytest

from exporter.supervise.oom import OomKills

# What the files are called, with /proc/self/cgroup as it is there.
PLACES = {
    "cgroup v2 in a container": (
        "0::/\n",
        "cg/memory.events",
        "low 0\noom 3\noom_kill {}\noom_group_kill 0\n",
    ),
    "cgroup v2 on a host": (
        "0::/system.slice/m.service\n",
        "cg/system.slice/m.service/memory.events",
        "oom_kill {}\n",
    ),
    "cgroup v2, the host's path": ("0::/kubepods/pod7/c1\n", "cg/memory.events", "max 9\noom_kill {}\n"),
    "cgroup v1": (
        "5:cpu,cpuacct:/a\n4:memory:/docker/c1\n0::/\n",
        "cg/memory/memory.oom_control",
        "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n",
    ),
    "no cgroup": ("", "proc/vmstat", "nr_free_pages 7\noom_kill {}\n"),
    "no file at all": (None, "proc/vmstat", "oom_kill {}\n"),
}


@pytest.mark.parametrize("name", PLACES)
def test_counts(name: str, tmp_path: Path) -> None:
    """The count is found where that system has it, and a rise is told once."""
    cgroup, place, text = PLACES[name]
    (tmp_path / "proc/self").mkdir(parents=True)
    if cgroup is not None:
        (tmp_path / "proc/self/cgroup").write_text(cgroup)
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text.format(4))
    kills = OomKills(tmp_path / "proc", tmp_path / "cg")
    assert kills.count() == 4
    assert not kills.look()
    file.write_text(text.format(5))
    assert kills.look()
    assert not kills.look()


@pytest.mark.parametrize("text", ["", "oom_kill\n", "oom_kill many\n", "oom_kill -1\n", "\xff\xfe"])
def test_nothing_tells(text: str, tmp_path: Path) -> None:
    """A file in a form that is not known tells of no kill, and neither does its absence."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/vmstat").write_bytes(text.encode("latin-1"))
    kills = OomKills(tmp_path / "proc", tmp_path)
    assert kills.count() is None
    (tmp_path / "proc/vmstat").write_text("oom_kill 7\n")
    assert not kills.look(), "a first count is no rise"


def test_this_kernel_tells() -> None:
    """On the machine of the tests there is a count."""
    assert isinstance(OomKills().count(), int)
