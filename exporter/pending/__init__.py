"""Predictions that wait for their labels, in memory, SQLite, Redis or a signed receipt, behind one contract.

To add a store: one file whose class is a `Store`, one line in `_SCHEMES`, one line in tests/pending/stores.py.
"""

import importlib.util
from collections.abc import Callable
from typing import Final

from exporter.pending.contract import Limits, Store

__all__ = ["BadStore", "Limits", "Store", "open_store"]


class BadStore(ValueError):
    """No store is meant by this text, or what it needs is not installed; the message says what was expected."""


def open_store(where: str, limits: Limits) -> Store:
    """The store that a text names: `memory`, `sqlite:PATH`, or the URL of a Redis or Valkey server.

    Nothing is opened or connected before it is used. Raises BadStore.
    """
    scheme = where.partition(":")[0]
    make = _SCHEMES.get(scheme)
    if make is None:
        # The text may hold a password: no more of it is told than what it begins with.
        known = (
            "memory, sqlite:PATH, redis://…, rediss://…, redis+cluster://…, rediss+cluster://… or unix://…"
        )
        raise BadStore(f"a store that begins with {scheme[:16]!r} (expected {known})")
    return make(where, limits)


def _memory(where: str, limits: Limits) -> Store:
    from exporter.pending.memory import Memory

    if where != "memory":
        raise BadStore("memory takes nothing behind it")
    return Memory(limits)


def _sqlite(where: str, limits: Limits) -> Store:
    from exporter.pending.sqlite import Sqlite

    path = where.partition(":")[2]
    if not path:
        raise BadStore("sqlite: lacks its file (expected sqlite:PATH)")
    return Sqlite(path, limits)


def _redis(where: str, limits: Limits) -> Store:
    if importlib.util.find_spec("redis") is None:
        raise BadStore("a Redis store needs its client (pip install 'modeltap[redis]')")
    from exporter.pending.redis import Redis

    try:
        return Redis(where, limits)
    except ValueError as error:
        raise BadStore(f"this is no URL of a Redis server: {error}") from None


_SCHEMES: Final[dict[str, Callable[[str, Limits], Store]]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    "redis": _redis,
    "rediss": _redis,
    "redis+cluster": _redis,
    "rediss+cluster": _redis,
    "unix": _redis,
}
