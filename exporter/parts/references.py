"""The reference profiles that the owner named: read at the start, and again when their files change.

An invalid file never takes a valid profile's place: what was read of it before is kept. A folder that is empty, and a
file that is gone, are no change of mind either; a file that is gone from a folder with others is. Links are followed at
each look, so that a ConfigMap's exchange of them counts as a change.
"""

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from exporter.analysis.learning import Learning
from exporter.stats import Profile, ProfileError, load
from exporter.stats.profiles.learn import published

log = logging.getLogger("modeltap.analysis")
LOOK_SECONDS: Final = 2.0
_EXPECTED: Final = "*.json or *.json.gz expected"
_Stamp = tuple[int, int, int]


class References:
    """`profiles` are those in force. Looks block: call from a thread, one at a time."""

    def __init__(self, places: Iterable[str], learned: str = "", hash_key: str = "") -> None:
        """`learned`: a file that need not be there yet. `hash_key`: one with the key by which categories are hashed."""
        self._hash_key = hash_key
        self._learned = Path(learned) if learned else None
        self._places = (*map(Path, places), *((self._learned,) if self._learned else ()))
        self._seen = self._tried = self._stamps()
        self._kept: dict[Path, Profile] = {}
        self._read()

    @property
    def profiles(self) -> list[Profile]:
        """In the order in which they were named."""
        return list(self._kept.values())

    def publish(self, learning: Learning) -> None:
        """Write what was learned, unless another replica was first; the next looks find the file."""
        assert self._learned is not None
        try:
            profile = published(learning.profile(), self._learned)
            log.info("model %s: reference %s was learned", profile.model_name, profile.reference)
        except (ProfileError, OSError, ValueError) as error:
            log.error("what was learned is not used: %s: %s", self._learned, error)
        learning.stop()

    def look(self) -> tuple[str, ...]:
        """Read again what changed, once it has been still since the last look; `success` and `failure` as they apply.

        An empty answer means that nothing was read.
        """
        stamps = self._stamps()
        still, self._seen = stamps == self._seen, stamps
        if not still or stamps == self._tried:
            return ()
        self._tried = stamps
        before = self._references()
        valid = self._read()
        if self._references() != before:
            log.info("references read again: %s", ", ".join(self._references()) or "none")
            return ("success",) if valid else ("success", "failure")
        return ("success",) if valid else ("failure",)

    def _references(self) -> list[str]:
        return [f"{one.model_name} {one.reference}" for one in self._kept.values()]

    def _stamps(self) -> dict[Path, _Stamp | None]:
        return {file: _stamp(file) for place in self._places for file in (place, *_listed(place))}

    def _read(self) -> bool:
        """Whether all of it could be used."""
        found: dict[Path, Profile] = {}
        valid = True
        for place in self._places:
            before = {file: one for file, one in self._kept.items() if file.parent == place}
            files = _listed(place) if before or place.is_dir() else [place]
            if not files:
                log.error("reference %s: no profile in this folder; %s", place, _EXPECTED)
                valid = False
                found |= before
            for file in files:
                valid = self._take(file, found) and valid
        self._kept = found
        return valid

    def _take(self, file: Path, found: dict[Path, Profile]) -> bool:
        try:
            found[file] = load(file).opened(read_key(self._hash_key))
        except (ValueError, OSError) as error:
            if file == self._learned and isinstance(error, FileNotFoundError) and file not in self._kept:
                return True
            if file in self._kept:
                found[file] = self._kept[file]
                log.error("reference %s: %s; what was read before stays in force", file, error)
            else:
                log.error("reference %s is not used: %s", file, error)
            return False
        return True


def read_key(file: str) -> bytes:
    """What is in the file, but white space around it; no key without a file. Raises OSError."""
    return Path(file).read_bytes().strip() if file else b""


def _listed(place: Path) -> list[Path]:
    return sorted((*place.glob("*.json"), *place.glob("*.json.gz"))) if place.is_dir() else []


def _stamp(file: Path) -> _Stamp | None:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_size, found.st_ino, found.st_mtime_ns
