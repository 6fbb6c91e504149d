"""A comparison as text for a terminal, and as a JSON document."""

from __future__ import annotations

from typing import Any

from exporter.commands.profile_report import table
from exporter.stats.profiles.compare import Differences, Row
from exporter.stats.profiles.profile import Profile, ProfileColumn

_BLOCKS = "▁▂▃▄▅▆▇█"
_EMPTY = "·"
_WIDEST = 28

Names = tuple[str, str]
Profiles = tuple[Profile, Profile]


def report(names: Names, profiles: Profiles, found: Differences) -> str:
    """The table, drifted columns first, and a line that sums it up."""
    a, b = profiles
    lines: list[tuple[str, ...]] = [
        ("column", "role", found.statistic, "floor", "critical", "level", "verdict", "reference", "compared")
    ]
    lines += [_line(row, found.statistic) for row in found.rows]
    if not any(line[5] for line in lines[1:]):
        lines = [line[:5] + line[6:] for line in lines]
    head = [
        f"reference  {names[0]}: {a.rows} rows, {a.reference}",
        f"compared   {names[1]}: {b.rows} rows",
        "",
    ]
    return "\n".join([*head, *table(lines), "", summary(found)])


def summary(found: Differences) -> str:
    """How many columns drifted, by what."""
    drifted = len(found.drifted)
    by = f"{found.statistic} above {found.effect:g}, its critical value and the reference's own level where known"
    return f"{drifted} of {found.compared} compared columns drifted ({by})"


def document(names: Names, profiles: Profiles, found: Differences) -> dict[str, Any]:
    """The comparison as JSON: the same order, every statistic."""
    sides = [
        {"name": name, "rows": profile.rows, "reference": profile.reference}
        for name, profile in zip(names, profiles, strict=True)
    ]
    return {
        "reference": sides[0],
        "compared": sides[1],
        "statistic": found.statistic,
        "effect": found.effect,
        "columns_compared": found.compared,
        "columns_drifted": len(found.drifted),
        "columns": [_row(row) for row in found.rows],
    }


def sparkline(column: ProfileColumn, highest: float) -> str:
    """A block per bin, as high as its share; `highest`: the share of a full one. Special bins only if occupied."""
    shares = shares_of(column)
    blocks = [
        _EMPTY if not share else _BLOCKS[min(7, int(8 * share / highest))] if highest else _EMPTY
        for share in shares[: column.bins.null]
    ]
    special = [_BLOCKS[min(7, int(8 * share / highest))] for share in shares[column.bins.null :] if share]
    return "".join(blocks[:_WIDEST]) + (" " + "".join(special) if special else "")


def shares_of(column: ProfileColumn) -> list[float]:
    """Share of each bin."""
    rows = column.rows
    return [count / rows if rows else 0.0 for count in column.counts]


def _line(row: Row, statistic: str) -> tuple[str, ...]:
    measure = row.measure(statistic)
    name = row.name if row.name.isprintable() else ascii(row.name)
    if measure is None:
        return (name, row.role, "", "", "", "", row.verdict, row.reason, "")
    assert row.reference is not None
    assert row.live is not None
    found = measure.drift
    highest = max(*shares_of(row.reference), *shares_of(row.live))
    level = "" if found.level is None else f"{found.level:.3f}"
    numbers = (f"{found.value:.3f}", f"{found.floor:.3f}", f"{found.critical:.3f}", level)
    return (
        *(name, row.role, *numbers, row.verdict),
        *(sparkline(row.reference, highest), sparkline(row.live, highest)),
    )


def _row(row: Row) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": row.name, "role": row.role, "type": row.type, "verdict": row.verdict}
    if row.reason:
        shown["reason"] = row.reason
    shown["measures"] = [
        {
            "statistic": one.drift.statistic,
            "value": one.drift.value,
            "floor": one.drift.floor,
            "critical": one.drift.critical,
            "level": one.drift.level,
            "p_value": one.drift.p_value,
            "verdict": one.verdict,
        }
        for one in row.measures
    ]
    for side, column in (("reference", row.reference), ("compared", row.live)):
        if column is not None:
            shown[side] = {
                "rows": column.rows,
                "missing": column.missing,
                "mean": column.mean,
                "std": column.std,
                "bins": list(column.bins.labels),
                "counts": list(column.counts),
            }
    return shown
