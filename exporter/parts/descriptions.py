"""Descriptions of the model that is served: read from files and folders, again when they change, and exported.

Nothing is executed. Invariants: what is read of a file system that hangs holds up nobody; what is shown is of the file
that is there now; a file that cannot be used leaves what was read before it out of sight, not in force.
"""

import os
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import BinaryIO, Final, NamedTuple

from exporter.collect import Unavailable
from exporter.collect.background import Background, Hung, Pending
from exporter.collect.hashing import Identity, identity
from exporter.describe import FORMATS, Description, File, read
from exporter.records.exchange import UNKNOWN
from exporter.records.problems import Problems
from exporter.records.sample import Sample

MAX_CHANGES: Final = 64
_SHORT: Final = 16  # digits of a section's digest


class Unreadable(Exception):
    """Something that is no description; `problems` has a line for each: where, what, what was expected."""

    def __init__(self, *problems: str) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class Change(NamedTuple):
    """`sections` that are others than before; wrong: the digest is not the one that is expected."""

    place: str
    description: Description
    sections: tuple[str, ...]
    wrong: bool
    expected: str
    at: float


def file_of(place: str) -> str:
    """A file itself, or the one of a folder that says most. Raises OSError."""
    if not os.path.isdir(place):
        return place
    names = sorted(os.listdir(place))
    for one in FORMATS:
        for name in names:
            if any(fnmatchcase(name, pattern) for pattern in one.NAMES):
                return os.path.join(place, name)
    raise FileNotFoundError(2, "no description in this folder", place)


def load(place: str, stream: BinaryIO | None = None, told: str = "") -> Description:
    """What a file or folder says, or a stream that is called as `place`. Raises Unreadable and OSError."""
    name = file_of(place) if stream is None else place
    told = told or name
    try:
        if stream is not None:
            return read(os.path.basename(name), stream)
        identity(name)  # a pipe would be waited for
        with open(name, "rb") as file:
            return read(os.path.basename(name), file)
    except Problems as error:
        raise Unreadable(*(f"{told}{problem}" for problem in error.problems)) from error


class _Read(NamedTuple):
    """A file of a description and what it says, or what is wrong with it."""

    file: str
    there: Identity
    said: Description | str


@dataclass(slots=True)
class _Place:
    """`now` and `found` are of the file that is there; `last` is what could be read last, `said` the digests of its
    sections, or what was kept of them over a restart; `judged` the digest that was told to be wrong; `files` are by
    absolute path."""

    path: str
    expected: str
    background: Background[_Read]
    now: Identity | None = None
    found: Description | None = None
    state: str = "pending"
    last: Description | None = None
    said: Mapping[str, str] | None = None
    changes: dict[str, int] = field(default_factory=dict)
    judged: str = ""
    folder: str = ""
    files: tuple[File, ...] = ()


class Descriptions:
    """The collector. `served` may be set: the names under which models are counted. One caller at a time."""

    name = "description"

    def __init__(
        self, places: tuple[tuple[str, str], ...], owner: tuple[str, str, str], wait: float = 1.0
    ) -> None:
        """`places` and the digest that each should have, "" for any; `owner`: model, owner and team, as configured;
        `wait`: seconds for a file."""
        self._created = time.time()
        self._name, self._owner, self._team = owner
        self._places = [_Place(path, digest, Background("description", wait)) for path, digest in places]
        self._changes: deque[Change] = deque(maxlen=MAX_CHANGES)
        self.served: frozenset[str] = frozenset()
        self._settled = 0.0

    def recall(self, said: Mapping[str, Mapping[str, str]], settled: float) -> None:
        """What `said` was before a restart; what changed meanwhile is counted from `settled` on, so that its counter is
        seen at 0 before."""
        for place in self._places:
            place.said = said.get(place.path)
        self._settled = settled

    @property
    def said(self) -> dict[str, dict[str, str]]:
        """By path, the digests of the sections that could be read last."""
        return {place.path: dict(place.said) for place in self._places if place.said is not None}

    @property
    def files(self) -> Iterator[tuple[str, File]]:
        """What is declared of the model's files, by the folder that they have to be in."""
        for place in self._places:
            if place.found is not None:
                yield from ((place.folder, file) for file in place.files)

    @property
    def found(self) -> list[Description]:
        """What is in force."""
        return [place.found for place in self._places if place.found is not None]

    @property
    def waited_for(self) -> list[str]:
        """Places that have not answered yet."""
        return [place.path for place in self._places if place.state == "pending"]

    def take(self) -> Iterator[Change]:
        """What changed since the last call."""
        while self._changes:
            yield self._changes.popleft()

    def collect(self, now: float) -> Iterator[Sample]:
        """Everything of the files as they are; Unavailable where nothing is said of any model."""
        self.look(now)
        if not self._places and not self._owner and not self._team:
            raise Unavailable("nothing is said of the model")
        for place in self._places:
            yield Sample("model.description.state", (place.path, place.state), 1)
        for one in self._shown():
            said = one.digest, one.source, one.run_id, one.checkpoint
            yield Sample("model.description", (self._called(one), one.version, *said), 1)
            for section, digest in one.digests.items():
                labels = (self._called(one), one.version, section, digest[:_SHORT])
                yield Sample("model.description.section", labels, 1)
        yield from self._counted()
        for name, (owner, team) in self._owners().items():
            yield Sample("model.owner", (name, owner, team), 1)

    def look(self, now: float) -> None:
        """Read what has changed; waits a second at most for each."""
        for place in self._places:
            try:
                read = place.background.ask(lambda place=place: _read(place))  # type: ignore[misc]
            except Pending:
                continue
            except Hung:
                self._lose(place, "unreadable")
                continue
            except OSError as error:
                self._lose(place, "missing" if isinstance(error, FileNotFoundError) else "unreadable")
                continue
            self._take(place, read, now)

    def _lose(self, place: _Place, state: str) -> None:
        place.now = place.found = None
        place.state = state

    def _take(self, place: _Place, read: _Read, now: float) -> None:
        said = read.said
        place.now = read.there
        if isinstance(said, str):
            place.found, place.state = None, "malformed"
            return
        if said is not place.found:
            place.folder = os.path.dirname(read.file)
            place.files = tuple(File(os.path.join(place.folder, one.path), one.digest) for one in said.files)
        place.found = place.last = said
        wrong = bool(place.expected) and said.digest != place.expected
        place.state = "mismatch" if wrong else "match" if place.expected else "unverified"
        changed: tuple[str, ...] = ()
        if place.said is None or now >= self._settled:
            changed, place.said = _changed(place.said, said.digests), said.digests
        for name in changed:
            place.changes[name] = place.changes.get(name, 0) + 1
        for name in said.sections:
            place.changes.setdefault(name, 0)
        anew = wrong and place.judged != said.digest
        place.judged = said.digest if wrong else ""
        if changed or anew:
            self._changes.append(Change(place.path, said, changed, wrong, place.expected, now))

    def _shown(self) -> list[Description]:
        """One for each model and version: what is told twice is told once."""
        return list({(self._called(one), one.version): one for one in reversed(self.found)}.values())

    def _called(self, one: Description) -> str:
        """The name under which its model is counted: its own, or the only one that there is."""
        if one.name in self.served or len(self._places) > 1:
            return one.name or self._name or UNKNOWN
        if len(self.served) == 1:
            return next(iter(self.served))
        return self._name or one.name or UNKNOWN

    def _counted(self) -> Iterator[Sample]:
        counts: dict[tuple[str, str], int] = {}
        for place in self._places:
            if place.last is None:
                continue
            for section, count in place.changes.items():
                cell = self._called(place.last), section
                counts[cell] = counts.get(cell, 0) + count
        for cell, count in counts.items():
            yield Sample("model.description.changes", cell, count, self._created)

    def _owners(self) -> dict[str, tuple[str, str]]:
        """By the name of the model: configured, or as described."""
        described = {self._called(one): (one.owner, one.team) for one in self.found}
        names = {*described, *self.served} or {self._name or UNKNOWN}
        found = {}
        for name in sorted(names):
            owner, team = described.get(name, ("", ""))
            if pair := (self._owner or owner, self._team or team):
                found[name] = pair
        return {name: pair for name, pair in found.items() if any(pair)}


def _read(place: _Place) -> _Read:
    name = file_of(place.path)
    there = identity(name)
    if there == place.now and place.found is not None:
        return _Read(name, there, place.found)
    try:
        return _Read(name, there, load(name))
    except Unreadable as error:
        return _Read(name, there, error.problems[0])


def _changed(before: Mapping[str, str] | None, after: Mapping[str, str]) -> tuple[str, ...]:
    """Names of sections that say something else; of a first description none does."""
    if before is None or before == after:
        return ()
    return tuple(name for name in dict.fromkeys((*before, *after)) if before.get(name) != after.get(name))
