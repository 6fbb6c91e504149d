"""Labels against the rows that they judge -> sums of one output of one model version, and back from a cohort's cells.

Rows and labels are the bytes that stores hold. Refuses to know stores, time and Samples. Invariants: sums of parts are
those of the whole; what comes out of `cells` and goes into `put` is the same tally; every row that is handed in is in
`rows`, or in `unusable` because its label is of another kind.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.performance import grouped, listed, packing, targets
from exporter.analysis.performance.judged import NO_CLASS, What
from exporter.analysis.performance.segments import Places, settled
from exporter.pending.row import RowArray, version_id
from exporter.records.exchange import OTHER
from exporter.stats.bins import FloatArray
from exporter.stats.performance.classes import MOST_CLASSES, Table
from exporter.stats.performance.errors import ErrorLayout, Measured, QuantileLayout, Ranged, RangeLayout
from exporter.stats.performance.scores import Scored, ScoreLayout

CLASSIFIED: Final = ("classes", "binary", "chances")
SCORE_EDGES: Final = tuple(step / 20 for step in range(1, 20))
BINS: Final = (*(f"{edge:g}" for edge in SCORE_EDGES), "1")
SCORES: Final = ScoreLayout(SCORE_EDGES)
RANGES: Final = RangeLayout()
RESIDUALS: Final = (
    -3.0,
    -2.0,
    -1.0,
    -0.5,
    0.0,
    0.5,
    1.0,
    2.0,
    3.0,
)  # in root mean squared errors of the reference
_POSITIVE: Final = ("1", "true", "yes", "positive")
_NEGATIVE: Final = ("0", "false", "no", "negative")
# Which sums there may be, and the letter with which the names of their cells begin.
_PARTS: Final = {
    "scores": "s",
    "errors": "e",
    "ranges": "r",
    "listed": "l",
    "quantile": "z",
    "target": "y",
}


def errors_of(what: What) -> ErrorLayout:
    """The layout of its errors."""
    return ErrorLayout(edges=tuple(step * what.scale for step in RESIDUALS) if what.scale > 0 else ())


@dataclass(slots=True)
class Tally:
    """Sums of one output. `pairs`: rows, weights and squared weights by (true, predicted) class, as ids.

    Which of `scores`, `errors`, `ranges` and `listed` (what says several things) are there follows from the form, and
    `quantile` from the name of the output, `target` (targets.py) from its reference. Of chances `scores` are of the
    likeliest class: positive is a row of which that is right.
    """

    what: What
    rows: float = 0.0
    unusable: float = 0.0
    pairs: dict[tuple[int, int], FloatArray] = field(default_factory=dict)
    scores: FloatArray | None = None
    errors: FloatArray | None = None
    ranges: FloatArray | None = None
    listed: FloatArray | None = None
    quantile: FloatArray | None = None
    target: FloatArray | None = None
    groups: grouped.Cells = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.what.form in ("binary", "chances"):
            self.scores = np.zeros(SCORES.size)
        if (layout := listed.layout_of(self.what)) is not None:
            self.listed = np.zeros(layout.size)
        if self.what.form in ("number", "interval"):
            self.errors = np.zeros(errors_of(self.what).size)
        if self.what.form == "interval":
            self.ranges = np.zeros(RANGES.size)
        if (level := self.what.level) is not None:
            self.quantile = np.zeros(QuantileLayout(level).size)
        if self.what.target is not None:
            self.target = np.zeros(self.what.target.size)

    @property
    def layout(self) -> ErrorLayout:
        """Of `errors`."""
        return errors_of(self.what)

    def update(self, rows: RowArray, labels: NDArray[Any]) -> None:
        """Count rows, with a label each."""
        self.rows += float(len(rows))
        weights = labels["weight"].astype(np.float64)
        groups = settled(self.what.segments, rows["groups"], labels)
        if self.what.form in CLASSIFIED:
            self._classes(rows, labels["klass"], weights, groups)
        elif self.listed is not None:
            self.listed += listed.sums_of(self.what, rows, labels)
        else:
            self._numbers(rows, labels["number"], weights, groups)
        if self.what.target is not None and self.target is not None:
            self.target += targets.sums_of(self.what.target, labels, weights)

    def _classes(
        self, rows: RowArray, labels: NDArray[np.uint64], weights: FloatArray, groups: Places
    ) -> None:
        predicted = predicted_classes(rows, self.what)
        truth = _aliased(labels, predicted, self.what)
        fit = (truth != NO_CLASS) & (predicted != NO_CLASS)
        self.unusable += float(len(fit) - np.count_nonzero(fit))
        _pair(self.pairs, (truth[fit].tolist(), predicted[fit].tolist()), weights[fit])
        for segment, group, own in grouped.parts(self.what, groups):
            pairs: dict[tuple[int, int], FloatArray] = {}
            _pair(pairs, (truth[fit & own].tolist(), predicted[fit & own].tolist()), weights[fit & own])
            grouped.add_pairs(self.groups, (segment, group), pairs)
        if self.what.form == "chances":
            self._chances(rows, truth, weights)
        elif self.scores is not None:
            scored = Scored(_signs(truth, self.what), shortest(rows["value"]), weights)
            self.scores += SCORES.sums(scored)

    def _chances(self, rows: RowArray, truth: NDArray[np.uint64], weights: FloatArray) -> None:
        assert self.listed is not None and self.scores is not None
        ids = self.what.class_ids
        order = np.argsort(ids)
        near = order[np.minimum(np.searchsorted(ids, truth, sorter=order), len(ids) - 1)]
        places = np.where(ids[near] == truth, near, -1)
        self.listed += listed.chance_sums(self.what, rows, places, weights)
        _, shares = packing.likeliest(rows, len(ids))
        right = np.where(truth == NO_CLASS, np.nan, predicted_classes(rows, self.what) == truth)
        self.scores += SCORES.sums(Scored(right, shares[:, 0], weights))

    def _numbers(self, rows: RowArray, truth: FloatArray, weights: FloatArray, groups: Places) -> None:
        assert self.errors is not None
        self.unusable += float(np.isnan(truth).sum())
        layout, predicted = errors_of(self.what), shortest(rows["value"])
        self.errors += layout.sums(Measured(truth, predicted, weights))
        if self.quantile is not None and self.what.level is not None:
            self.quantile += QuantileLayout(self.what.level).sums(Measured(truth, predicted, weights))
        for segment, group, own in grouped.parts(self.what, groups):
            grouped.add_errors(self.groups, (segment, group), predicted[own] - truth[own], weights[own])
        if self.ranges is not None:
            ends = np.ascontiguousarray(rows["bins"]).view("<f4").reshape(-1, 2)
            given = Ranged(truth, shortest(ends[:, 0]), shortest(ends[:, 1]), weights)
            self.ranges += RANGES.sums(given)

    def merge(self, other: "Tally", sign: float = 1.0) -> None:
        """Take in another one of the same output; -1: take it back."""
        self.rows += sign * other.rows
        self.unusable += sign * other.unusable
        for pair, found in other.pairs.items():
            self.pairs[pair] = self.pairs.get(pair, np.zeros(3)) + sign * found
        for cell, sums in other.groups.items():
            self.groups[cell] = self.groups.get(cell, np.zeros(3)) + sign * sums
        for part in _PARTS:
            mine = getattr(self, part)
            if mine is not None:
                mine += sign * getattr(other, part)

    # ---------------------------------------------------------------- cells

    def cells(self) -> Iterator[tuple[str, float]]:
        """Short names, and what is not 0. Without weights two planes of three are as the first, and take no cells."""
        yield from (("r", self.rows), ("u", self.unusable))
        for (truth, predicted), planes in self.pairs.items():
            for plane, value in enumerate(_apart(planes).tolist()):
                yield f"c{truth:x}-{predicted:x}-{plane}", value
        yield from grouped.coded(self.groups)
        for part, letter in _PARTS.items():
            mine = getattr(self, part)
            if mine is not None:
                coded = _coded(self._planes(part), mine, -1.0)
                for slot in np.flatnonzero(coded).tolist():
                    yield f"{letter}{slot}", float(coded[slot])

    def _planes(self, part: str) -> Sequence[tuple[int, int]]:
        return listed.planes_of(self.what) if part == "listed" else _PLANES[part]

    @classmethod
    def of_cells(cls, what: What, cells: Mapping[str, float]) -> "Tally":
        """The tally of these cells, of one hour; a name that says nothing here (of a later release) is passed over."""
        made = cls(what)
        made.rows, made.unusable = cells.get("r", 0.0), cells.get("u", 0.0)
        parts = {part: letter for part, letter in _PARTS.items() if getattr(made, part) is not None}
        coded = {letter: np.zeros_like(getattr(made, part)) for part, letter in parts.items()}
        for name, value in cells.items():
            kind, rest = name[:1], name[1:]
            if kind in coded and rest.isdecimal() and int(rest) < len(coded[kind]):
                coded[kind][int(rest)] = value
            elif kind == "c":
                truth, predicted, plane = rest.split("-")
                pair = int(truth, 16), int(predicted, 16)
                made.pairs.setdefault(pair, np.zeros(3))[int(plane)] = value
        made.pairs = {pair: _together(planes) for pair, planes in made.pairs.items()}
        made.groups = grouped.decoded(cells)
        for part, letter in parts.items():
            setattr(made, part, _coded(made._planes(part), coded[letter], 1.0))
        if what.target is not None and made.target is not None:
            made.target = targets.clustered(what.target, made.target)
        return made


def losses(what: What, rows: RowArray, labels: NDArray[Any]) -> dict[str, FloatArray]:
    """What each row did wrong, by statistic; NaN of a row that cannot be judged."""
    with np.errstate(all="ignore"):
        if what.form in ("labels", "ranking"):
            return {}
        if what.form not in CLASSIFIED:
            away = np.abs(shortest(rows["value"]) - labels["number"])
            return {"absolute_error": away, "squared_error": away * away}
        predicted = predicted_classes(rows, what)
        truth = _aliased(labels["klass"], predicted, what)
        wrong = np.asarray(truth != predicted, np.float64)
        wrong[(truth == NO_CLASS) | (predicted == NO_CLASS)] = np.nan
        found = {"accuracy": wrong}
        if what.form == "binary":
            score = shortest(rows["value"])
            away = np.where((score >= 0.0) & (score <= 1.0), score, np.nan) - _signs(truth, what)
            found["brier"] = away * away
        return found


def positives(what: What, rows: RowArray, labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Rows whose truth is the positive class."""
    truth = _aliased(labels["klass"], predicted_classes(rows, what), what)
    return np.asarray(_signs(truth, what) == 1.0, np.bool_)


def table(tally: Tally, names: Mapping[int, str]) -> Table:
    """Its pairs as confusion cells: the classes with most rows by name, the others as `<other>`."""
    counts: Counter[int] = Counter()
    for pair, planes in tally.pairs.items():
        for number in pair:
            counts[number] += int(planes[0])
    kept = [number for number, _ in counts.most_common() if names.get(number, OTHER) != OTHER][:MOST_CLASSES]
    kept.sort(key=lambda number: names[number])
    places = {number: place for place, number in enumerate(kept)}
    cells, mixed = np.zeros((3, len(kept) + 1, len(kept) + 1)), np.zeros(3)
    for (truth, predicted), planes in tally.pairs.items():
        at = places.get(truth, len(kept)), places.get(predicted, len(kept))
        if at == (len(kept), len(kept)) and truth != predicted:
            mixed += np.maximum(planes, 0.0)
        else:
            cells[:, *at] += np.maximum(planes, 0.0)
    return Table((*[names[number] for number in kept], OTHER), cells, mixed)


def predicted_classes(rows: RowArray, what: What) -> NDArray[np.uint64]:
    """The id of the class of each row."""
    if what.form == "chances":
        best, _ = packing.likeliest(rows, len(what.classes))
        # A place that is none is what a broken store hands out: no class, and no end of the analysis.
        places = np.minimum(best[:, 0], len(what.classes))
        return np.append(what.class_ids, np.uint64(NO_CLASS))[places]
    found: NDArray[np.uint64] = np.ascontiguousarray(rows["bins"]).view("<u8").ravel()
    return found


def confidence(rows: RowArray, what: What) -> FloatArray:
    """The score of each row: of the positive class, or of the likeliest."""
    if what.form == "chances":
        return packing.likeliest(rows, len(what.classes))[1][:, 0]
    return shortest(rows["value"])


def score_bins(rows: RowArray, what: What) -> Iterator[tuple[int, int]]:
    """(place of a bin of scores, rows in it), of bins that have any."""
    counts = np.bincount(np.searchsorted(SCORE_EDGES, confidence(rows, what), side="left"))
    for place in np.flatnonzero(counts).tolist():
        yield place, int(counts[place])


def shortest(values: NDArray[Any]) -> FloatArray:
    """float32 as the decimal that was meant: 0.05 lies at its edge again, not a hair beyond."""
    found = np.asarray(values, np.float64)
    with np.errstate(all="ignore"):
        size = 10.0 ** (6.0 - np.floor(np.log10(np.abs(found))))
        rounded = np.asarray(np.round(found * size) / size, np.float64)
    return np.asarray(np.where(np.isfinite(rounded) & (np.abs(found) > 1e-30), rounded, found), np.float64)


def _aliased(truth: NDArray[np.uint64], predicted: NDArray[np.uint64], what: What) -> NDArray[np.uint64]:
    """Truth values for classes that are called 1 and 0, and 1 and 0 for truth values: in the model's own words."""
    found = truth.copy()
    if what.form == "binary" and what.positive in ("1", "0"):
        for names in (_POSITIVE, _NEGATIVE):
            found[np.isin(truth, _ids(names))] = _ids(names)[0]
        return found
    for own, theirs in ((("1", "0"), ("true", "false")), (("true", "false"), ("1", "0"))):
        speaks = np.isin(predicted, _ids(own))
        for word, other in zip(_ids(own), _ids(theirs), strict=True):
            found[speaks & (truth == other)] = word
    return found


def _ids(names: Sequence[str]) -> list[np.uint64]:
    return [np.uint64(version_id(name)) for name in names]


def _signs(truth: NDArray[np.uint64], what: What) -> FloatArray:
    """1 for the positive class, 0 for the other; NaN for none, and, of 1 and 0, for a third one."""
    positive = np.uint64(version_id(what.positive))
    found = np.asarray(truth == positive, np.float64)
    found[truth == NO_CLASS] = np.nan
    if what.positive in ("1", "0"):
        found[~np.isin(truth, _ids(("1", "0")))] = np.nan
    return found


def _pair(
    pairs: dict[tuple[int, int], FloatArray], sides: tuple[list[int], list[int]], weights: FloatArray
) -> None:
    listed = list(zip(*sides, strict=True))
    if (weights == 1.0).all():
        for pair, count in Counter(listed).items():
            pairs[pair] = pairs.get(pair, np.zeros(3)) + float(count)
        return
    for pair, weight in zip(listed, weights.tolist(), strict=True):
        pairs[pair] = pairs.get(pair, np.zeros(3)) + np.array((1.0, weight, weight * weight))


# Where planes of rows, weights and squared weights lie: (first, width of a plane).
_PLANES: Final = {
    "scores": ((0, SCORES.bins), (3 * SCORES.bins, SCORES.bins)),
    "errors": ((0, 1), (20, 1)),
    "ranges": ((0, 1),),
    "quantile": ((0, 1),),
    "target": (),
}


def _coded(planes: Sequence[tuple[int, int]], sums: FloatArray, sign: float) -> FloatArray:
    """Weights and squared weights less rows (-1), or with them again (1)."""
    found = sums.copy()
    for start, width in planes:
        for plane in (1, 2):
            at = start + plane * width
            found[at : at + width] += sign * sums[start : start + width]
    return found


def _apart(planes: FloatArray) -> FloatArray:
    return np.array((planes[0], planes[1] - planes[0], planes[2] - planes[0]))


def _together(planes: FloatArray) -> FloatArray:
    return np.array((planes[0], planes[1] + planes[0], planes[2] + planes[0]))
