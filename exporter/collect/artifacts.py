"""Files of the model, hashed in the background and compared with the digest that is expected of them.

One thread looks at the files every `LOOK_SECONDS` and hashes what is new, has changed or was hashed long ago, one file
at a time and no faster than it may. Invariants: what a file is, is told of the file that is there now, never of the one
before; a file system that does not answer holds up that thread alone, and its files are `unreadable` meanwhile.
"""

import glob
import itertools
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from exporter.collect import sums
from exporter.collect.contract import Unavailable
from exporter.collect.hashing import PIECE_BYTES, Changed, Hashing, Identity, Outside, identity, inside
from exporter.records.sample import Sample

log = logging.getLogger(__name__)
LOOK_SECONDS: Final = 10.0
# A look that has not ended for so long hangs.
STALE_SECONDS: Final = 60.0
# A file is let be until nobody has written to it for so long: a write within a tick of the clock shows no change.
QUIET_SECONDS: Final = 2.0
MAX_FILES: Final = 64
MAX_SUMS_BYTES: Final = 1 << 20
MAX_LABEL: Final = 256
# What cannot be read is tried again when it changes, and every so often.
RETRY_SECONDS: Final = 60.0
_MAX_FOUND: Final = 4096  # of one pattern
_MAX_CHANGES: Final = 64
State = Literal["match", "mismatch", "unverified", "missing", "unreadable", "outside", "pending", "changing"]
Outcome = Literal["finished", "changed", "failed"]


class Artifact(NamedTuple):
    """A file, or a pattern of files, and the digest (SHA-256) that is expected of it, "" for none."""

    path: str
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Watched:
    """`lists` are files of digests; `interval` is the seconds from one digest of a file to the next, `rate` bytes a
    second."""

    artifacts: tuple[Artifact, ...] = ()
    lists: tuple[str, ...] = ()
    interval: float = 21_600.0
    rate: int = 32 << 20


class Declared(NamedTuple):
    """A file that a description declares; links of it may lead nowhere but below `folder`."""

    folder: str
    path: str
    digest: str


class Change(NamedTuple):
    """What came of a digest: a file that is `wrong`, `right` again, or has `changed` from one good state to another."""

    kind: Literal["wrong", "right", "changed"]
    artifact: str
    digest: str
    expected: str
    at: float


class _Shown(NamedTuple):
    path: str
    state: State
    digest: str
    size: int
    at: float


@dataclass(slots=True)
class _File:
    """One that is watched. `now` is what is there, None for nothing that can be read; `hashed` what `digest` is of;
    `folder` is what its links may not lead out of, "" for anywhere."""

    expected: str
    folder: str = ""
    now: Identity | None = None
    error: State = "pending"
    failed: tuple[Identity, float] | None = None
    hashed: Identity | None = None
    digest: str = ""
    at: float = 0.0
    changing: bool = False
    changes: int = 0
    told: bool = False  # that it is wrong

    @property
    def state(self) -> State:
        if self.now is None:
            return self.error
        if self.now != self.hashed:
            return "changing" if self.changing else "pending"
        if not self.expected:
            return "unverified"
        return "match" if self.digest == self.expected else "mismatch"


class Artifacts:
    """The collector. `start` begins the thread; `step` is what it does over and over. `collect` from any thread."""

    name = "artifacts"

    def __init__(self, watched: Watched, created: float) -> None:
        self._watched = watched
        self._created = created
        self._files: dict[str, _File] = {}
        self._hashing: Hashing | None = None
        self._looked = 0.0
        self._left_out = {"too_many": 0, "bad_name": 0, "bad_line": 0}
        self._outcomes: dict[Outcome, int] = {"finished": 0, "changed": 0, "failed": 0}
        self._bytes = 0
        self._changes: deque[Change] = deque(maxlen=_MAX_CHANGES)
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        # What is exported, replaced as a whole: the thread writes it, others read.
        self._shown: tuple[_Shown, ...] = ()
        self._counted: tuple[tuple[str, int], ...] = ()
        self._started = False
        self._declared: tuple[Declared, ...] = ()
        self._conflicts: frozenset[str] = frozenset()
        self._recalled: dict[str, str] = {}
        self.digests: Mapping[str, str] = {}

    def recall(self, digests: Mapping[str, str]) -> None:
        """What `digests` were before a restart; before the start."""
        self._recalled, self.digests = dict(digests), dict(digests)

    def declare(self, files: tuple[Declared, ...]) -> None:
        """What descriptions declare now; compared from the next look on."""
        self._declared = files
        if self._started and not self._stopped.is_set():
            self.start()

    def start(self) -> None:
        """Begin to look and to hash, as soon as there is anything to."""
        self._started = True
        if (self._watched.artifacts or self._watched.lists or self._declared) and self._thread is None:
            # A daemon, for a read of a file system that is gone cannot be ended.
            self._thread = threading.Thread(target=self._run, name="artifacts", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Let the thread end when it next comes round. Safe twice and without a start."""
        self._stopped.set()

    def take(self) -> Iterator[Change]:
        """What changed since the last call."""
        while self._changes:
            yield self._changes.popleft()

    def collect(self, now: float) -> Iterator[Sample]:
        """Everything of the last look; Unavailable before the first."""
        if not self._looked:
            raise Unavailable("no look at files has ended yet")
        fresh = abs(now - self._looked) <= STALE_SECONDS
        for shown in self._shown:
            label = shown.path
            yield Sample("model.artifact.state", (label, shown.state if fresh else "unreadable"), 1)
            if fresh and shown.digest:
                yield Sample("model.artifact", (label, shown.digest), 1)
                yield Sample("model.artifact.size", (label,), shown.size)
                yield Sample("model.artifact.hash_time", (label,), shown.at)
        for path in sorted(self._conflicts):
            yield Sample("model.artifact.conflict", (path,), 1)
        for path, changes in self._counted:
            yield Sample("model.artifact.changes", (path,), changes, self._created)
        for outcome, count in self._outcomes.items():
            yield Sample("model.artifact.hashes", (outcome,), count, self._created)
        yield Sample("model.artifact.hashed", (), self._bytes, self._created)
        for reason, count in self._left_out.items():
            yield Sample("model.artifact.left_out", (reason,), count)

    # ---------------------------------------------------------------- the thread

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._stopped.wait(self.step(time.time()))
        self._let_go()

    def step(self, now: float) -> float:
        """Look if it is time to, take in the next piece of a file if one is due; the seconds to rest."""
        if not 0.0 <= now - self._looked < LOOK_SECONDS:
            self._look(now)
        if self._hashing is None:
            self._begin(now)
        rest = QUIET_SECONDS if self._waiting(now) else LOOK_SECONDS
        if self._hashing is not None:
            self._go_on(self._hashing, now)
            rest = PIECE_BYTES / self._watched.rate
        self._show()
        return rest

    def _look(self, now: float) -> None:
        expected, folders = self._expected()
        good = [path for path in expected if path.isprintable() and len(path) <= MAX_LABEL]
        paths = good[:MAX_FILES]
        self._left_out |= {"bad_name": len(expected) - len(good), "too_many": len(good) - len(paths)}
        for path in paths:
            if path not in self._files:
                self._files[path] = _File(expected[path], digest=self._recalled.pop(path, ""))
            found = self._files[path]
            found.folder = folders.get(path, "")
            if found.expected != expected[path]:
                found.expected = expected[path]
                self._judge(path, found, now)
            _see(found, path, now)
        for gone in self._files.keys() - set(paths):
            del self._files[gone]
        self._looked = now

    def _expected(self) -> tuple[dict[str, str], dict[str, str]]:
        """Paths and the digests that they should have, and the folders of those that descriptions alone tell of.

        A digest that is told with the path beats that of a list, which beats that of a description.
        """
        found, folders = self._configured(), {}
        conflicts = set()
        for one in self._declared:
            if one.path not in found:
                folders[one.path] = one.folder
            digest = found.get(one.path) or one.digest
            if digest != one.digest:
                conflicts.add(one.path)
            found[one.path] = digest
        for path in sorted(conflicts - self._conflicts):
            log.warning(
                "artifact %s: a description declares another digest than is expected, %s", path, found[path]
            )
        self._conflicts = frozenset(conflicts)
        return found, folders

    def _configured(self) -> dict[str, str]:
        told = self._listed()
        found = dict.fromkeys(self._watched.lists, "")
        for artifact in self._watched.artifacts:
            for path in _matching(artifact.path):
                found[path] = artifact.digest or found.get(path) or told.get(path, "")
        return found | {path: found.get(path) or digest for path, digest in told.items()}

    def _listed(self) -> dict[str, str]:
        digests: dict[str, str] = {}
        bad = 0
        for path in self._watched.lists:
            try:
                with open(path, "rb") as file:
                    text = file.read(MAX_SUMS_BYTES).decode("utf-8", "surrogateescape")
            except OSError:
                continue  # it is watched itself, and shows as missing or unreadable
            said = sums.parse(text, os.path.dirname(path))
            digests |= said.digests
            bad += said.bad_lines
        self._left_out["bad_line"] = bad
        return digests

    def _begin(self, now: float) -> None:
        """Open the file that has waited for longest: those without a digest first."""
        due = [path for path, found in self._files.items() if self._due(found, now)]
        path = min(due, key=lambda path: self._files[path].at, default=None)
        if path is None:
            return
        try:
            inside(path, self._files[path].folder)
            self._hashing = Hashing(path)
        except OSError as error:
            self._fail(path, error, now)

    def _waiting(self, now: float) -> bool:
        """Whether somebody has written to a file just now."""
        return any(
            found.now not in (None, found.hashed) and not self._due(found, now)
            for found in self._files.values()
        )

    def _due(self, found: _File, now: float) -> bool:
        if found.now is None:
            return False
        if found.now == found.hashed:
            return not 0.0 <= now - found.at < self._watched.interval
        # A file from the future is not waited for.
        return not 0.0 <= now - max(found.now.modified, found.now.changed) / 1e9 < QUIET_SECONDS

    def _go_on(self, hashing: Hashing, now: float) -> None:
        before = hashing.read
        try:
            over = hashing.step()
            if over and hashing.path in self._files:
                inside(hashing.path, self._files[hashing.path].folder)
        except Changed:
            self._outcomes["changed"] += 1
            if (found := self._files.get(hashing.path)) is not None:
                found.changing = True
                _see(found, hashing.path, now)
            over = True
        except OSError as error:
            self._fail(hashing.path, error, now)
            over = True
        else:
            if over:
                self._finish(hashing, now)
        self._bytes += hashing.read - before
        if over:
            self._let_go()

    def _finish(self, hashing: Hashing, now: float) -> None:
        self._outcomes["finished"] += 1
        found = self._files.get(hashing.path)
        if found is None:
            return
        before = found.digest
        found.now = found.hashed = hashing.identity
        found.digest, found.at, found.changing = hashing.digest, now, False
        if before and before != found.digest:
            found.changes += 1
            self._say("changed", hashing.path, found, now)
        self._judge(hashing.path, found, now)

    def _judge(self, path: str, found: _File, now: float) -> None:
        """Tell of a file that is not what it should be, once; and when it is again."""
        wrong = found.state == "mismatch"
        if wrong is not found.told and found.state in ("match", "mismatch"):
            found.told = wrong
            self._say("wrong" if wrong else "right", path, found, now)

    def _say(self, kind: Literal["wrong", "right", "changed"], path: str, found: _File, now: float) -> None:
        self._changes.append(Change(kind, path, found.digest, found.expected, now))

    def _fail(self, path: str, error: OSError, now: float) -> None:
        self._outcomes["failed"] += 1
        found = self._files.get(path)
        if found is None:
            return
        if found.now is not None:
            found.failed = found.now, now
        _tell(found, path, error)

    def _let_go(self) -> None:
        if self._hashing is not None:
            self._hashing.close()
        self._hashing = None

    def _show(self) -> None:
        self._shown = tuple(_shown(path, found) for path, found in self._files.items())
        self._counted = tuple((path, found.changes) for path, found in self._files.items())
        self.digests = {path: found.digest for path, found in self._files.items() if found.digest}


def _shown(path: str, found: _File) -> _Shown:
    current = found.now is not None and found.now == found.hashed
    size = found.now.size if found.now is not None else 0
    return _Shown(path, found.state, found.digest if current else "", size, found.at)


def _see(found: _File, path: str, now: float) -> None:
    """What is there now."""
    try:
        inside(path, found.folder)
        there = identity(path)
    except OSError as error:
        _tell(found, path, error)
        return
    if found.failed is not None:
        identity_then, at = found.failed
        if there == identity_then and 0.0 <= now - at < RETRY_SECONDS:
            return
    found.now, found.failed = there, None


def _tell(found: _File, path: str, error: OSError) -> None:
    """It is not to be read: one line of the log for each change of why."""
    word = _word(error)
    if found.now is not None or found.error != word:
        log.warning("artifact %s is %s: %s", path, word, error.strerror)
    found.now, found.error = None, word


def _word(error: OSError) -> State:
    if isinstance(error, Outside):
        return "outside"
    return "missing" if isinstance(error, FileNotFoundError | NotADirectoryError) else "unreadable"


def _matching(pattern: str) -> Iterable[str]:
    """The files of a pattern; the pattern itself where it is a plain path, a file's own name, or has no file."""
    if not glob.has_magic(pattern) or os.path.lexists(pattern):
        return (pattern,)
    found = itertools.islice(glob.iglob(pattern, recursive=True), _MAX_FOUND)
    return sorted(path for path in found if not os.path.isdir(path)) or (pattern,)
