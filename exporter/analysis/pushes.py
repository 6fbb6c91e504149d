"""What is pushed -> records, with the same care as for exchanges: a decoder that fails costs its body and no more.

And what the analysis has in hand meanwhile, so that the root knows what it died of. Refuses to know HTTP.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from exporter.analysis.consumer import ROUND_EXCHANGES
from exporter.analysis.engine import FAILED, Engine
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
    """`path` is where bodies are pushed to. `take` runs on the loop, one at a time; decoding runs in a thread."""

    def __init__(self, engine: Engine, in_hand: InHand, path: str) -> None:
        self._engine = engine
        self._in_hand = in_hand
        self._path = path
        self._failed = False

    async def take(self, body: bytes, lines: bool) -> list[int | str]:
        """Count what was pushed; the rows of each record, or why it was refused. Undecodable for all of them."""
        if self._engine.speakers.silent(pushed.NAME):
            raise Undecodable(SWITCHED_OFF)
        with self._in_hand.beside(pushed.NAME, self._path):
            found = await asyncio.to_thread(self._understand, body, lines, time.time())
        if found is None:
            self._engine.push(FAILED, time.time())
            raise Undecodable(FAILED)
        for start in range(0, len(found), ROUND_EXCHANGES):
            for one in found[start : start + ROUND_EXCHANGES]:
                self._engine.push(one, time.time())
            self._engine.flush(time.time())
            await asyncio.sleep(0)
        return [one if isinstance(one, str) else one.rows for one in found]

    def _understand(self, body: bytes, lines: bool, now: float) -> list[Record | str] | None:
        """The records; None where the decoder raises what it may not. Raises Undecodable, and that memory is out."""
        try:
            return pushed.decode(body, lines, now)
        except (Undecodable, MemoryError, SystemError):
            raise
        except Exception:
            if not self._failed:
                self._failed = True
                log.exception("the decoder of what is pushed failed; such bodies count as %s", FAILED)
            return None
