"""Times as callers write them -> unix seconds. A time without a zone is none: nobody knows when that was."""

from datetime import datetime
from math import isfinite
from typing import Any, Final

from exporter.records.observation import Undecodable

# Clocks of this host and of the caller's may differ so much.
MAX_AHEAD_SECONDS: Final = 300.0


def moment(value: Any, now: float) -> float:
    """Unix seconds of a number, or of RFC 3339 with a zone. Undecodable "bad_time" for all else, and for the future."""
    if type(value) is str:
        try:
            found = datetime.fromisoformat(value)
            seconds = found.timestamp() if found.tzinfo is not None else 0.0
        except (ValueError, OverflowError):
            raise Undecodable("bad_time") from None
    else:
        seconds = float(value) if type(value) in (int, float) and abs(value) < 1e15 else 0.0
    if not isfinite(seconds) or not 0.0 < seconds <= now + MAX_AHEAD_SECONDS:
        raise Undecodable("bad_time")
    return seconds
