"""What is pushed -> records, with the same care as for exchanges: a decoder that fails costs its body and no more.

And what the analysis has in hand meanwhile, so that the root knows what it died of. Refuses to know HTTP.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from exporter.analysis.engine import FAILED
from exporter.decode import pushed
from exporter.decode.pushed import Record
from exporter.records.observation import Undecodable

log = logging.getLogger(__name__)
SWITCHED_OFF: Final = "switched_off"
EXPECTED: Final = {
    **pushed.EXPECTED,
    FAILED: "nothing else: the decoder failed, which the log tells once",
    SWITCHED_OFF: "another time: what was pushed ended the analysis again and again",
}


class InHand:
    """`tell` gets what the analysis works on when that changes: an exchange, else what a thread does beside them."""

    def __init__(self, tell: Callable[[str, str], None]) -> None:
        self._tell = tell
        self._told = self._beside = ("", "")

    def take(self, protocol: str, path: str) -> None:
        """An exchange comes next."""
        if self._told != (protocol, path):
            self._told = protocol, path
            self._tell(protocol, path)

    def rest(self) -> None:
        """No exchange is in hand."""
        self.take(*self._beside)

    @contextmanager
    def beside(self, protocol: str, path: str) -> Iterator[None]:
        """Within, that is in hand whenever no exchange is."""
        self._beside = protocol, path
        self.rest()
        try:
            yield
        finally:
            self._beside = ("", "")
            self.rest()


class Pushes:
    """`understand` in any thread; raises Undecodable, and that memory is out."""

    def __init__(self) -> None:
        self._failed = False

    def understand(self, body: bytes, lines: bool, now: float) -> list[Record | str]:
        """The records of a body; Undecodable(FAILED) where the decoder raises what it may not."""
        try:
            return pushed.decode(body, lines, now)
        except (Undecodable, MemoryError, SystemError):
            raise
        except Exception as error:
            if not self._failed:
                self._failed = True
                log.exception("the decoder of what is pushed failed; such bodies count as %s", FAILED)
            raise Undecodable(FAILED) from error
