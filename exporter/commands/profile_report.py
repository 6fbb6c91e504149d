"""The table that a profile prints: what was guessed of each column, what was left out, and what is known besides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from exporter.stats.bins import NAN, NumericBins
from exporter.stats.profiles.profile import Profile, ProfileColumn

_DAY, _HOUR = 86_400, 3_600


def report(profile: Profile, bins: int) -> str:
    """All that the command guessed, and what it left out. `bins`: how many were asked for."""
    lines: list[tuple[str, ...]] = [("column", "role", "type", "bins", "missing", "notes")]
    payload = {column.name: column for column in profile.payload}
    for column in profile.columns:
        source = payload.get(column.source)
        role = source.role if source is not None else column.role
        missing = _percent(column.missing, column.rows)
        notes = "; ".join(_notes(column, bins))
        lines.append((column.name, role, column.type, str(column.bins.size), missing, notes))
    lines += [
        (left.name or "(no name)", "-", payload[left.name].type if left.name in payload else "-", "-", "-")
        + (f"left out: {left.reason}",)
        for left in profile.left_out
    ]
    head = f"{profile.rows} rows, reference {profile.reference}, for model {profile.model_name}"
    return "\n".join([f"{head}, version {profile.model_version}", *table(lines), *_besides(profile)])


def table(lines: Sequence[tuple[str, ...]]) -> list[str]:
    """Cells side by side, each column as wide as its widest."""
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def length_name(seconds: int) -> str:
    """1h, 24h, 7d, 90m."""
    if seconds % _DAY == 0 and seconds > _DAY:
        return f"{seconds // _DAY}d"
    return f"{seconds // _HOUR}h" if seconds % _HOUR == 0 else f"{seconds // 60}m"


def _notes(column: ProfileColumn, bins: int) -> Iterator[str]:
    if isinstance(column.bins, NumericBins):
        if column.min == column.max:
            yield "constant"
        elif column.bins.discrete:
            yield "one bin per value"
        elif column.bins.ranges < bins:
            yield f"ties merged, {column.bins.ranges} of {bins} bins"
        if nan := column.counts[column.bins.labels.index(NAN)]:
            yield f"{nan} NaN"
    elif pooled := column.counts[len(column.bins.categories)]:
        yield f"{_percent(pooled, column.rows)} pooled in {column.bins.rest}"
    if column.role in ("prediction", "target") and column.balance:
        name, share = max(column.balance.items(), key=lambda item: item[1])
        yield f"largest class {name}: {100 * share:.3g} %"


def _besides(profile: Profile) -> Iterator[str]:
    if profile.duplicates:
        yield f"{_share(profile.duplicates)} of the rows repeat the features of an earlier one"
    for column in profile.payload:
        if column.effective_rows is not None:
            worth = f"{profile.rows} rows are worth {column.effective_rows:.6g} equal ones"
            yield f"weighted by {column.name!r}: {worth}"
    for pair in profile.pairs:
        if pair.correlation is not None:
            yield f"pair {pair.a}, {pair.b}: correlation {pair.correlation:+.3f}"
    strongest = sorted(profile.associations, key=lambda one: (-one.cramer, one.feature))[:3]
    for one in strongest:
        rank = "" if one.rank is None else f", rank correlation {one.rank:+.3f}"
        yield f"association of {one.feature} with {one.prediction}: {one.cramer:.3f}{rank}"
    for period in profile.periods:
        known = {level.column for level in profile.levels if level.seconds == period.seconds}
        outcome = period.absent or f"own level of {len(known)} columns"
        yield f"periods of {length_name(period.seconds)}: {period.periods}, {outcome}"
    if profile.performance is not None:
        yield from _performance(profile)


def _performance(profile: Profile) -> Iterator[str]:
    found = profile.performance
    assert found is not None
    yield f"{found.rows} test rows"
    if found.confusion is not None:
        right = sum(row[place] for place, row in enumerate(found.confusion.counts))
        yield f"  right: {_share(right / max(1, sum(map(sum, found.confusion.counts))))}"
    if found.calibration is not None:
        yield f"  Brier score {found.calibration.brier:.4f} (positive: {found.calibration.positive})"
    if found.errors is not None:
        yield f"  mean error {found.errors.error / found.errors.n:.4g}"
    for period in found.periods:
        known = sum(band.seconds == period.seconds for band in found.bands)
        outcome = period.absent or f"bands of {known} figures"
        yield f"  periods of {length_name(period.seconds)}: {period.periods}, {outcome}"


def _percent(part: int, whole: int) -> str:
    return "0" if not part else f"{100 * part / whole:.2g} %"


def _share(share: float) -> str:
    return f"{100 * share:.2g} %"
