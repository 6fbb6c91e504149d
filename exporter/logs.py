"""How every process of the sidecar logs: to standard error, in one form. No line per request anywhere.

Writing never waits: a reader that stopped must not stop the model's path with it. What cannot be written at once is
dropped and counted, and the next line that can be written says how many went missing.
"""

import logging
import os
import select
import stat
from collections.abc import Callable

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_PIECE = select.PIPE_BUF  # what a pipe takes whole or not at all
Write = Callable[[bytes], int]


class Handler(logging.Handler):
    """Lines of one record may be cut where the reader falls behind."""

    def __init__(self, write: Write) -> None:
        super().__init__()
        self.dropped = 0
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        """Write it, or count it."""
        text = f"{self.format(record)}\n"
        if self.dropped:
            text = f"{self.dropped} lines could not be written\n{text}"
        data = text.encode("utf-8", "backslashreplace")
        try:
            while data:
                data = data[self._write(data[:_PIECE]) :]
        except OSError:  # full, on a full disk, or nobody reads any more
            self.dropped += 1
        else:
            self.dropped = 0


def writer(fd: int) -> Write:
    """Writes to that descriptor without waiting; OSError where it would have to."""
    kind = os.fstat(fd).st_mode
    if stat.S_ISSOCK(kind):
        return lambda data: _if_writable(fd, data)
    if stat.S_ISFIFO(kind) or stat.S_ISCHR(kind):
        try:
            # A description of our own: others share this one, and would be surprised if it did not wait.
            fd = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            return lambda data: _if_writable(fd, data)
    return lambda data: os.write(fd, data)


def _if_writable(fd: int, data: bytes) -> int:
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    if not poll.poll(0):
        raise BlockingIOError
    return os.write(fd, data)


def configure(level: str = "info") -> None:
    """Once per process; `level` as in the setting `log_level`."""
    logging.basicConfig(level=level.upper(), format=_FORMAT, handlers=[Handler(writer(2))])
