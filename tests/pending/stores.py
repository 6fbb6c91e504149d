"""Every store, made the same way, and what tests put into it."""

from collections.abc import Callable
from pathlib import Path

from exporter.pending.contract import Label, Limits, Rows, Store
from exporter.pending.memory import Memory
from exporter.pending.redis import Redis
from exporter.pending.row import RowArray, blank, keys, request_digest, unpacked, version_id
from exporter.pending.sqlite import Sqlite

T0 = 1_700_000_000.0
HOUR = 3600.0
V1, V2 = version_id("churn 1"), version_id("churn 2")
LIVE, SHADOW = 0, 1
# Name of a store -> makes one on a folder, or on the server at a URL.
STORES: dict[str, Callable[[Path, str, Limits], Store]] = {
    "memory": lambda folder, url, limits: Memory(limits),
    "sqlite": lambda folder, url, limits: Sqlite(folder / "pending.db", limits),
    "redis": lambda folder, url, limits: Redis(url, limits, timeout_seconds=20.0),
}


def key(name: str, row: int = 0) -> bytes:
    """The key of a row of a request with this id."""
    return keys(request_digest("request_id", name), [row])[0]


def rows(*names: str, time: float = T0, version: int = V1, role: int = LIVE) -> Rows:
    """One row for each id, scores in turn."""
    values = blank(len(names), time)
    values["version"], values["role"], values["row"] = version, role, 0
    values["value"] = [0.25 * (at % 4) for at in range(len(names))]
    return Rows([key(name) for name in names], values)


def label(name: str, value: bytes = b"good", time: float = T0 + 60) -> Label:
    """What turned out for an id."""
    return Label(key(name), value, time)


def told(raw: bytes) -> list[tuple[int, int]]:
    """Version and role of each packed row."""
    found: RowArray = unpacked(raw)
    return list(zip(found["version"].tolist(), found["role"].tolist(), strict=True))
