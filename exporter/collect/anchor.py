"""The process that stands for a component, by its id, for as long as it is the same process.

Knows neither what is read of it nor how it is found. Invariant: an id that was given to another process is not
mistaken for it: the tick at which it began is compared whenever it is asked for.
"""

from exporter.collect.contract import Finder
from exporter.host.files import Files, started

# A search walks all descriptors of the host; a restarted server is found within the first, a server that
# handed its port to a successor without ending within the second.
SEARCH_SECONDS, RECHECK_SECONDS = 10.0, 60.0


class Anchor:
    """One component's process; `source` is its id, or gives it."""

    def __init__(self, source: int | Finder, files: Files) -> None:
        self._source = source
        self._files = files
        self._held: tuple[int, int] | None = None  # the id, and the tick at which it began
        self._next_search = float("-inf")
        self._given = False

    def pid(self, now: float) -> int | None:
        """The id, None while there is none; `now` in unix seconds."""
        if self._held is not None and not self.same():
            self._held, self._next_search = None, now
        # A clock that was set back must not put the next search off for as long as it was ahead.
        if not now < self._next_search <= now + RECHECK_SECONDS:
            self._search(now)
        return self._held[0] if self._held is not None else None

    def same(self) -> bool:
        """Whether the process of the last answer still runs: to be asked again after what was read of it."""
        return self._held is not None and started(self._files, self._held[0]) == self._held[1]

    def _search(self, now: float) -> None:
        pid = self._ask()
        begun = started(self._files, pid) if pid is not None else None
        if pid is not None and begun is not None:
            self._held = pid, begun
        self._next_search = now + (SEARCH_SECONDS if self._held is None else RECHECK_SECONDS)

    def _ask(self) -> int | None:
        if not isinstance(self._source, int):
            return self._source()
        # A given id means the process that had it at first: once that has ended, the number says nothing.
        given, self._given = self._given, True
        return None if given else self._source
