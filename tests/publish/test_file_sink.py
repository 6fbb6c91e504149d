"""Lines of JSON in files: every line an event, rotation by size and age, retention, gzip, and disks that fail."""

import asyncio
import gzip
import json
import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exporter.publish.cloudevents import Event, line
from exporter.publish.delivery import Failed
from exporter.publish.file_sink import FileSink, Rotation

NOW = 1_700_000_000.0
ROTATION = Rotation(size=1 << 20, seconds=3600.0, kept=3)


def event(number: int, size: int = 10) -> Event:
    """A small event that is known by its number."""
    attributes = {"specversion": "1.0", "id": str(number), "source": "s", "type": "t"}
    return Event(attributes, "application/json", b'"%s"' % (b"x" * size))


def deliver(sink: FileSink, *events: Event) -> int:
    """The bytes written."""
    return asyncio.run(sink.deliver(list(events)))


def close(sink: FileSink) -> None:
    """An orderly end."""
    asyncio.run(sink.close())


def numbers(path: Path) -> list[int]:
    """The events of a file; fails if a line is not one."""
    data = path.read_bytes()
    lines = (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines()
    return [int(json.loads(each)["id"]) for each in lines]


def everything(folder: Path) -> list[int]:
    """The events of all files, rotated ones first."""
    found = sorted(folder.iterdir(), key=lambda path: ("Z.jsonl" not in path.name, path.name))
    return [number for path in found for number in numbers(path)]


class Clock:
    """Unix seconds that a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def test_a_line_is_an_event(tmp_path: Path) -> None:
    """What is delivered is in the file at once, in order, for nobody else to read."""
    sink = FileSink(str(tmp_path / "new" / "log.jsonl"), ROTATION)
    events = [event(number) for number in range(3)]
    assert deliver(sink, *events[:2]) == len(b"".join(map(line, events[:2])))
    deliver(sink, events[2])
    assert sink.active == tmp_path / "new" / "log.jsonl"
    assert sink.active.read_bytes() == b"".join(map(line, events))
    assert stat.S_IMODE(sink.active.stat().st_mode) == 0o600
    assert stat.S_IMODE(sink.active.parent.stat().st_mode) == 0o700
    close(sink)
    close(sink)
    assert [path.name for path in sink.active.parent.iterdir()] != ["log.jsonl"]


def test_a_folder_gets_a_file_of_this_host(tmp_path: Path) -> None:
    """Two sidecars that share a folder do not share a file."""
    sink = FileSink(str(tmp_path), ROTATION)
    deliver(sink, event(1))
    assert [path.name for path in tmp_path.iterdir()] == [f"payload-{os.uname().nodename}.jsonl"]


@pytest.mark.parametrize("zipped", [False, True])
def test_rotation_by_size(tmp_path: Path, zipped: bool) -> None:
    """No file exceeds the size unless one write does; nothing is lost or torn while files are kept."""
    sink = FileSink(str(tmp_path), Rotation(2000, 3600.0, 1000, zipped))
    for number in range(100):
        deliver(sink, event(number, 100))
    deliver(sink, event(100, 5000))
    deliver(sink, event(101))
    assert everything(tmp_path) == list(range(102))
    sizes = sorted(path.stat().st_size for path in tmp_path.iterdir())
    assert len(sizes) > 4
    assert sizes[-2] <= 2000
    assert all(path.name.endswith(".jsonl.gz" if zipped else ".jsonl") for path in tmp_path.iterdir())


def test_rotation_by_age(tmp_path: Path) -> None:
    """A file that has reached its age is closed before the next event; its name says when that was."""
    clock = Clock()
    sink = FileSink(str(tmp_path / "log.jsonl"), Rotation(1 << 20, 60.0, 9), clock)
    deliver(sink, event(1))
    clock.now += 59.9
    deliver(sink, event(2))
    clock.now += 0.1
    deliver(sink, event(3))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["log-20231114T221420.000000Z.jsonl", "log.jsonl"]
    assert [numbers(tmp_path / name) for name in names] == [[1, 2], [3]]


def test_only_so_many_are_kept(tmp_path: Path) -> None:
    """The oldest closed files go, and nothing that is not this log's."""
    others = [tmp_path / name for name in ("log-old.jsonl", "other-20200101T000000.000000Z.jsonl", "log.txt")]
    for other in others:
        other.write_text("{}")
    sink = FileSink(str(tmp_path / "log.jsonl"), Rotation(100, 3600.0, 3), Clock())
    for number in range(10):
        deliver(sink, event(number, 100))
    rotated = sorted(tmp_path.glob("log-*Z.jsonl"))
    assert [numbers(path) for path in rotated] == [[6], [7], [8]]
    assert numbers(sink.active) == [9]
    assert all(other.exists() for other in others)


def test_a_clock_that_goes_back(tmp_path: Path) -> None:
    """The newest file has the last name, whatever the clock says: it is not taken for the oldest."""
    clock = Clock()
    sink = FileSink(str(tmp_path / "log.jsonl"), Rotation(100, 3600.0, 2), clock)
    for number in range(6):
        deliver(sink, event(number, 100))
        clock.now -= 1000
    assert [numbers(path) for path in sorted(tmp_path.glob("log-*Z.jsonl"))] == [[3], [4]]


def test_what_an_earlier_process_left_is_kept(tmp_path: Path) -> None:
    """Its file, perhaps with half a line at the end, is put among the rotated and never written again."""
    (tmp_path / "log.jsonl").write_bytes(line(event(1)) + b'{"half')
    sink = FileSink(str(tmp_path / "log.jsonl"), ROTATION)
    deliver(sink, event(2))
    assert numbers(sink.active) == [2]
    (left,) = tmp_path.glob("log-*.jsonl")
    assert left.read_bytes().endswith(b'{"half')


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """A link in the file's place is put away; what it points to stays as it is."""
    target = tmp_path / "precious"
    target.write_text("precious")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "log.jsonl").symlink_to(target)
    deliver(FileSink(str(tmp_path / "logs" / "log.jsonl"), ROTATION), event(1))
    assert target.read_text() == "precious"


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """A disk on which no file of this process can grow further: the kernel writes what fits, then refuses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("zipped", [False, True])
def test_a_disk_that_is_full(tmp_path: Path, zipped: bool) -> None:
    """A write that does not fit fails whole; the same events are written once there is room, and no line is torn."""
    sink = FileSink(str(tmp_path / "log.jsonl"), Rotation(1 << 30, 3600.0, 3, zipped))
    deliver(sink, event(1))
    with largest_file(sink.active.stat().st_size + 20):
        for _ in range(2):
            with pytest.raises(Failed, match=r"disk: .*log\.jsonl") as caught:
                deliver(sink, event(2), event(3))
            assert (caught.value.reason, caught.value.again) == ("disk", True)
    deliver(sink, event(2), event(3))
    assert numbers(sink.active) == [1, 2, 3]


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    """A place that is no folder is a failure of the disk, and tried anew each time."""
    (tmp_path / "file").write_text("")
    sink = FileSink(str(tmp_path / "file" / "log.jsonl"), ROTATION)
    for _ in range(2):
        with pytest.raises(Failed, match="disk"):
            deliver(sink, event(1))
    (tmp_path / "file").unlink()
    deliver(sink, event(1))
    assert numbers(sink.active) == [1]


def test_a_file_that_was_taken_away(tmp_path: Path) -> None:
    """A shipper that moves or removes the file disturbs nothing: the next one begins with the next rotation."""
    sink = FileSink(str(tmp_path / "log.jsonl"), Rotation(100, 3600.0, 3))
    deliver(sink, event(1, 100))
    sink.active.unlink()
    deliver(sink, event(2, 100))
    assert numbers(sink.active) == [2]
