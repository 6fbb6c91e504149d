"""How far a server has come since it was started: does it listen, does it answer.

Listening is read from the kernel's tables, so the server is not bothered before it listens; a socket that was there
before the start is not the server's. An answer is that of the readiness path, or that a connection is accepted.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LISTEN: Final = "0A"
_ACCEPTS: Final = 0x10000  # __SO_ACCEPTCON
_ANSWER_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where the server is to listen: a path, or a host and a port; `ready_path` "" is a connection only."""

    host: str = ""
    port: int = 0
    path: str = ""
    ready_path: str = ""


def listening(place: Place, proc: Path = Path("/proc")) -> frozenset[str]:
    """Inodes of the sockets that listen there now, in our network namespace, on any address of that port."""
    if place.path:
        return frozenset(_unix(place.path, proc))
    found: set[str] = set()
    for table in ("tcp", "tcp6"):
        for fields in _rows(proc / "self/net" / table):
            if len(fields) > 9 and fields[3] == _LISTEN and fields[1].endswith(f":{place.port:04X}"):
                found.add(fields[9])
    return frozenset(found)


def _unix(path: str, proc: Path) -> list[str]:
    rows = _rows(proc / "self/net/unix")
    return [row[6] for row in rows if len(row) > 7 and row[7] == path and int(row[3], 16) & _ACCEPTS]


def _rows(table: Path) -> list[list[str]]:
    try:
        return [line.split() for line in table.read_text(errors="replace").splitlines()[1:]]
    except OSError:
        return []


async def answers(place: Place, seconds: float = _ANSWER_SECONDS) -> bool:
    """Whether the server answers 2xx or 3xx, or takes a connection where there is no path. Raises nothing."""
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await (
                asyncio.open_unix_connection(place.path)
                if place.path
                else asyncio.open_connection(place.host, place.port)
            )
            try:
                return not place.ready_path or await _asked(place, reader, writer)
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError, ValueError):
        return False


async def _asked(place: Place, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    host = f"[{place.host}]" if ":" in place.host else place.host or "localhost"
    writer.write(f"GET {place.ready_path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    words = (await reader.readline()).split()
    return len(words) > 1 and words[0].startswith(b"HTTP/") and words[1][:1] in (b"2", b"3")
