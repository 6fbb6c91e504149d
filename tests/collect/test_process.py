"""Components as real process trees: sums, ends, restarts, denied fields."""

import os
from typing import Any

import psutil
import pytest

from exporter.collect.anchor import RECHECK_SECONDS, SEARCH_SECONDS
from exporter.collect.contract import Unavailable
from exporter.collect.listener import find_listener
from exporter.collect.process import ProcessCollector
from exporter.records.catalogue import metric
from exporter.records.sample import Sample
from tests.collect.children import serving, until

NOW = 2_000_000_000.0


def table(samples: Any) -> dict[tuple[str, ...], Any]:
    found: list[Sample] = list(samples)
    assert len({(each.name, each.labels) for each in found}) == len(found)
    assert all(len(each.labels) == len(metric(each.name).labels) for each in found)
    return {(each.name, *each.labels): each.value for each in found}


def test_own_process() -> None:
    """Every family is there for a process of the same user, with plausible values and start times."""
    samples = list(ProcessCollector({"analysis": os.getpid()}).collect(NOW))
    found = table(samples)
    me = psutil.Process()
    assert found["process.memory.usage", "analysis"] > 1_000_000
    assert found["process.memory.virtual", "analysis"] >= found["process.memory.usage", "analysis"]
    assert found["process.thread.count", "analysis"] >= 1
    assert found["process.unix.file_descriptor.count", "analysis"] >= 3
    assert found["process.cpu.time", "analysis", "user"] > 0
    assert found["process.disk.io", "analysis", "read"] >= 0
    assert found["process.uptime", "analysis"] == pytest.approx(NOW - me.create_time(), abs=60)
    assert found["process.instances", "analysis"] >= 1
    created = {each.name: each.created for each in samples}
    assert created["process.cpu.time"] == me.create_time()
    assert created["process.memory.usage"] == 0.0


def test_uptime_does_not_follow_the_wall_clock() -> None:
    """A clock that is set an hour on, or back, leaves the uptime what it is."""
    ticks = iter((100.0, 100.0, 101.5, 103.0))
    collector = ProcessCollector({"analysis": os.getpid()}, monotonic=lambda: next(ticks))
    key = "process.uptime", "analysis"
    first = table(collector.collect(NOW))[key]
    assert table(collector.collect(NOW + 3600))[key] == pytest.approx(first + 1.5)
    assert table(collector.collect(NOW - 3600))[key] == pytest.approx(first + 3.0)


def test_families_stay_together() -> None:
    """With several components each family is one run of samples."""
    with serving() as server:
        samples = ProcessCollector({"analysis": os.getpid(), "model": server.pid}).collect(NOW)
        names = [each.name for each in samples]
    runs = [name for at, name in enumerate(names) if at == 0 or names[at - 1] != name]
    assert len(runs) == len(set(runs))


def test_whole_tree_is_one_component() -> None:
    """A server's forked workers count as the server: processes, memory, descriptors."""
    with serving(workers=2) as server:
        found = table(ProcessCollector({"model": server.pid}).collect(NOW))
        alone = psutil.Process(server.pid).memory_info().rss
    assert found["process.instances", "model"] == 3
    assert found["process.memory.usage", "model"] > alone


def test_component_inside_another() -> None:
    """A component that is a descendant of another is not counted in it as well."""
    with serving(workers=2) as server:
        components = {"data_plane": server.pid, "analysis": server.workers[0]}
        found = table(ProcessCollector(components).collect(NOW))
    assert found["process.instances", "data_plane"] == 2
    assert found["process.instances", "analysis"] == 1


def test_counters_survive_a_child() -> None:
    """The CPU time of a worker that was killed stays in the tree's sum; gauges fall."""
    with serving(workers=2) as server:
        worker = psutil.Process(server.workers[0])
        until(lambda: worker.cpu_times().user > 0)
        collector = ProcessCollector({"model": server.pid})
        before = table(collector.collect(NOW))
        worker.kill()
        until(lambda: worker.status() == psutil.STATUS_ZOMBIE)
        zombie = table(collector.collect(NOW + 1))
        server.reap(worker.pid)
        after = table(collector.collect(NOW + 2))
    counters = [key for key in before if metric(key[0]).kind == "counter"]
    assert len(counters) == 8
    for key in counters:
        assert before[key] <= zombie[key] <= after[key]
    assert [each["process.instances", "model"] for each in (before, zombie, after)] == [3, 2, 2]


def test_restarted_server_is_found_again() -> None:
    """A model server that ends is absent; its successor on the port is found, counting from its own start."""
    with serving() as first:
        port = first.port
        collector = ProcessCollector({"model": find_listener(("127.0.0.1", port))})
        before = list(collector.collect(NOW))
        first.kill(wait=False)
        until(lambda: psutil.Process(first.pid).status() == psutil.STATUS_ZOMBIE)
        with pytest.raises(Unavailable):
            list(collector.collect(NOW + 1))
    with serving(port=port) as second:
        with pytest.raises(Unavailable):
            list(collector.collect(NOW + 2))  # searches are rare
        after = list(collector.collect(NOW + 1 + SEARCH_SECONDS))
        assert second.pid != first.pid
        created = psutil.Process(second.pid).create_time()
    assert {each.created for each in after} == {0.0, created}
    assert {each.name for each in after} == {each.name for each in before}


def test_successor_takes_the_port() -> None:
    """A server that gave its port to a successor without ending is left for it at the next recheck."""
    with serving() as old, serving() as new:
        pids = [old.pid]
        collector = ProcessCollector({"model": lambda: pids[0]})
        first = {each.created for each in collector.collect(NOW)}
        pids[0] = new.pid
        assert {each.created for each in collector.collect(NOW + 1)} == first
        later = {each.created for each in collector.collect(NOW + RECHECK_SECONDS)}
        assert psutil.Process(new.pid).create_time() in later


def test_search_that_fails_keeps_a_living_process() -> None:
    """A living root is kept when a search finds nothing; a clock set back does not stop searches."""
    with serving() as server:
        answers: list[int | None] = [server.pid, None]
        collector = ProcessCollector({"model": lambda: answers.pop(0)})
        assert list(collector.collect(NOW))
        assert list(collector.collect(NOW - 1_000_000))
        assert answers == []


def test_given_pid_is_not_followed() -> None:
    """A pid that was given means one process: after its end the number is not asked for again."""
    asked: list[int] = []

    def process_of(pid: int) -> psutil.Process:
        asked.append(pid)
        return psutil.Process(pid)

    with serving() as server:
        collector = ProcessCollector({"data_plane": server.pid}, process_of)
        assert list(collector.collect(NOW))
        server.kill()
        for later in (1, 1000):
            with pytest.raises(Unavailable):
                list(collector.collect(NOW + later))
    assert asked == [server.pid]


def test_one_component_absent() -> None:
    """A component that cannot be seen is absent without hiding the others."""
    found = table(ProcessCollector({"model": lambda: None, "analysis": os.getpid()}).collect(NOW))
    assert {key[1] for key in found} == {"analysis"}


class Restricted(psutil.Process):
    """A process of another user, as a sidecar without the right to trace it sees it."""

    def num_fds(self) -> int:
        raise psutil.AccessDenied(self.pid)

    def io_counters(self) -> Any:
        raise psutil.AccessDenied(self.pid)


def test_denied_fields_are_absent() -> None:
    """Fields that may not be read are absent; the others are there."""
    with serving() as server:
        found = table(ProcessCollector({"model": server.pid}, Restricted).collect(NOW))
    families = {key[0] for key in found}
    assert {"process.unix.file_descriptor.count", "process.disk.io"}.isdisjoint(families)
    assert {"process.cpu.time", "process.memory.usage", "process.thread.count"} <= families


def test_partly_denied_tree_gives_no_partial_sum() -> None:
    """A field that is denied for the root alone is absent: a partial sum would look like a fall."""
    with serving(workers=1) as server:
        found = table(ProcessCollector({"model": server.pid}, Restricted).collect(NOW))
    assert found["process.instances", "model"] == 2
    assert ("process.unix.file_descriptor.count", "model") not in found


class Vanishing(psutil.Process):
    """A process that ends between the look at its tree and the look at itself."""

    def num_threads(self) -> int:
        raise psutil.NoSuchProcess(self.pid)


def test_end_while_reading() -> None:
    """A root that ends while it is read is absent, not half there."""
    with serving() as server, pytest.raises(Unavailable):
        list(ProcessCollector({"model": server.pid}, Vanishing).collect(NOW))
