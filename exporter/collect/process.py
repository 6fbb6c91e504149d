"""CPU, memory, threads, descriptors, switches, faults and disk of components: each a root process and its descendants.

A component whose root lies inside another component's tree is left out of that tree. A field that may not be
read for every process of a tree is absent, never partial. Counters do not go back while the root is the same
process; a pid given to another process is not mistaken for it, not even while it is read. Memory is a sum: pages
shared within a tree count once per process, in PSS once. An uptime is measured on the monotonic clock from where the
process was first seen: the wall clock may be set meanwhile.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping

import psutil

from exporter.collect.accumulate import MonotonicSum
from exporter.collect.anchor import RECHECK_SECONDS, SEARCH_SECONDS
from exporter.collect.contract import Finder, Unavailable, World, grouped
from exporter.collect.process_fields import Field, Fields, Values
from exporter.host.files import Files
from exporter.records.sample import Sample

# One process's values by family; a family is missing where it was denied.
_Reading = dict[str, Values]


def build(world: World) -> "ProcessCollector":
    """The collector of this world's components."""
    return ProcessCollector(world.components, files=Files(world.root))


class ProcessCollector:
    """Samples of `process.*` for each component that is there; Unavailable while none is."""

    name = "process"

    def __init__(
        self,
        components: Mapping[str, int | Finder],
        process_of: Callable[[int], psutil.Process] = psutil.Process,
        monotonic: Callable[[], float] = time.monotonic,
        files: Files | None = None,
    ) -> None:
        found = Files() if files is None else files
        self._components = [
            _Component(name, source, process_of, monotonic, found) for name, source in components.items()
        ]

    def collect(self, now: float) -> Iterator[Sample]:
        """Samples as of `now`, unix seconds."""
        trees = {component: component.tree(now) for component in self._components}
        roots = {component: tree[0] for component, tree in trees.items() if tree}
        samples: list[Sample] = []
        for component, root in roots.items():
            inner = {
                process
                for other, other_root in roots.items()
                if other_root != root and other_root in trees[component]
                for process in trees[other]
            }
            samples += component.samples([each for each in trees[component] if each not in inner])
        if not samples:
            raise Unavailable("no process of any component is visible")
        yield from grouped(samples)


class _Component:
    """One component's root process, and the sums of its tree."""

    def __init__(
        self,
        name: str,
        source: int | Finder,
        process_of: Callable[[int], psutil.Process],
        monotonic: Callable[[], float],
        files: Files,
    ) -> None:
        self._name = name
        self._source = source
        self._process_of = process_of
        self._monotonic = monotonic
        self._root: psutil.Process | None = None
        self._started = 0.0  # of the root, on the monotonic clock
        self._fields = Fields(files)
        self._sums: dict[str, MonotonicSum[psutil.Process]] = {}
        self._next_search = float("-inf")
        self._given = False

    def tree(self, now: float) -> list[psutil.Process]:
        """The root and all its descendants, the root first; empty while there is none."""
        if self._root is not None and not _alive(self._root):
            self._root = None
            self._next_search = now
        # A clock that was set back must not put the next search off for as long as it was ahead.
        if not now < self._next_search <= now + RECHECK_SECONDS:
            self._search(now)
        if self._root is None:
            return []
        try:
            return [self._root, *self._root.children(recursive=True)]
        except psutil.Error:
            return []

    def samples(self, tree: list[psutil.Process]) -> list[Sample]:
        """The families of the tree; nothing if it ended while it was read."""
        self._fields.forget(tree)
        every = (*self._fields.gauges, *self._fields.counters)
        readings = {process: reading for process in tree if (reading := _read(process, every)) is not None}
        if self._root not in readings:
            return []
        created = self._root.create_time()
        samples = []
        for field in self._fields.gauges:
            values = _of_all(readings, field.family)
            if values is not None:
                of_tree = sum if field.of_tree == "sum" else max
                total = of_tree(value for (value,) in values.values())
                samples.append(Sample(field.family, (self._name,), total))
        for field in self._fields.counters:
            values = _of_all(readings, field.family)
            if values is not None:
                sums = self._sums.setdefault(field.family, MonotonicSum(len(field.labels)))
                for label, total in zip(field.labels, sums.update(values), strict=True):
                    samples.append(Sample(field.family, (self._name, label), total, created))
        samples.append(Sample("process.uptime", (self._name,), self._monotonic() - self._started))
        samples.append(Sample("process.instances", (self._name,), len(readings)))
        return samples

    def _search(self, now: float) -> None:
        pid = self._ask()
        if pid is not None and (self._root is None or self._root.pid != pid):
            try:
                root = self._process_of(pid)
                self._started = self._monotonic() - max(0.0, now - root.create_time())
                self._root, self._sums = root, {}
            except psutil.Error:
                pass  # ended between the search and now
        self._next_search = now + (SEARCH_SECONDS if self._root is None else RECHECK_SECONDS)

    def _ask(self) -> int | None:
        if not isinstance(self._source, int):
            return self._source()
        # A given pid means the process that had it at first: once that has ended, the number says nothing.
        given, self._given = self._given, True
        return None if given else self._source


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _read(process: psutil.Process, fields: Iterable[Field]) -> _Reading | None:
    """What may be read of the process; None if it has ended, or its id is another's now."""
    reading: _Reading = {}
    try:
        with process.oneshot():
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            for field in fields:
                try:
                    values = field.read(process)
                except (psutil.AccessDenied, OSError, RuntimeError):
                    continue  # denied, or unknown to this kernel
                if values is not None:
                    reading[field.family] = values
    except psutil.NoSuchProcess:
        return None
    except psutil.AccessDenied:
        return reading
    return reading if process.is_running() else None


def _of_all(readings: Mapping[psutil.Process, _Reading], family: str) -> dict[psutil.Process, Values] | None:
    """The family's values of every process; None if one of them did not give it."""
    values = {process: reading[family] for process, reading in readings.items() if family in reading}
    return values if len(values) == len(readings) else None
