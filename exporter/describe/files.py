"""Files that a description declares: where each is, below the description's own folder, and the digest that it has.

Pure: whether links lead out of that folder is for whoever opens them. Invariant: no path that is told names anything
outside of the folder, whatever is there.
"""

import posixpath
import re
from typing import Any, Final, NamedTuple

from exporter.records.problems import Problems

MAX_FILES: Final = 64
MAX_PATH: Final = 256
_DIGEST: Final = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})")


class File(NamedTuple):
    """`path` is relative to the description; `digest` is 64 hexadecimal digits."""

    path: str
    digest: str


def parse(said: Any) -> tuple[File, ...]:
    """The files of a section `artifacts`. Problems with all that is wrong, each from the section on."""
    if len(said) > MAX_FILES:
        raise Problems([f": {len(said)} files, expected at most {MAX_FILES}"])
    wrong: list[str] = []
    found: dict[str, str] = {}
    for position, one in enumerate(said):
        if not isinstance(one, dict):
            wrong.append(f"[{position}]: {one!r}, expected a mapping with path and digest")
            continue
        path, digest = _path(one.get("path")), _digest(one.get("digest"))
        if not path:
            wrong.append(
                f"[{position}].path: {one.get('path')!r}, expected a relative path of at most {MAX_PATH} printable "
                "characters that stays in the folder of the description"
            )
        if not digest:
            wrong.append(
                f"[{position}].digest: {one.get('digest')!r}, expected sha256: and 64 hexadecimal digits"
            )
        if path and found.setdefault(path, digest) != digest:
            wrong.append(f"[{position}].path: {path!r} has two digests, expected one")
    if wrong:
        raise Problems(wrong)
    return tuple(File(*one) for one in found.items())


def _path(said: Any) -> str:
    """Without `.` and doubled slashes; "" for what is no such path, and for any step up, even one that comes back."""
    if not isinstance(said, str) or not said.isprintable() or len(said) > MAX_PATH:
        return ""
    if said.startswith("/") or ".." in said.split("/"):
        return ""
    path = posixpath.normpath(said)
    return "" if path == "." else path


def _digest(said: Any) -> str:
    found = _DIGEST.fullmatch(said) if isinstance(said, str) else None
    return found[1].lower() if found is not None else ""
