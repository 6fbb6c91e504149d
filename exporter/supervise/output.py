"""Copies what a child writes to our own streams, and looks at some of its lines on the way.

The child's pipes are always drained: a thread reads them and does nothing that could wait. Whoever reads our streams
may be slow or gone: what they do not take waits in a bounded queue, and what does not fit is dropped and counted. Bytes
are passed on as they came; after a loss the copy goes on with a whole line.
"""

import fcntl
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from exporter.records.model_process import Stream
from exporter.supervise.lines import Lines

QUEUE_BYTES: Final = 1 << 20
_CHUNK: Final = 1 << 16
_PIPE_BYTES: Final = 1 << 20
_TURN_MS: Final = 200


class Target:
    """One of our own streams: `offer` never waits, a thread of its own writes."""

    def __init__(self, fd: int, counts: Stream, most: int = QUEUE_BYTES) -> None:
        self._fd = fd
        self._counts = counts
        self._most = most
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._in_hand = 0  # of what is being written
        self._torn = self._cut = False  # something was dropped just now; and its end was no line's
        self._in_line = False
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name=f"copy-{fd}", daemon=True).start()

    def offer(self, data: bytes) -> None:
        """Queue it, or count what does not fit."""
        with self._changed:
            if self._size + len(data) > self._most:
                self._torn, self._cut = True, not data.endswith(b"\n")
                self._counts.lost("queue_full", len(data))
                return
            if self._torn:
                data = self._whole(data)
            if data:
                self._waiting.append(data)
                self._size += len(data)
                self._in_line = not data.endswith(b"\n")
                self._changed.notify()

    def _whole(self, data: bytes) -> bytes:
        """What comes from the next line on; the line that was cut gets its end."""
        cut = data.find(b"\n") + 1 if self._cut else 0
        if self._cut and not cut:
            cut = len(data)
        self._counts.lost("queue_full", cut)
        if cut == len(data):
            self._cut = not data.endswith(b"\n")
            return b""
        self._torn = self._cut = False
        return (b"\n" if self._in_line else b"") + data[cut:]

    def empty(self, deadline: float) -> bool:
        """Wait until all of it is written, or the deadline on the monotonic clock has come."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._size, max(0.0, deadline - time.monotonic()))

    def give_up(self) -> None:
        """What waits is lost."""
        with self._changed:
            waiting = sum(map(len, self._waiting))
            self._counts.lost("shutdown", waiting + self._in_hand)
            self._waiting.clear()
            self._size -= waiting

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                data = self._waiting.popleft()
            self._write(data)
            self._in_hand = 0
            with self._changed:
                self._size -= len(data)
                self._changed.notify_all()

    def _write(self, data: bytes) -> None:
        """All of it; what the stream refuses is lost, and the next may be taken."""
        rest = memoryview(data)
        while rest:
            self._in_hand = len(rest)
            try:
                taken = os.write(self._fd, rest)
            except BlockingIOError:  # others share it, and made it so
                select.select((), (self._fd,), ())
                continue
            except OSError:  # nobody reads any more, or the disk is full
                self._counts.lost("closed", len(rest))
                return
            self._counts.copied(taken)
            rest = rest[taken:]


class Output:
    """`ends` are the descriptors that a child writes to, one for each target; they serve every child in turn."""

    def __init__(self, targets: Sequence[Target], lines: Sequence[Lines]) -> None:
        pipes = [os.pipe() for _ in targets]
        self.ends = tuple(end for _, end in pipes)
        self._sources = {
            source: pair for (source, _), pair in zip(pipes, zip(targets, lines, strict=True), strict=True)
        }
        for source in self._sources:
            os.set_blocking(source, False)
            with suppress(OSError):  # the user's share of pipe memory may be used up
                fcntl.fcntl(source, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="child-output", daemon=True)
        self._thread.start()

    def finish(self, seconds: float) -> None:
        """Copy what is there by now, at most for so long. Safe twice."""
        deadline = time.monotonic() + seconds
        self._ending = True
        self._thread.join(seconds)
        for target, _ in self._sources.values():
            if not target.empty(deadline):
                target.give_up()

    def _run(self) -> None:
        poll = select.poll()
        for source in self._sources:
            poll.register(source, select.POLLIN)
        while True:
            # Asked before the pipes are looked at: what was written until then is taken.
            ending = self._ending
            found = poll.poll(0 if ending else _TURN_MS)
            if ending and not found:
                return
            for source, _ in found:
                target, lines = self._sources[source]
                with suppress(BlockingIOError):
                    data = os.read(source, _CHUNK)
                    target.offer(data)
                    lines.feed(data, time.monotonic())


def copying(streams: Sequence[tuple[int, Stream]], level: Callable[[bytes], str]) -> Output:
    """From a child to our own descriptors, counted in the streams."""
    targets = [Target(fd, counts) for fd, counts in streams]
    return Output(targets, [Lines(counts, level) for _, counts in streams])
