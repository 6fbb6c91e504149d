"""Predictions that wait for their labels: the rows of each exchange, keyed and packed, handed to a store in batches.

A row has one key, the first that it has of the configured ones; of a model with several numeric outputs each output's
rows have keys of their own, since each has a label of its own. Refuses to know stores and what a label does. Ledger, by
model version and role: every row that was predicted is kept, sampled_out, no_key, unjudged or dropped.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.batch import Form, form
from exporter.analysis.keys import FirstIds, Ids, without_ids
from exporter.analysis.known import Known
from exporter.analysis.performance import packing, segments
from exporter.analysis.performance.coverage import Coverage
from exporter.analysis.performance.gathered import Gathered
from exporter.analysis.performance.judged import NO_CLASS, Answers, What, Words, answers
from exporter.analysis.performance.margins import Margins
from exporter.analysis.performance.requests import Named, Requests
from exporter.analysis.performance.scored import CLASSIFIED
from exporter.analysis.performance.targets import Known as KnownTarget
from exporter.analysis.performance.targets import target_of
from exporter.analysis.role import ROLES
from exporter.analysis.series import Series
from exporter.pending.contract import TEXT_BYTES, Rows
from exporter.pending.row import DIGEST_BYTES, RowArray
from exporter.pending.sampling import Sampler
from exporter.records.exchange import Exchange
from exporter.records.observation import Observation
from exporter.stats import Profile
from exporter.stats.performance.band import Band
from exporter.stats.performance.classes import MOST_CLASSES

STATES: Final = ("kept", "sampled_out", "no_key", "unjudged", "dropped")
_MOST_WHATS: Final = 256
_COUNTED_TOGETHER: Final = 4096
# A `What` is asked for with every batch, and its id and hash cost as much as packing a dozen rows.
_made = lru_cache(_MOST_WHATS)(What)
# offer(rows, now) hands them to the store; False if they were dropped.
Offer = Callable[[Rows, float], bool]


class Joining:
    """`add` what an engine recorded, `flush` to hand over. In one thread."""

    def __init__(
        self, known: Known, sampler: Sampler, offer: Offer, margins: Margins, requests: Requests | None = None
    ) -> None:
        self._known = known
        self._ids = FirstIds(known.id_columns, known.join_keys)
        self._sampler = sampler
        self._offer = offer
        self._margins = margins
        self._requests = requests
        self._waiting: dict[tuple[Series, Form], Gathered] = {}
        self._uncounted: dict[tuple[What, int], list[RowArray]] = {}
        self._uncounted_rows = 0
        self.words = Words()
        self.kept = Coverage(self.words.name)
        self.whats: dict[int, What] = {}
        self.fresh: dict[int, str] = {}
        self.ledger: dict[tuple[str, str, str], Counter[str]] = {}
        self.targets: dict[tuple[str, str, str, str], tuple[str, dict[str, int]]] = {}
        self.truths: dict[tuple[str, str, str, str], KnownTarget] = {}
        self.bands: dict[tuple[str, str, str], tuple[str, tuple[Band, ...]]] = {}

    def add(self, series: Series, exchange: Exchange, found: Observation) -> None:
        """An exchange that was counted in `series`."""
        if found.rows and found.outputs:
            time = (exchange.start + exchange.duration) / 1e9
            self._keep(series, found, self._ids.of(exchange, found), time)

    def push(self, series: Series, found: Observation, ids: Sequence[str], now: float) -> None:
        """Rows that did not cross the wire; those told apart by time have lost the order of their ids."""
        if found.rows and found.outputs:
            each = tuple([(one, 0) for one in ids]) if len(ids) == found.rows else ""
            self._keep(series, found, each, found.time or now)

    def _keep(self, series: Series, found: Observation, ids: Ids, time: float) -> None:
        columns, known = found.outputs, self._known
        if known.id_columns:
            columns = without_ids(columns, known.id_columns)
            if not columns:
                return
        alike = series, form(columns)
        gathered = self._waiting.get(alike)
        if gathered is None:
            gathered = self._waiting[alike] = Gathered()
        groups = segments.places(known.label_groups, found.inputs, found.rows) if known.label_groups else None
        gathered.add(columns, found.rows, ids, time, groups)

    def flush(self, now: float) -> None:
        """Hand over what was added."""
        waiting, self._waiting = self._waiting, {}
        for (series, (names, _)), gathered in waiting.items():
            self._flush(series, names, gathered, now)

    def _flush(self, series: Series, names: tuple[str, ...], gathered: Gathered, now: float) -> None:
        key, profile = series.key, series.profile
        place = key.model_name, key.model_version, key.role
        count = self.ledger.setdefault(place, Counter(dict.fromkeys(STATES, 0)))
        if profile is not None and profile.performance is not None:
            self.bands[place] = profile.reference, profile.performance.bands
        placed = series.placed_outputs(names, gathered.members)
        found = answers(*placed, series.outputs.task, self._known, self.words)
        if isinstance(found, str):
            count["unjudged"] += gathered.rows
            return
        for answer in found:
            what = self._what(series, answer, several=len(found) > 1)
            if answer.form in CLASSIFIED and profile is not None:
                self.targets[*place[:2], what.output, key.role] = profile.reference, targets(profile)
            packed = _packed(gathered.blank(), answer)
            packed["version"], packed["role"] = what.id, ROLES.index(key.role)
            output = answer.output if len(found) > 1 else ""
            kept = self._kept(Rows(gathered.keys(output), packed), _judgeable(answer), count)
            if not kept.keys:
                continue
            chosen = self._requests.choose(what, kept.keys, kept.values) if self._requests is not None else ()
            self._hand(what, kept, count, now)
            if self._requests is not None and len(chosen):
                listed = _named([kept.keys[place] for place in chosen], gathered.ids(output))
                self._requests.offer(what, key.role, listed, kept.values[chosen])

    def _kept(self, rows: Rows, good: NDArray[np.bool_], count: Counter[str]) -> Rows:
        """Those that say something, have a key and are sampled; the others are counted."""
        keyed = np.fromiter(map(bool, rows.keys), np.bool_, len(rows.keys))
        places = np.flatnonzero(good & keyed)
        if len(places) < len(good):
            count["unjudged"] += int(np.count_nonzero(~good))
            count["no_key"] += int(np.count_nonzero(good & ~keyed))
            rows = Rows([rows.keys[place] for place in places.tolist()], rows.values[places])
        kept = self._sampler.rows(rows)
        count["sampled_out"] += len(rows.keys) - len(kept.keys)
        return kept

    def _hand(self, what: What, rows: Rows, count: Counter[str], now: float) -> None:
        if not self._offer(rows, now):
            count["dropped"] += len(rows.keys)
            return
        count["kept"] += len(rows.keys)
        self._uncounted.setdefault((what, int(rows.values["role"][0])), []).append(rows.values)
        self._uncounted_rows += len(rows.keys)
        if self._uncounted_rows >= _COUNTED_TOGETHER:
            self.count()

    def count(self) -> None:
        """Count what began to wait since the last time into margins and coverage: that costs by the call."""
        uncounted, self._uncounted = self._uncounted, {}
        self._uncounted_rows = 0
        for (what, role), parts in uncounted.items():
            rows = np.concatenate(parts)
            self._margins.predicted(what, rows)
            self.kept.add(what, ROLES[role], rows)

    def _what(self, series: Series, answer: Answers, several: bool) -> What:
        key = series.key
        aim = (
            target_of(series.profile, answer.output, several)
            if answer.form in ("number", "interval")
            else None
        )
        what = _made(
            key.model_name,
            key.model_version,
            answer.output,
            answer.form,
            answer.positive,
            _scale(series, answer),
            answer.names,
            self._known.label_groups,
            aim[0] if aim is not None else None,
        )
        if len(what.text.encode()) > TEXT_BYTES:
            # Too long for a store: rather no drift of the truth than no figures.
            what, aim = replace(what, target=None), None
        if aim is not None and series.profile is not None:
            place = key.model_name, key.model_version, answer.output, key.role
            if (known := self.truths.get(place)) is None or known.target != aim[0]:
                self.truths[place] = KnownTarget.of(series.profile, *aim)
        if what.id not in self.whats and len(self.whats) < _MOST_WHATS:
            self.whats[what.id] = what
            self.fresh[what.id] = what.text
        return what


def _scale(series: Series, answer: Answers) -> float:
    """The reference's root mean squared error, in few digits: so that replicas agree on it."""
    performance = series.profile.performance if series.profile is not None else None
    if performance is None or performance.errors is None or answer.form not in ("number", "interval"):
        return 0.0
    errors = performance.errors
    return float(f"{(errors.squares / errors.n) ** 0.5:.3g}")


def targets(profile: Profile) -> dict[str, int]:
    """Test rows by true class; of more classes than live rows are told apart by, none."""
    found = profile.performance.confusion if profile.performance is not None else None
    if found is None or len(found.classes) > MOST_CLASSES:
        return {}
    return {name: sum(row) for name, row in zip(found.classes, found.counts, strict=True)}


def _named(listed: Sequence[bytes], ids: Mapping[bytes, str]) -> list[tuple[bytes, Named]]:
    """These keys, with the ids of which their digests were made."""
    return [
        (key, Named(ids[key[:DIGEST_BYTES]], int.from_bytes(key[DIGEST_BYTES:], "little"))) for key in listed
    ]


def _judgeable(answer: Answers) -> NDArray[np.bool_]:
    """Rows that say something."""
    if answer.good is not None:
        return answer.good
    if answer.classes is not None:
        return np.asarray(answer.classes != NO_CLASS, np.bool_)
    assert answer.values is not None
    return np.asarray(np.isfinite(answer.values), np.bool_)


def _packed(rows: RowArray, answer: Answers) -> RowArray:
    """These rows, with what the answer says of each."""
    if answer.packed is not None:
        packing.put(rows, answer.packed)
        return rows
    if answer.values is not None:
        with np.errstate(over="ignore"):
            rows["value"] = answer.values
    if answer.classes is not None:
        rows["bins"] = answer.classes.astype("<u8").view("u1").reshape(-1, 8)
    elif answer.ends is not None:
        rows["bins"] = np.ascontiguousarray(answer.ends.astype("<f4")).view("u1").reshape(-1, 8)
    return rows
