"""Lists of digests as `sha256sum` writes them (coreutils, GNU and BSD form) -> the digest that each file should have.

Pure. Invariant: a line that says nothing is counted, and takes no other line with it.
"""

import posixpath
import re
from dataclasses import dataclass, field
from typing import Final

# GNU: digest, space, space or asterisk, name; a leading backslash says that the name is escaped. BSD: --tag.
_GNU: Final = re.compile(r"(\\?)([0-9a-fA-F]{64}) [ *](.+)")
_BSD: Final = re.compile(r"(\\?)SHA256 \((.+)\) = ([0-9a-fA-F]{64})")
_ESCAPES: Final = {r"\\": "\\", r"\n": "\n", r"\r": "\r"}


@dataclass(frozen=True, slots=True)
class Sums:
    """`digests` by the path of the file; `bad_lines` are those that say nothing."""

    digests: dict[str, str] = field(default_factory=dict)
    bad_lines: int = 0


def parse(text: str, folder: str) -> Sums:
    """What a list in that folder says; names are relative to it. Empty lines and comments are no lines."""
    digests: dict[str, str] = {}
    bad = 0
    for line in text.split("\n"):
        line = line.removesuffix("\r")
        if not line.strip() or line.startswith("#"):
            continue
        found = _read(line)
        if found is None or "\0" in found[0]:
            bad += 1
            continue
        digests[posixpath.normpath(posixpath.join(folder, found[0]))] = found[1].lower()
    return Sums(digests, bad)


def _read(line: str) -> tuple[str, str] | None:
    """Name and digest."""
    if (gnu := _GNU.fullmatch(line)) is not None:
        escaped, digest, name = gnu.groups()
    elif (bsd := _BSD.fullmatch(line)) is not None:
        escaped, name, digest = bsd.groups()
    else:
        return None
    if escaped:
        name = re.sub(r"\\[\\nr]", lambda found: _ESCAPES[found[0]], name)
    return name, digest
