"""Building a profile from reference rows: which bins a column gets, which columns get none, and the two passes.

Refuses to read files. Invariant: edges come from these values alone (or from an earlier profile, where asked for) and
never change afterwards; every column given ends up either in the profile or, with a reason, in `left_out`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from exporter.stats.bins import (
    OTHER,
    UNSEEN,
    Bins,
    BoolArray,
    CategoricalBins,
    FloatArray,
    NumericBins,
    Values,
    as_numbers,
    canonical,
    nameable,
)
from exporter.stats.moments import COUNT, CUBES, HIGH, LARGEST, LOW, MEAN, SQUARES
from exporter.stats.profiles.column import Hashing, PayloadColumn
from exporter.stats.profiles.joint import precision_of, strongest_pairs
from exporter.stats.profiles.levels import Measures
from exporter.stats.profiles.privacy import SCHEME, hash_category, key_id, personal, rounded_down, rounded_up
from exporter.stats.profiles.profile import LeftOut, Profile, ProfileColumn
from exporter.stats.profiles.sketch import Hitters
from exporter.stats.profiles.survey import PayloadSurvey, Plan, Survey
from exporter.stats.profiles.tally import Choice, Extras, Tally
from exporter.stats.profiles.types import Typed
from exporter.stats.profiles.weights import Weighed, weights_of

DEFAULT_BINS = 10
MAX_BINS = 20
MAX_CATEGORIES = 20
# Fewer rows than this could point at a single person, and give no stable share either.
CATEGORY_ROWS = 10
# Aspects whose words are all known have a bin for each, however rare.
CLOSED = {
    ":hour": tuple(map(str, range(24))),
    ":weekday": ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    ":form": ("valid", "empty", "invalid"),
}
PROBABILITIES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)

Chunk = Mapping[str, Typed]
Rows = Callable[[Sequence[Plan]], Iterable[Chunk]]


@dataclass(frozen=True, slots=True)
class ProfileConfig:
    """What a user may choose. `keep`: columns named on purpose, which are never taken for identifiers.

    `hash_key`: categories of features are written as hashes under it. `pairs`: whose co-moments are kept, the
    strongest few by default. `edges_from`: bins are taken from it where a column is of the same kind.
    """

    model_name: str = "*"
    model_version: str = "*"
    bins: int = DEFAULT_BINS
    keep: frozenset[str] = field(default_factory=frozenset)
    hash_key: bytes | None = None
    pairs: tuple[tuple[str, str], ...] = ()
    edges_from: Profile | None = None
    source: str = "data"
    task: str | None = None

    def validate(self) -> list[str]:
        """All problems, as sentences."""
        if 2 <= self.bins <= MAX_BINS:
            return []
        return [f"bins: {self.bins}, expected a whole number from 2 to {MAX_BINS}"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the data: its values (numbers, or text and None), its role, a mask of its null cells."""

    values: Values
    role: str = "feature"
    null: BoolArray | None = None


def build(columns: Mapping[str, Column], config: ProfileConfig) -> Profile:
    """The profile of these columns, in their order. Raises ValueError for a configuration that is not valid.

    Numbers: quantile bins, equal edges merged; at most 20 distinct values become bins of their own. Text:
    the 20 most frequent categories with at least 10 rows, the others pooled. Identifiers are left out.
    """
    plans = [
        Plan(name, column.role, _kind(column), name in config.keep or column.role != "feature")
        for name, column in columns.items()
    ]
    chunk = {name: _as_typed(column) for name, column in columns.items()}
    return build_from(plans, lambda _: [chunk], config)


def build_from(
    plans: Sequence[Plan],
    rows: Rows,
    config: ProfileConfig,
    extras: Extras | None = None,
    statistics: Sequence[Measures] = (),
) -> Profile:
    """The profile of rows that can be read several times: `rows` gives all chunks anew, typed as the plans say.

    Memory does not grow with the rows. `statistics`: of which the reference's own levels are taken. Raises
    ValueError for a configuration that is not valid.
    """
    problems = config.validate()
    if problems:
        raise ValueError("; ".join(problems))
    ignored = [LeftOut(plan.name, "ignored") for plan in plans if plan.role == "ignored"]
    plans = with_centroids([plan for plan in plans if plan.role != "ignored"], rows, config)
    survey = Survey(plans)
    for chunk in rows(plans):
        survey.update(chunk)
    choices, left = choose(survey, config)
    joint = extras or Extras()
    joint = replace(joint, pairs=_pairs(survey, choices, config))
    tally = Tally(choices, plans, joint, survey.weighed)
    for chunk in rows(plans):
        tally.update(chunk)
    return _profile(survey, tally, config, [*ignored, *left], statistics)


def with_centroids(plans: Sequence[Plan], rows: Rows, config: ProfileConfig) -> list[Plan]:
    """The plans, those of vectors with the mean of their finite rows; one more pass, only if there is a vector."""
    base = config.edges_from
    known = {c.name: c.centroid for c in base.payload if c.centroid} if base is not None else {}
    plans = [replace(plan, centroid=known.get(plan.name, ())) for plan in plans]
    wanted = [plan.name for plan in plans if plan.type == "vector" and not plan.centroid]
    if not wanted:
        return plans
    sums: dict[str, FloatArray] = {}
    counts = dict.fromkeys(wanted, 0.0)
    for chunk in rows(plans):
        weights = weights_of(plans, chunk)
        for name in wanted:
            table = chunk[name].values
            finite = np.isfinite(table).all(axis=1)
            own = np.ones(int(finite.sum())) if weights is None else weights[finite]
            sums[name] = sums.get(name, np.zeros(table.shape[1])) + own @ table[finite]
            counts[name] += float(own.sum())
    means = {name: tuple((sums[name] / counts[name]).tolist()) for name in wanted if counts[name]}
    return [replace(plan, centroid=means.get(plan.name, plan.centroid)) for plan in plans]


def choose(survey: Survey, config: ProfileConfig) -> tuple[list[Choice], list[LeftOut]]:
    """Bins for every counted column, and the columns that get none."""
    choices: list[Choice] = []
    left: list[LeftOut] = []
    for payload in survey.payload.values():
        plan = payload.plan
        if not plan.counted:
            left.append(LeftOut(plan.name, _uncounted(plan)))
            continue
        reason = payload.identifier()
        if reason is not None:
            left.append(LeftOut(plan.name, reason))
            continue
        owned = [name for name, owner in survey.owners.items() if owner == plan.name]
        if not owned:
            left.append(LeftOut(plan.name, "an aspect of another column has this name, or there are no rows"))
        for name in owned:
            found = _choice(name, payload, survey, config)
            if isinstance(found, Choice):
                choices.append(found)
            else:
                left.append(found)
    return choices, left


def _uncounted(plan: Plan) -> str:
    return "identifier" if plan.type == "identifier" else f"role {plan.role}"


def _choice(name: str, payload: PayloadSurvey, survey: Survey, config: ProfileConfig) -> Choice | LeftOut:
    plan = payload.plan
    base = _base(name, config.edges_from)
    if name in survey.numbers:
        bins = base if isinstance(base, NumericBins) else None
        return _numeric(name, plan, survey, bins, config.bins)
    hitters = survey.texts[name]
    if not hitters.counts and base is None:
        return LeftOut(name, "no value")
    personally = personal(name, hitters.counts) if plan.type == "categorical" and plan.private else None
    if personally and plan.role in ("feature", "group"):
        return LeftOut(name, f"looks like {personally}; a schema that calls it categorical keeps it")
    closed = CLOSED.get(name.removeprefix(plan.name))
    own = CategoricalBins(closed) if closed is not None and name != plan.name else category_bins(hitters)
    categories = base if isinstance(base, CategoricalBins) else own
    if not categories.categories and set(hitters.counts) <= {OTHER}:
        return LeftOut(name, "lists or objects that are no vectors of one width")
    if not categories.categories:
        return LeftOut(name, f"no category has {CATEGORY_ROWS} rows")
    shown = categories
    if config.hash_key is not None and plan.type == "categorical" and plan.role in ("feature", "group"):
        shown = hashed_bins(categories, config.hash_key)
    bare = ProfileColumn(
        name, plan.counted_role, shown, (0,) * categories.size, type=plan.type, source=plan.name
    )
    return Choice(plan, categories, bare)


def _base(name: str, earlier: Profile | None) -> Bins | None:
    if earlier is None or name not in earlier.names:
        return None
    return earlier.column(name).bins


def _numeric(name: str, plan: Plan, survey: Survey, base: NumericBins | None, bins: int) -> Choice | LeftOut:
    numbers = survey.numbers[name]
    block = numbers.block[:, 0]
    if block[COUNT] == 0:
        if base is None:
            return LeftOut(name, "no finite number")
        bare = ProfileColumn(
            name, plan.counted_role, base, (0,) * base.size, type=plan.type, source=plan.name
        )
        return Choice(plan, base, bare)
    own = base
    if own is None:
        few = numbers.few
        own = value_bins(few) if few is not None else _bins(survey.quantiles(name, _inner(bins)))
    pairs = tuple(zip(PROBABILITIES, survey.quantiles(name, PROBABILITIES).tolist(), strict=True))
    std = float(np.sqrt(block[SQUARES] / block[COUNT]))
    bare = ProfileColumn(
        *(name, plan.counted_role, own, (0,) * own.size),
        mean=float(block[MEAN]),
        std=std,
        min=rounded_down(float(block[LOW])),
        max=rounded_up(float(block[HIGH])),
        quantiles=pairs,
        skewness=_skewness(float(block[CUBES] / block[COUNT]), std),
        type=plan.type,
        source=plan.name,
    )
    return Choice(plan, own, bare)


def _skewness(cubes: float, std: float) -> float | None:
    """Third central moment over std cubed; None for a constant, and where it is beyond float64."""
    with np.errstate(all="ignore"):
        found = float(np.float64(cubes) / std / std / std) if std > 0.0 else np.inf
    return found if np.isfinite(found) else None


def quantile_bins(finite: FloatArray, bins: int = DEFAULT_BINS) -> NumericBins:
    """Bins of equal count, fewer than `bins` where quantiles tie. `finite`: not empty, up to ±1e97."""
    return _bins(np.quantile(finite, _inner(bins)))


def _bins(quantiles: FloatArray) -> NumericBins:
    return NumericBins(tuple(np.unique(quantiles + 0.0).tolist()))


def _inner(bins: int) -> list[float]:
    """The probabilities between as many bins."""
    found: list[float] = (np.arange(1, bins) / bins).tolist()
    return found


def value_bins(distinct: FloatArray) -> NumericBins:
    """One bin per value, a tail above, and below the least value an edge of its own.

    Without that edge a value that falls under the reference's least one, such as -1 in a column of 0 and 1,
    would be counted as that one. It lies half the smallest gap below; for a single value v, half of max(1,
    |v|).
    """
    values = distinct + 0.0
    with np.errstate(over="ignore"):  # values near ±1.8e308: no finite guard, then there is none
        gap = float(np.diff(values).min()) if len(values) > 1 else max(1.0, abs(float(values[0])))
        guard = min(float(values[0]) - gap / 2, float(np.nextafter(values[0], -np.inf)))
    edges = [guard, *values.tolist()] if np.isfinite(guard) else values.tolist()
    return NumericBins(tuple(edges), discrete=True)


def category_bins(hitters: Hitters) -> CategoricalBins:
    """The most frequent categories, ties by name; the rest is `<other>` if any was pooled, or `<unseen>`."""
    times = hitters.counts
    order = sorted(times, key=lambda category: (-times[category], category))
    frequent = [c for c in order if times[c] >= CATEGORY_ROWS and nameable(c)][:MAX_CATEGORIES]
    whole = hitters.exact and len(frequent) == len(order)
    return CategoricalBins(tuple(frequent), UNSEEN if whole else OTHER)


def hashed_bins(bins: CategoricalBins, key: bytes) -> CategoricalBins:
    """The same bins with hashes for names."""
    return CategoricalBins(tuple(hash_category(name, key) for name in bins.categories), bins.rest)


def _pairs(survey: Survey, choices: Sequence[Choice], config: ProfileConfig) -> tuple[tuple[str, str], ...]:
    numeric = {c.name for c in choices if isinstance(c.bins, NumericBins)}
    if config.pairs:
        return tuple(pair for pair in config.pairs if set(pair) <= numeric)
    names, table = _features(survey, choices)
    return tuple(strongest_pairs(names, table, weights=survey.weights()))


def _features(survey: Survey, choices: Sequence[Choice]) -> tuple[list[str], FloatArray]:
    """The sampled rows of the numeric features that are counted as themselves."""
    order = list(survey.numbers)
    plain = [c for c in choices if c.bare.role == "feature" and c.name == c.plan.name]
    names = [c.name for c in plain if isinstance(c.bins, NumericBins)]
    table = survey.table()[:, [order.index(name) for name in names]]
    return names, np.where(np.abs(table) <= LARGEST, table, np.nan)


def _profile(
    survey: Survey,
    tally: Tally,
    config: ProfileConfig,
    left: list[LeftOut],
    statistics: Sequence[Measures],
) -> Profile:
    hidden = any(choice.bins != choice.bare.bins for choice in tally.choices)
    hashing = Hashing(SCHEME, key_id(config.hash_key)) if hidden and config.hash_key is not None else None
    periods, levels = tally.levels(statistics)
    kept = {choice.plan.name for choice in tally.choices}
    hashed = {choice.plan.name for choice in tally.choices if choice.bins != choice.bare.bins}
    return Profile(
        tally.columns(),
        survey.rows,
        config.model_name,
        config.model_version,
        tuple(left),
        payload=tuple(
            _payload(column, column.plan.name in kept, column.plan.name in hashed, survey.weighed)
            for column in survey.payload.values()
        ),
        source=config.source,
        task=config.task,
        duplicates=survey.duplicate_share,
        hashing=hashing,
        pairs=tally.pairs(),
        precision=precision_of(*_features(survey, tally.choices), survey.weights()),
        associations=tally.associations(),
        periods=periods,
        levels=levels,
        performance=tally.result(),
    )


def _payload(column: PayloadSurvey, kept: bool, hashed: bool, weighed: Weighed | None) -> PayloadColumn:
    plan = column.plan
    identifier = not kept and column.identifier() is not None
    return PayloadColumn(
        plan.name,
        plan.role,
        "identifier" if identifier else plan.type,
        column.rows,
        column.null,
        column.nan,
        column.empty,
        column.distinct.count,
        width=column.width,
        centroid=plan.centroid,
        unit=plan.unit or ("iso" if plan.type == "datetime" else None),
        group=plan.group or plan.role == "group",
        hashed=hashed,
        effective_rows=weighed.effective if weighed is not None and plan.role == "weight" else None,
    )


def _kind(column: Column) -> str:
    return "numeric" if column.values.dtype.kind in "fiu" else "categorical"


def _as_typed(column: Column) -> Typed:
    """An array as a typed column: numbers as float64, all else as canonical categories."""
    if column.values.dtype.kind in "fiu":
        numbers = as_numbers(column.values, column.null)
        values = numbers.values.astype(np.float64, copy=False)
        missing = np.zeros(len(values), np.bool_) if column.null is None else column.null
        null = int(missing.sum())
        return Typed(values, missing, null, int(np.isnan(values).sum()) - null)
    cells = [canonical(cell) for cell in column.values.tolist()]
    if column.null is not None:
        cells = [None if null else cell for cell, null in zip(cells, column.null.tolist(), strict=True)]
    texts = np.fromiter(cells, object, len(cells))
    missing = np.array([cell is None for cell in cells], np.bool_)
    return Typed(texts, missing, int(missing.sum()))
