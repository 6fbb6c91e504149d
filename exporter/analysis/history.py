"""History: what the analysis knows of a model's past and cannot ask anybody for, as bytes that outlive its restart.

Versions that were seen, whether the one in use has had its outcome, what descriptions and files said last. No counter
is in it: these begin at 0 with a new created time. Refuses to know files and time. Invariant: bytes that were damaged,
cut, of another form or written by something else raise SnapshotError.
"""

from typing import Final

import msgspec

from exporter.analysis.kept import checked, unchecked

_MAGIC: Final = b"modeltap history 1\n"


class KeptModel(msgspec.Struct, frozen=True):
    """A model's versions in the order in which they came; `open` while the one in use has no outcome."""

    name: str
    version: str
    since: float
    seen: tuple[str, ...]
    open: bool


class KeptServer(msgspec.Struct, frozen=True):
    """Whether the last probe found it up, and since when a start of it waits to be ready."""

    up: bool = False
    starting_since: float | None = None


class KeptDescription(msgspec.Struct, frozen=True):
    """The digests of what a description's sections said last."""

    path: str
    sections: dict[str, str]


class History(msgspec.Struct, frozen=True):
    """`identity` is of whose past it is; `files` are digests of artefacts by path."""

    identity: str
    models: tuple[KeptModel, ...] = ()
    server: KeptServer = KeptServer()
    descriptions: tuple[KeptDescription, ...] = ()
    files: dict[str, str] = {}


def packed(history: History) -> bytes:
    """With a checksum."""
    return checked(_MAGIC, history)


def unpacked(raw: bytes) -> History:
    """What was written. Raises SnapshotError."""
    return unchecked(_MAGIC, raw, History)
