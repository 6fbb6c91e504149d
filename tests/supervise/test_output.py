"""Output is copied as it came; whoever does not read it, or reads it late, holds up nobody but himself."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from exporter.records import model_process
from exporter.records.model_process import Page, Stream
from exporter.supervise.levels import level
from exporter.supervise.output import QUEUE_BYTES, Output, Target, copying
from tests.e2e.processes import wait_until


class Stage:
    """One stream that is copied to a pipe, whose reader is the test."""

    def __init__(self) -> None:
        self.reader, writer = os.pipe()
        self.counts: Stream = Page(model_process.create(0.0)).streams["stdout"]
        self.output: Output = copying([(writer, self.counts)], level)
        self.child = self.output.ends[0]
        self.writer = writer

    def read(self, size: int) -> bytes:
        """That many bytes."""
        found = b""
        while len(found) < size:
            found += os.read(self.reader, size - len(found))
        return found

    def lost(self, reason: str) -> int:
        """Bytes lost."""
        return self.counts.counts()[2][reason]


@pytest.fixture
def stage() -> Iterator[Stage]:
    """Its reader leaves in the end, which frees the thread that writes."""
    stage = Stage()
    yield stage
    with suppress(OSError):
        os.close(stage.reader)
    stage.output.finish(5)


def test_bytes_pass_as_they_are(stage: Stage) -> None:
    """Lines, half lines and bytes that are no text come out in order; lines are counted."""
    data = b"INFO: a\n\x00\xff\x1b[31mhalf" + bytes(range(256)) * 300
    os.write(stage.child, data)
    assert stage.read(len(data)) == data
    wait_until(lambda: stage.counts.counts()[0] == len(data), "it is counted")
    wait_until(lambda: stage.counts.counts()[3]["info"] == 1, "the line is counted", 20)


def test_nobody_reads(stage: Stage) -> None:
    """A child can write for ever while nobody reads: what does not fit is counted, and later whole lines follow."""
    line = b"x" * 99 + b"\n"
    wrote = 0
    for _ in range(40):
        wrote += os.write(stage.child, line * 1000)  # waits only if the pipe is not drained
    wait_until(lambda: stage.lost("queue_full") > 0, "something is lost", 20)
    reader = threading.Thread(target=lambda: [stage.read(len(line)) for _ in range(3000)])
    reader.start()
    reader.join(20)
    assert not reader.is_alive()
    wait_until(
        lambda: stage.lost("queue_full") + stage.counts.counts()[0] + QUEUE_BYTES > wrote, "ledger", 20
    )
    found = b""
    os.write(stage.child, b"begin\nend\n")
    while not found.endswith(b"end\n"):
        found += os.read(stage.reader, 1 << 16)
    *lines, begin, end, _ = found.split(b"\n")
    assert (begin, end) == (b"begin", b"end")
    assert all(b"x" * 99 >= one == b"x" * len(one) for one in lines), "no line was put together of two"


def test_a_reader_that_left(stage: Stage) -> None:
    """A stream that is closed costs the child nothing: it has no SIGPIPE, and what is lost is counted."""
    os.close(stage.reader)
    for _ in range(50):
        os.write(stage.child, b"y" * 100_000)
    wait_until(lambda: stage.lost("closed") > 0, "it is counted", 20)
    stage.reader = os.open(os.devnull, os.O_RDONLY)


def test_the_last_words(stage: Stage) -> None:
    """What was written before the end is copied to the end."""
    os.write(stage.child, b"z" * 10_000)
    stage.output.finish(20)
    assert stage.read(10_000) == b"z" * 10_000
    stage.output.finish(1)


def test_an_end_with_nobody_there(stage: Stage) -> None:
    """At the end nobody is waited for longer than it may take; the rest is counted."""
    os.write(stage.child, b"w" * 300_000)
    wait_until(lambda: stage.output._sources, "it runs")
    stage.output.finish(0.3)
    assert stage.lost("shutdown") > 0


def test_a_stream_that_does_not_wait() -> None:
    """Our own stream may have been set not to wait by whoever shares it; nothing is lost for that."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        counts = Page(model_process.create(0.0)).streams["stderr"]
        target = Target(ours.fileno(), counts)
        for _ in range(9):
            target.offer(b"v" * 100_000)
        received = 0
        while received < 900_000:
            received += len(theirs.recv(1 << 16))
        assert target.empty(time.monotonic() + 20)
        assert counts.counts()[0] == 900_000
        assert not any(counts.counts()[2].values())
