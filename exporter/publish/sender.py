"""One thread that takes batches and hands them to a standard OTLP exporter; shared by all signals.

Refuses to know what a batch is and how it is encoded. Invariant: whatever the collector does, the one who offers never
waits for it; each delivery is counted once, and the log gets one line per change of state, not one per failure.
"""

import gc
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, Self, TypeVar

from exporter.records.sample import Sample

_log = logging.getLogger(__name__)
_sdk_log = logging.getLogger("opentelemetry")
# How the SDK ends its attempts over HTTP; why the last of them failed is in the record before it.
_GIVES_UP = "due to timeout, max retries or shutdown"
# After the timeout of `stop` the connection is closed, which makes an export over gRPC return at once.
_LAST_WAIT_SECONDS = 0.5

Batch = TypeVar("Batch")
Batch_contra = TypeVar("Batch_contra", contravariant=True)


class Connection(Protocol[Batch_contra]):
    """A standard exporter with its encoding. `send` may block for the exporter's timeout, retries included."""

    def send(self, batch: Batch_contra) -> bool:
        """True if the collector took it. Called from the sender's thread only."""

    def refused(self) -> tuple[int, str]:
        """How many items of what it took since the last call the collector refused all the same, and why."""

    def close(self) -> None:
        """Release sockets; also called from another thread while `send` runs, and possibly twice."""


class Tally:
    """Counters of one family, all at 0 from the start; threads may add and read at the same time."""

    def __init__(self, name: str, series: tuple[tuple[str, ...], ...], created: float) -> None:
        self._name = name
        self._created = created
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(series, 0)

    def add(self, labels: tuple[str, ...], count: int = 1) -> None:
        """Count; KeyError for labels that were not declared."""
        with self._lock:
            self._counts[labels] += count

    def samples(self) -> Iterator[Sample]:
        """One sample per declared label set."""
        with self._lock:
            counts = dict(self._counts)
        for labels, count in counts.items():
            yield Sample(self._name, labels, count, self._created)


class Sender(Generic[Batch]):
    """`take` blocks until there is a batch and returns None to end; `done` hears of each batch whether it arrived.

    `connect` is called in the thread, with the first batch: it imports the SDK. `created` is the unix time in seconds
    from which the outcomes count.
    """

    def __init__(
        self,
        signal: str,
        created: float,
        connect: Callable[[], Connection[Batch]],
        take: Callable[[], Batch | None],
        done: Callable[[Batch, bool], None],
    ) -> None:
        self.outcomes = Tally("modeltap.otlp.exports", ((signal, "success"), (signal, "failure")), created)
        self.rejected = Tally("modeltap.otlp.rejected", ((signal,),), created)
        self._signal = signal
        self._connect = connect
        self._take = take
        self._done = done
        self._connection: Connection[Batch] | None = None
        self._thread: threading.Thread | None = None
        self._works: bool | None = None
        self._refuses = False
        self._given_up = False

    def start(self) -> None:
        """Start the thread; nothing if it runs already."""
        if self._thread is None:
            # A daemon: an export that hangs in a socket must not hold up the end of the process.
            self._thread = threading.Thread(target=self._run, name=f"otlp-{self._signal}", daemon=True)
            self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Wait for the thread, whose `take` has been told to end. False if it was still busy: the rest is given up."""
        thread = self._thread
        if thread is None:
            return True
        thread.join(max(timeout, 0.0))
        finished = not thread.is_alive()
        if not finished:
            self._given_up = True
            if self._connection is not None:
                self._connection.close()
            thread.join(_LAST_WAIT_SECONDS)
        return finished

    def _run(self) -> None:
        words = LastWords(threading.get_ident())
        with words:
            while not self._given_up and (batch := self._take()) is not None:
                delivered = self._deliver(batch, words)
                self.outcomes.add((self._signal, "success" if delivered else "failure"))
                self._done(batch, delivered)
                del batch
                if not delivered:
                    # The SDK keeps the exception in a frame of its own traceback: a cycle that holds the batch in all
                    # its forms, 5 MB for 2,000 series. The collections of the analysis are so rare that dozens of them
                    # would pile up; one of its own takes about 5 ms.
                    gc.collect()
            if self._connection is not None:
                self._connection.close()

    def samples(self) -> Iterator[Sample]:
        """Exports by outcome, and what was rejected of those that arrived."""
        yield from self.outcomes.samples()
        yield from self.rejected.samples()

    def _partial(self, count: int, text: str) -> None:
        self.rejected.add((self._signal,), count)
        if (count > 0) is not self._refuses:
            self._refuses = count > 0
            if count:
                _log.warning("OTLP %s: the collector refuses a part: %d items: %s", self._signal, count, text)

    def _deliver(self, batch: Batch, words: "LastWords") -> bool:
        words.text = ""
        try:
            if self._connection is None:
                self._connection = self._connect()
            delivered = self._connection.send(batch)
            self._partial(*self._connection.refused())
        except (MemoryError, SystemError):
            raise  # memory is out: it ends the process
        except Exception as error:  # noqa: BLE001 - see below
            # The thread's frame: the SDK raises whatever gRPC, requests and protobuf raise, and a thread that dies of
            # it would end telemetry without a word.
            delivered = False
            words.text = f"{type(error).__name__}: {error}"
            if self._works is not False:
                _log.exception("OTLP %s: export raised", self._signal)
        if delivered is not self._works and not self._given_up:
            self._works = delivered
            if delivered:
                _log.info("OTLP %s: exports arrive", self._signal)
            else:
                _log.warning("OTLP %s: exports fail: %s", self._signal, words.text or "no reason given")
        return delivered


class LastWords(logging.Handler):
    """Holds the SDK's logging for one thread: it logs every failure and retry, of which only the last one is kept."""

    def __init__(self, thread: int) -> None:
        super().__init__()
        self.text = ""
        self._thread = thread

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message if this thread said it, unless it only tells that no other attempt follows."""
        said = record.getMessage()
        if record.thread == self._thread and not (self.text and _GIVES_UP in said):
            self.text = said

    def __enter__(self) -> Self:
        _sdk_log.addHandler(self)
        _sdk_log.propagate = False
        return self

    def __exit__(self, *_: object) -> None:
        _sdk_log.removeHandler(self)
        _sdk_log.propagate = not any(isinstance(handler, LastWords) for handler in _sdk_log.handlers)
