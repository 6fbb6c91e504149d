"""Joined labels -> what each model version got right and wrong, added and withdrawn, as they arrive and at maturity.

Refuses to know stores and Samples. Bounded: so many outputs of versions; what is over is counted as `crowded`. Safe
for one thread that counts and others that copy.
"""

import copy
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.performance import contests, split
from exporter.analysis.performance.asked import inverse
from exporter.analysis.performance.coverage import Coverage
from exporter.analysis.performance.judged import What, Words
from exporter.analysis.performance.label import label_bytes, labels_of, readable
from exporter.analysis.performance.margins import Margins
from exporter.analysis.performance.scored import Tally
from exporter.analysis.performance.told import Outcome, Told
from exporter.analysis.performance.told import Place as OutcomePlace
from exporter.analysis.role import ROLES
from exporter.pending.row import ROW_BYTES, NotRows, RowArray, times, unpacked
from exporter.records.exchange import OTHER
from exporter.records.performance_metrics import LABEL_LAG_BUCKETS
from exporter.stats.bins import FloatArray
from exporter.stats.performance.classes import MOST_CLASSES

MOST: Final = 128
_NO_LABEL: Final = label_bytes(float("nan"), 0.0, 0)
_MOST_CLASSES: Final = 1024  # that are told apart in one output, by name or not
_TALLIES: Final = ("added", "withdrawn", "mature", "asked_added", "asked_withdrawn", "asked_mature")
Place = tuple[int, int]  # the output's id, the role's place


class Joined(NamedTuple):
    """Rows that a store handed out for one label, all as bytes; `before`: the label that counted until now."""

    rows: bytes
    label: bytes
    time: float
    before: bytes = b""


@dataclass(slots=True)
class Account:
    """What was counted of one output in one role; nothing in it ever falls. `asked_…`: see asked.py."""

    what: What
    role: str
    # Ids of classes -> label values, settled when a class is first seen: a count never moves to another name.
    classes: dict[int, str] = field(default_factory=dict)
    added: Tally = field(init=False)
    withdrawn: Tally = field(init=False)
    mature: Tally = field(init=False)
    asked_added: Tally = field(init=False)
    asked_withdrawn: Tally = field(init=False)
    asked_mature: Tally = field(init=False)

    def __post_init__(self) -> None:
        for name in _TALLIES:
            setattr(self, name, Tally(self.what))

    def weigh(self, tally: Tally, rows: RowArray, labels: NDArray[Any]) -> None:
        """Count those whose label was asked for."""
        if (weighted := inverse(rows, labels)) is not None:
            tally.update(*weighted)

    def see(self, tally: Tally, name: Callable[[int], str]) -> None:
        """Settle the names of the classes that are new in it, the first ones under their own."""
        for pair in tally.pairs:
            for number in pair:
                if number not in self.classes and len(self.classes) < _MOST_CLASSES:
                    kept = sum(value != OTHER for value in self.classes.values())
                    self.classes[number] = name(number) if kept < MOST_CLASSES else OTHER


@dataclass(slots=True)
class Lag:
    """From prediction to label, in seconds, by bucket."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(LABEL_LAG_BUCKETS) + 1))
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Standing:
    """A copy of everything counted."""

    created: float
    accounts: tuple[Account, ...]
    lags: dict[tuple[str, str, str], Lag]
    joined: dict[tuple[str, str, str], int]
    losses: dict[str, int]
    outcomes: dict[OutcomePlace, Outcome]


class Performance:
    """`whats` and `words` tell ids; they grow elsewhere."""

    def __init__(self, whats: Mapping[int, What], words: Words, margins: Margins, created: float) -> None:
        self._whats = whats
        self._words = words
        self._margins = margins
        self._created = created
        self._lock = threading.Lock()
        self._accounts: dict[Place, Account] = {}
        self._lags: dict[tuple[str, str, str], Lag] = {}
        self._joined: Counter[tuple[str, str, str]] = Counter()
        # Rows that a label met and that count nowhere, by reason; of outcomes, labels whose outcomes do not.
        self.losses = {"unknown_version": 0, "crowded": 0, "unreadable": 0, "late": 0, "outcomes": 0}
        self.told = Told(whats, margins, self.losses)
        self.met = Coverage(words.name)

    def unknown(self, joined: Sequence[Joined]) -> bool:
        """Whether any rows are of versions that are not known here."""
        rows = _rows([one for one in joined if _whole(one)])
        return rows is not None and not self._whats.keys() >= set(np.unique(rows["version"]).tolist())

    def count(self, joined: Sequence[Joined]) -> None:
        """Count what labels say of the rows that they met."""
        whole = [one for one in joined if _whole(one)]
        self.losses["unreadable"] += len(joined) - len(whole)
        if (rows := _rows(whole)) is None:
            # A later release wrote some of them: one by one, so that the others count.
            read = [one for one in whole if _rows([one]) is not None]
            self.losses["unreadable"] += len(whole) - len(read)
            whole, rows = read, _rows(read)
        if not whole or rows is None:
            return
        counts = [len(one.rows) // ROW_BYTES for one in whole]
        given = [one.label for one in whole], [one.before or _NO_LABEL for one in whole]
        sides = [np.repeat(labels_of(side), counts) for side in given]
        with self._lock:
            self._count(rows, sides, np.repeat([one.time for one in whole], counts))
            for side, sign in zip(sides, (1.0, -1.0), strict=True):
                contests.count(rows, side, counts, (self._whats, self._margins), sign)
                split.count(rows, side, counts, (self._whats, self._margins), sign)

    def _count(self, rows: RowArray, sides: list[RowArray], moments: FloatArray) -> None:
        labels, before = sides
        marks = np.stack((rows["version"], rows["role"].astype(np.uint64)), axis=1)
        for number, role in np.unique(marks, axis=0).tolist():
            places = np.flatnonzero((rows["version"] == number) & (rows["role"] == role))
            account = self._account((number, role), len(places))
            if account is None:
                continue
            own, told, old = rows[places], labels[places], before[places]
            account.added.update(own, told)
            account.weigh(account.asked_added, own, told)
            account.see(account.added, self._words.name)
            self._margins.labelled(account.what, own, told)
            corrected = old["weight"] > 0
            if corrected.any():
                account.withdrawn.update(own[corrected], old[corrected])
                account.weigh(account.asked_withdrawn, own[corrected], old[corrected])
                self._margins.labelled(account.what, own[corrected], old[corrected], -1.0)
            self._first(account, own[~corrected], moments[places][~corrected])

    def _first(self, account: Account, rows: RowArray, moments: FloatArray) -> None:
        """Rows that had no label before."""
        place = account.what.model_name, account.what.model_version, account.role
        self._joined[place] += len(rows)
        self.met.add(account.what, account.role, rows)
        lag = self._lags.setdefault(place, Lag())
        for seconds in (moments - times(rows)).tolist():
            # A clock that is behind must not make a sum fall.
            lag.counts[bisect_left(LABEL_LAG_BUCKETS, max(0.0, seconds))] += 1
            lag.total += max(0.0, seconds)

    def _account(self, place: Place, rows: int) -> Account | None:
        found = self._accounts.get(place)
        if found is not None:
            return found
        number, role = place
        what = self._whats.get(number)
        if what is None or role >= len(ROLES):
            self.losses["unknown_version"] += rows
            return None
        if len(self._accounts) >= MOST:
            self.losses["crowded"] += rows
            return None
        made = Account(what, ROLES[role])
        self._accounts[place] = made
        return made

    def release(self, tallies: Mapping[Place, tuple[Tally, Tally]]) -> None:
        """Count a cohort that has matured: all of it, and what was asked for."""
        with self._lock:
            for place, (tally, weighted) in tallies.items():
                account = self._account(place, int(tally.rows))
                if account is not None:
                    account.mature.merge(tally)
                    account.asked_mature.merge(weighted)
                    account.see(tally, self._words.name)

    def standing(self) -> Standing:
        """A copy."""
        with self._lock:
            accounts = tuple(map(_copy_of, self._accounts.values()))
            lags = {place: copy.deepcopy(lag) for place, lag in self._lags.items()}
            joined, losses = dict(self._joined), dict(self.losses)
        return Standing(self._created, accounts, lags, joined, losses, self.told.sums())


def _whole(one: Joined) -> bool:
    """Whether its bytes have lengths that can be right."""
    told = readable(one.label) and (not one.before or readable(one.before))
    return bool(one.rows) and not len(one.rows) % ROW_BYTES and told


def _rows(joined: Sequence[Joined]) -> RowArray | None:
    """The rows of all; None if any are of a layout that is not known."""
    try:
        return unpacked(b"".join([one.rows for one in joined]))
    except NotRows:
        return None


def _copy_of(account: Account) -> Account:
    made = Account(account.what, account.role, dict(account.classes))
    for name in _TALLIES:
        getattr(made, name).merge(getattr(account, name))
    return made
