"""Predictions that wait for their labels: the rows of each exchange, keyed and packed, handed to a store in batches.

A row has one key, the first that it has of the configured ones; of a model with several numeric outputs each output's
rows have keys of their own, since each has a label of its own. Refuses to know stores and what a label does. Ledger, by
model version and role: every row that was predicted is kept, sampled_out, no_key, unjudged or dropped.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from exporter.analysis.batch import Members, form
from exporter.analysis.keys import Ids, first_ids, without_ids
from exporter.analysis.known import Known
from exporter.analysis.performance import packing, segments
from exporter.analysis.performance.coverage import Coverage
from exporter.analysis.performance.judged import NO_CLASS, Answers, What, Words, answers
from exporter.analysis.performance.margins import Margins
from exporter.analysis.performance.requests import Named, Requests
from exporter.analysis.performance.scored import CLASSIFIED
from exporter.analysis.performance.targets import Known as KnownTarget
from exporter.analysis.performance.targets import target_of
from exporter.analysis.role import ROLES
from exporter.analysis.series import Series
from exporter.pending.contract import TEXT_BYTES, Rows
from exporter.pending.row import DIGEST_BYTES, FIRST, RowArray, blank, keys, request_digest
from exporter.pending.sampling import Sampler
from exporter.records.exchange import Exchange
from exporter.records.observation import Columns, Observation
from exporter.stats import Profile
from exporter.stats.performance.band import Band
from exporter.stats.performance.classes import MOST_CLASSES

STATES: Final = ("kept", "sampled_out", "no_key", "unjudged", "dropped")
_MOST_WHATS: Final = 256
# offer(rows, now) hands them to the store; False if they were dropped.
Offer = Callable[[Rows, float], bool]


class _Waiting(NamedTuple):
    """One observation whose rows are not yet packed."""

    columns: Columns
    rows: int
    ids: Ids
    time: float
    groups: segments.Places | None = None


class Joining:
    """`add` what an engine recorded, `flush` to hand over. In one thread."""

    def __init__(
        self, known: Known, sampler: Sampler, offer: Offer, margins: Margins, requests: Requests | None = None
    ) -> None:
        self._known = known
        self._sampler = sampler
        self._offer = offer
        self._margins = margins
        self._requests = requests
        self._waiting: dict[Series, list[_Waiting]] = {}
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
            ids = first_ids(exchange, found, self._known.id_columns, self._known.join_keys)
            time = (exchange.start + exchange.duration) / 1e9
            self._keep(series, _Waiting(found.outputs, found.rows, ids, time, self._groups(found)))

    def push(self, series: Series, found: Observation, ids: Sequence[str], now: float) -> None:
        """Rows that did not cross the wire; those told apart by time have lost the order of their ids."""
        if found.rows and found.outputs:
            each = tuple((one, 0) for one in ids) if len(ids) == found.rows else ()
            time, groups = found.time or now, self._groups(found)
            self._keep(series, _Waiting(found.outputs, found.rows, Ids(each=each), time, groups))

    def _groups(self, found: Observation) -> segments.Places | None:
        if not self._known.label_groups:
            return None
        return segments.places(self._known.label_groups, found.inputs, found.rows)

    def _keep(self, series: Series, one: _Waiting) -> None:
        self._waiting.setdefault(series, []).append(one)

    def flush(self, now: float) -> None:
        """Hand over what was added."""
        waiting, self._waiting = self._waiting, {}
        for series, listed in waiting.items():
            for group in _grouped(listed, self._known.id_columns):
                self._flush(series, group, now)

    def _flush(self, series: Series, group: list[_Waiting], now: float) -> None:
        key = series.key
        place = key.model_name, key.model_version, key.role
        count = self.ledger.setdefault(place, Counter(dict.fromkeys(STATES, 0)))
        if series.profile is not None and series.profile.performance is not None:
            self.bands[place] = series.profile.reference, series.profile.performance.bands
        rows = sum([one.rows for one in group])
        names = tuple([column.name for column in group[0].columns])
        members: Members = [one.columns for one in group]
        found = answers(*series.placed_outputs(names, members), series.outputs.task, self._known, self.words)
        if isinstance(found, str):
            count["unjudged"] += rows
            return
        for answer in found:
            what = self._what(series, answer, several=len(found) > 1)
            if answer.form in CLASSIFIED and series.profile is not None:
                self.targets[*place[:2], what.output, place[2]] = (
                    series.profile.reference,
                    targets(series.profile),
                )
            output = answer.output if len(found) > 1 else ""
            digested, keyed = _keys(group, output)
            good = _judgeable(answer)
            count["unjudged"] += int(len(good) - np.count_nonzero(good))
            count["no_key"] += int(np.count_nonzero(good & ~keyed))
            places = np.flatnonzero(good & keyed)
            packed = _packed(group, answer)
            packed["version"], packed["role"] = what.id, ROLES.index(key.role)
            rows_of = Rows([digested[place] for place in places.tolist()], packed[places])
            kept = self._sampler.rows(rows_of)
            count["sampled_out"] += len(rows_of.keys) - len(kept.keys)
            if not kept.keys:
                continue
            chosen = self._requests.choose(what, kept.keys, kept.values) if self._requests is not None else ()
            self._hand(what, kept, count, now)
            if self._requests is not None and len(chosen):
                listed = _named([kept.keys[place] for place in chosen], group, output)
                self._requests.offer(what, key.role, listed, kept.values[chosen])

    def _hand(self, what: What, kept: Rows, count: Counter[str], now: float) -> None:
        if self._offer(kept, now):
            count["kept"] += len(kept.keys)
            self._margins.predicted(what, kept.values)
            self.kept.add(what, ROLES[int(kept.values["role"][0])], kept.values)
        else:
            count["dropped"] += len(kept.keys)

    def _what(self, series: Series, answer: Answers, several: bool) -> What:
        key = series.key
        aim = (
            target_of(series.profile, answer.output, several)
            if answer.form in ("number", "interval")
            else None
        )
        what = What(
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


def _grouped(listed: Iterable[_Waiting], id_columns: Sequence[str]) -> list[list[_Waiting]]:
    """Those whose outputs have the same names and kinds, together."""
    groups: dict[tuple[tuple[str, ...], tuple[str, ...]], list[_Waiting]] = {}
    for one in listed:
        columns = without_ids(one.columns, id_columns)
        if columns:
            # Mostly nothing was taken out, and a copy of each would cost as much as all else here.
            whole = one if columns is one.columns else one._replace(columns=columns)
            groups.setdefault(form(columns), []).append(whole)
    return list(groups.values())


def _keys(
    group: Sequence[_Waiting], output: str
) -> tuple[list[bytes], np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """The key of each row, b"" without one; and which rows have one."""
    found: list[bytes] = []
    for one in group:
        if one.ids.whole and one.rows == 1:
            found.append(request_digest(output, one.ids.whole) + FIRST)
        elif one.ids.whole:
            found += keys(request_digest(output, one.ids.whole), range(one.rows))
        elif one.ids.each:
            found += [
                keys(request_digest(output, identity), (number,))[0] if identity else b""
                for identity, number in one.ids.each
            ]
        else:
            found += [b""] * one.rows
    return found, np.array([bool(one) for one in found], np.bool_)


def _named(listed: Sequence[bytes], group: Sequence[_Waiting], output: str) -> list[tuple[bytes, Named]]:
    """These keys, with the ids of which they were made."""
    ids = [one.ids for one in group]
    texts = {one.whole for one in ids} | {identity for one in ids for identity, _ in one.each}
    known = {request_digest(output, text): text for text in texts}
    return [
        (key, Named(known[key[:DIGEST_BYTES]], int.from_bytes(key[DIGEST_BYTES:], "little")))
        for key in listed
    ]


def _judgeable(answer: Answers) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Rows that say something."""
    if answer.good is not None:
        return answer.good
    if answer.classes is not None:
        return np.asarray(answer.classes != NO_CLASS, np.bool_)
    assert answer.values is not None
    return np.asarray(np.isfinite(answer.values), np.bool_)


def _packed(group: Sequence[_Waiting], answer: Answers) -> RowArray:
    """The rows of all, one behind the other."""
    counts = [one.rows for one in group]
    packed = blank(sum(counts), group[0].time)
    if len(group) > 1:
        units = np.repeat([round(one.time * 65536) for one in group], counts)
        packed["seconds"], packed["fraction"] = np.divmod(units, 65536)
        packed["row"] = np.arange(len(packed)) - np.repeat(np.cumsum([0, *counts[:-1]]), counts)
    if group[0].groups is not None:
        packed["groups"] = np.concatenate([one.groups for one in group if one.groups is not None])
    if answer.packed is not None:
        packing.put(packed, answer.packed)
        return packed
    if answer.values is not None:
        with np.errstate(over="ignore"):
            packed["value"] = answer.values
    if answer.classes is not None:
        packed["bins"] = answer.classes.astype("<u8").view("u1").reshape(-1, 8)
    elif answer.ends is not None:
        packed["bins"] = np.ascontiguousarray(answer.ends.astype("<f4")).view("u1").reshape(-1, 8)
    return packed
