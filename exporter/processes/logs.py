"""How every process of the sidecar logs: to standard error, in one form. No line per request anywhere.

Writing never waits: a reader that stopped must not stop the model's path with it. What cannot be written at once is
dropped and counted, and the next line that can be written says how many went missing. What is said over and over is
said so often in a minute, and then counted too.
"""

import json
import logging
import os
import select
import stat
import time
from collections.abc import Callable

FORMATS = ("text", "json")
MOST_PER_MINUTE = 30  # of one message, whatever is filled into it
_MESSAGES = 256  # told apart at once
_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_PIECE = select.PIPE_BUF  # what a pipe takes whole or not at all
Write = Callable[[bytes], int]


class Json(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, logger, message, pid; trace_id and exception where known."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, in ASCII."""
        whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        found = {
            "time": f"{whole}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "pid": record.process,
        }
        if trace_id := getattr(record, "trace_id", ""):
            found["trace_id"] = trace_id
        if repeated := getattr(record, "repeated", 0):
            found["repeated"] = repeated
        if record.exc_info:
            found["exception"] = self.formatException(record.exc_info)
        return json.dumps(found)


class Seldom(logging.Filter):
    """Lets MOST_PER_MINUTE records of a message pass; the first of the next minute tells how many did not."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: dict[tuple[str, str], list[float]] = {}  # since when, passed, held back

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is written."""
        now = self._clock()
        key = (record.name, str(record.msg))
        seen = self._seen.get(key)
        if seen is None or now - seen[0] >= 60.0:
            if seen is None and len(self._seen) >= _MESSAGES:
                del self._seen[next(iter(self._seen))]
            held = int(seen[2]) if seen is not None else 0
            self._seen[key] = [now, 1.0, 0.0]
            if held:
                record.repeated = held
                record.msg = f"{record.msg} (and {held} times more in the minute before)"
            return True
        seen[1 if seen[1] < MOST_PER_MINUTE else 2] += 1
        return not seen[2]


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


def configure(level: str = "info", form: str = "text") -> None:
    """Once per process; as in the settings `log_level` and `log_format`."""
    handler = Handler(writer(2))
    handler.setFormatter(Json() if form == "json" else logging.Formatter(_TEXT))
    handler.addFilter(Seldom())
    logging.basicConfig(level=level.upper(), handlers=[handler])
