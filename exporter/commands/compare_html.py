"""A comparison as one page of HTML: no script, no font, no address; dark where the reader's system is.

Every name and category in it comes from data, so all text is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from exporter.commands.compare_table import Names, Profiles, shares_of, summary
from exporter.stats.bins import NumericBins
from exporter.stats.profiles.compare import DRIFTED, Differences, Measure, Row
from exporter.stats.profiles.profile import ProfileColumn

_STYLE = """
:root { --page: #ffffff; --card: #f6f7f9; --line: #d9dde3; --text: #1c2128; --quiet: #59636e;
        --reference: #8c959f; --live: #0a67c7; --drifted: #b42318; --same: #1a7f37; }
@media (prefers-color-scheme: dark) {
:root { --page: #14171b; --card: #1d2126; --line: #363c44; --text: #e4e8ed; --quiet: #9aa4af;
        --reference: #7a838d; --live: #58a6ff; --drifted: #ff8577; --same: #56c271; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
       font: 15px/1.45 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 72rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.45rem; margin: 0 0 .25rem; }
h2 { font-size: 1.05rem; margin: 0; overflow-wrap: anywhere; }
p { margin: .3rem 0; } .quiet { color: var(--quiet); }
.numbers { font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; margin: 1.25rem 0 2rem; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; color: var(--quiet); }
th, td { padding: .35rem 1.1rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: middle; }
td.number, th.number { text-align: right; }
td a { color: inherit; } .wide { overflow-x: auto; } .wide td:first-child { min-width: 8rem; overflow-wrap: anywhere; }
.drifted { color: var(--drifted); font-weight: 600; } .same { color: var(--same); }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 33rem), 1fr)); gap: 1rem; }
article { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; min-width: 0; }
article header { display: flex; justify-content: space-between; gap: 1rem; align-items: baseline; }
svg { display: block; width: 100%; height: auto; margin: .6rem 0 .2rem; }
svg text { fill: var(--quiet); font-size: 10px; font-family: inherit; }
.r { fill: var(--reference); } .l { fill: var(--live); } .axis { stroke: var(--line); }
.key { display: inline-block; width: .75em; height: .75em; border-radius: 2px; margin: 0 .3em 0 0; }
article table { margin: .5rem 0 0; font-size: .87rem; }
article tr:last-child td { border-bottom: 0; }
"""
_WIDTH, _HEIGHT, _FOOT, _MARGIN = 520, 140, 46, 40
_LABEL = 13


def page(names: Names, profiles: Profiles, found: Differences) -> str:
    """The page."""
    a, b = profiles
    title = f"{names[1]} against {names[0]}"
    shown = [row for row in found.rows if row.reference is not None and row.live is not None and row.measures]
    keys = (
        '<p class="quiet"><span class="key" style="background:var(--reference)"></span>reference '
        f"{escape(names[0])}, {a.rows} rows, {a.reference}<br>"
        f'<span class="key" style="background:var(--live)"></span>compared {escape(names[1])}, {b.rows} rows</p>'
    )
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta name="color-scheme" content="light dark"><title>{escape(title)}</title>',
        f"<style>{_STYLE}</style></head><body><main>",
        f"<h1>{escape(title)}</h1><p>{escape(summary(found))}</p>{keys}",
        *_table(found),
        '<div class="cards">',
        *(_card(place, row, found.statistic) for place, row in enumerate(shown)),
        "</div></main></body></html>\n",
    ]
    return "\n".join(parts)


def _table(found: Differences) -> Iterator[str]:
    known = any(one.drift.level is not None for row in found.rows for one in row.measures)
    heads = (found.statistic, "floor", "critical", *(["own level"] if known else []))
    cells = "".join(f'<th scope="col" class="number">{escape(head)}</th>' for head in heads)
    column, verdict, role, kind = (
        f'<th scope="col">{head}</th>' for head in ("column", "verdict", "role", "type")
    )
    yield f'<div class="wide"><table><thead><tr>{column}{verdict}{cells}{role}{kind}</tr></thead><tbody>'
    place = 0
    for row in found.rows:
        name = escape(row.name)
        if row.measures:
            name = f'<a href="#c{place}">{name}</a>'
            place += 1
        one = row.measure(found.statistic)
        numbers = (None,) * 4 if one is None else _numbers(one)
        cells = "".join(f'<td class="number">{_shown(value)}</td>' for value in numbers[: len(heads)])
        verdict = f"{row.verdict}: {row.reason}" if row.reason else row.verdict
        yield (
            f'<tr><td>{name}</td><td class="{_class(row)}">{escape(verdict)}</td>{cells}'
            f"<td>{escape(row.role)}</td><td>{escape(row.type)}</td></tr>"
        )
    yield "</tbody></table></div>"


def _class(row: Row) -> str:
    return row.verdict if row.verdict in (DRIFTED, "same") else "quiet"


def _numbers(measure: Measure) -> tuple[float | None, ...]:
    drift = measure.drift
    return drift.value, drift.floor, drift.critical, drift.level


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _card(place: int, row: Row, statistic: str) -> str:
    assert row.reference is not None
    assert row.live is not None
    known = any(one.drift.level is not None for one in row.measures)
    heads = ("value", "floor", "critical", *(["own level"] if known else []))
    lines = []
    for one in row.measures:
        cells = "".join(f'<td class="number">{_shown(value)}</td>' for value in _numbers(one)[: len(heads)])
        decides = " (verdict)" if one.statistic == statistic else ""
        lines.append(f"<tr><td>{escape(one.statistic)}{decides}</td>{cells}</tr>")
    shown = "".join(f'<th scope="col" class="number">{head}</th>' for head in heads)
    return (
        f'<article id="c{place}"><header><h2>{escape(row.name)}</h2>'
        f'<span class="{_class(row)}">{escape(row.verdict)}</span></header>'
        f'<p class="quiet numbers">{_moments(row.reference, row.live)}</p>'
        f"{plot(row.reference, row.live)}<table><thead><tr>"
        f'<th scope="col">statistic</th>{shown}</tr></thead><tbody>{"".join(lines)}</tbody></table></article>'
    )


def _moments(reference: ProfileColumn, live: ProfileColumn) -> str:
    said = []
    for name in ("mean", "std"):
        before, after = getattr(reference, name), getattr(live, name)
        if before is not None and after is not None:
            said.append(f"{name} {before:.4g} → {after:.4g}")
    before, after = (column.missing / max(1, column.rows) for column in (reference, live))
    said.append(f"missing {100 * before:.2g} % → {100 * after:.2g} %")
    return escape(", ".join(said))


def plot(reference: ProfileColumn, live: ProfileColumn) -> str:
    """Two bars per bin that is occupied on either side: shares of the reference and of what is compared."""
    triples = list(zip(_labels(reference), shares_of(reference), shares_of(live), strict=True))
    special, dense = reference.bins.null, _dense(reference)
    bars = [one for place, one in enumerate(triples) if one[1] or one[2] or (dense and place < special)]
    highest = max((max(before, after) for _, before, after in bars), default=0.0) or 1.0
    step = (_WIDTH - _MARGIN) / max(1, len(bars))
    turned = any(len(label) * 6 > step for label, _, _ in bars)
    foot = _FOOT if turned else 18
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + foot}" role="img" aria-label="shares of rows per bin">',
        f'<line class="axis" x1="{_MARGIN}" y1="{_HEIGHT}" x2="{_WIDTH}" y2="{_HEIGHT}"/>',
        f'<text x="0" y="12">{100 * highest:.3g} %</text><text x="0" y="{_HEIGHT}">0</text>',
    ]
    for place, bar in enumerate(bars):
        parts.append(_bar(bar, _MARGIN + step * (place + 0.5), min(26.0, step * 0.38), highest))
        parts.append(_foot(bar[0], _MARGIN + step * (place + 0.5), turned))
    return "".join([*parts, "</svg>"])


def _bar(bar: tuple[str, float, float], middle: float, width: float, highest: float) -> str:
    label, before, after = bar
    found = []
    for kind, share, left in (("r", before, middle - width), ("l", after, middle)):
        height = (_HEIGHT - 4) * share / highest
        found.append(
            f'<rect class="{kind}" x="{left:.1f}" y="{_HEIGHT - height:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}"><title>{escape(label)}: {100 * share:.3g} %</title></rect>'
        )
    return "".join(found)


def _foot(label: str, middle: float, turned: bool) -> str:
    cut = escape(label if len(label) <= _LABEL else label[: _LABEL - 1] + "…")
    x, y = f"{middle:.1f}", _HEIGHT + 12
    if not turned:
        return f'<text x="{x}" y="{y}" text-anchor="middle">{cut}</text>'
    return f'<text x="{x}" y="{y}" text-anchor="end" transform="rotate(-38 {x} {y})">{cut}</text>'


def _dense(column: ProfileColumn) -> bool:
    return isinstance(column.bins, NumericBins) and not column.bins.discrete


def _labels(column: ProfileColumn) -> list[str]:
    """What stands under a bin: its upper bound, the value itself, or the category."""
    bins = column.bins
    if not isinstance(bins, NumericBins):
        return list(bins.labels)
    specials = bins.labels[bins.null :]
    edges = _told_apart(bins.edges)
    if bins.discrete:
        return ["less", *edges[1:], "more", *specials] if edges else ["all", *specials]
    return [*(f"≤ {edge}" for edge in edges), f"> {edges[-1]}" if edges else "all", *specials]


def _told_apart(edges: tuple[float, ...]) -> list[str]:
    """The edges in as few digits as still differ."""
    for digits in range(3, 17):
        shown = [f"{edge:.{digits}g}" for edge in edges]
        if len(set(shown)) == len(shown):
            return shown
    return list(map(repr, edges))
