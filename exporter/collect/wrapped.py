"""Samples of the model that `modeltap wrap` runs, from the page on which the root counts."""

import signal
from collections.abc import Iterator

from exporter.records.model_process import Page
from exporter.records.sample import Sample

# What ends servers; these are there before the first of them, so that increase() sees it.
_USUAL_CODES = (0, 1)
_USUAL_SIGNALS = (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM)


class Wrapped:
    """One reader of the page."""

    def __init__(self, fd: int) -> None:
        self._page = Page(fd)

    def find(self) -> int | None:
        """The model's pid, if it runs."""
        return self._page.pid or None

    def samples(self) -> Iterator[Sample]:
        """Everything that is known."""
        page, created = self._page, self._page.created
        yield Sample("model.process.running", (), int(page.pid > 0))
        yield Sample("model.process.starts", (), page.starts, created)
        for reason, count in page.restarts().items():
            yield Sample("model.process.restarts", (reason,), count, created)
        for reason, code, count in page.exits():
            usual = code in (_USUAL_CODES if reason == "exit" else _USUAL_SIGNALS) or reason == "oom"
            if count or usual:
                yield Sample("model.process.exits", (reason, _code(reason, code)), count, created)
        for phase, seconds in page.phases().items():
            yield Sample("model.process.start.duration", (phase,), seconds)
        yield from self._output(created)

    def _output(self, created: float) -> Iterator[Sample]:
        found = {name: stream.counts() for name, stream in self._page.streams.items()}
        for name, (copied, *_) in found.items():
            yield Sample("model.process.output", (name,), copied, created)
        for name, (_, _, lost, _) in found.items():
            for reason, count in lost.items():
                yield Sample("model.process.output.dropped", (name, reason), count, created)
        for name, (*_, levels) in found.items():
            for level, count in levels.items():
                yield Sample("model.process.log.lines", (name, level), count, created)
        for name, (_, skipped, *_) in found.items():
            yield Sample("model.process.log.lines.skipped", (name,), skipped, created)


def _code(reason: str, code: int) -> str:
    if reason == "exit":
        return str(code)
    if reason == "oom":
        return "SIGKILL"
    try:
        return signal.Signals(code).name
    except ValueError:
        return f"SIG{code}"
