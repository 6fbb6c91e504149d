"""Results into text for the terminal and into JSON.

Refuses to compute: numbers come from `figures`. An invalid figure is shown as the word, its reasons below.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.bars import BARS, Bar
from bench.figures import TOTAL, Figure, Metric, Outcome, figure, ratio, roles
from bench.peer import Peer
from bench.runner import Results
from bench.scenario import Scenario, observers

REFERENCE = "haproxy"
ABSENT = "-"
# Per cent; below it "everything observed" would not be true.
OBSERVED_OWED = 99.0

Rounds = Mapping[str, Sequence[Outcome]]


@dataclass(frozen=True, slots=True)
class Reached:
    """What a run gives for one figure to reach; None where it was not measured."""

    value: float | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Row:
    """One figure to reach, by the sidecar's name and its builds'."""

    bar: Bar
    reached: Mapping[str, Reached]


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure of one peer or of a part of it, with its ratio to the reference peer."""

    peer: str
    role: str
    metric: Metric
    figure: Figure
    ratio: float | None


def cells(scenario: Scenario, rounds: Rounds) -> list[Cell]:
    """Every figure of a scenario. Parts of a peer are compared with the whole reference."""
    found = []
    for metric in scenario.metrics:
        compared = metric.compared and REFERENCE in rounds
        reference = figure(metric, TOTAL, REFERENCE, rounds) if compared else None
        for peer, outcomes in rounds.items():
            for role in roles(outcomes, metric.name) or [TOTAL]:
                made = figure(metric, role, peer, rounds)
                if made is not None:
                    found.append(Cell(peer, role, metric, made, ratio(made, reference)))
    return found


def in_order(rounds: Rounds, peers: Sequence[Peer]) -> Rounds:
    """The same rounds with the peers in the plan's order, whoever had the first turn."""
    return {peer.name: rounds[peer.name] for peer in peers if peer.name in rounds}


def number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}"


def spread(made: Figure, metric: Metric) -> str:
    """`median (min..max)`, or `invalid`."""
    if not made.valid:
        return "invalid"
    middle = number(made.median, metric.digits)
    if made.rounds == 1:
        return middle
    return f"{middle} ({number(made.low, metric.digits)}..{number(made.high, metric.digits)})"


def grid(rows: Sequence[Sequence[str]]) -> str:
    """Rows in aligned columns: the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        rest = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        lines.append("  ".join([row[0].ljust(widths[0]), *rest]).rstrip())
    return "\n".join(lines)


def table(scenario: Scenario, rounds: Rounds) -> str:
    """One scenario: a row per peer, its parts indented under it."""
    by_key = {(cell.peer, cell.role, cell.metric.name): cell for cell in cells(scenario, rounds)}
    names = dict.fromkeys((peer, role) for peer in rounds for role in _all_roles(scenario, rounds[peer]))
    shown = [m for m in scenario.metrics if any(key[2] == m.name for key in by_key)]
    header = [""]
    for metric in shown:
        header += [metric.unit, f"vs {REFERENCE}"] if metric.compared else [metric.unit]
    rows = [header]
    for peer, role in names:
        row = [f"  {role}" if role else peer]
        for metric in shown:
            cell = by_key.get((peer, role, metric.name))
            row.append(spread(cell.figure, metric) if cell else ABSENT)
            if metric.compared:
                row.append(f"{cell.ratio:.2f}x" if cell and cell.ratio is not None else ABSENT)
        rows.append(row)
    return f"{scenario.name}: {scenario.title}\n{grid(rows)}"


def _all_roles(scenario: Scenario, outcomes: Sequence[Outcome]) -> list[str]:
    found = [role for metric in scenario.metrics for role in roles(outcomes, metric.name)]
    return list(dict.fromkeys([TOTAL, *found]))


def bars(results: Results, scenarios: Iterable[Scenario], peers: Sequence[Peer]) -> list[Row]:
    """Each figure to reach with what this run gives for the sidecar and for each build of it.

    Where the sidecar did not observe everything, the verdict says how much it did.
    """
    known = {scenario.name: {metric.name: metric for metric in scenario.metrics} for scenario in scenarios}
    return [
        Row(bar, {peer.name: _reached(bar, peer.name, results, known) for peer in _ours(peers)})
        for bar in BARS
    ]


def _ours(peers: Sequence[Peer]) -> list[Peer]:
    return [peer for peer in peers if observers(peer) and not peer.variant]


def _reached(bar: Bar, peer: str, results: Results, known: Mapping[str, Mapping[str, Metric]]) -> Reached:
    rounds = results.outcomes.get(bar.scenario, {})
    if bar.scenario not in known or peer not in rounds or (bar.against and bar.against not in rounds):
        return Reached(None, bar.verdict(None))
    metrics = known[bar.scenario]
    mine = figure(metrics[bar.metric], bar.role, peer, rounds)
    if bar.against:
        value = ratio(mine, figure(metrics[bar.metric], TOTAL, bar.against, rounds))
    else:
        value = mine.median if mine is not None and mine.valid else None
    verdict = bar.verdict(value)
    observed = figure(metrics["observed"], TOTAL, peer, rounds) if "observed" in metrics else None
    if value is not None and observed is not None and observed.median < OBSERVED_OWED:
        verdict = f"{verdict}, {observed.median:.0f} % observed".removeprefix(", ")
    return Reached(value, verdict)


def bars_table(rows: Sequence[Row]) -> str:
    """The figures as text: one line for each build of the sidecar."""
    lines = [["figures to reach", "against", "of", "measured", "bar", "goal", "reached"]]
    for row in rows:
        for peer, reached in row.reached.items():
            bar = row.bar
            measured = _with_unit(reached.value, bar)
            limits = [_limit(bar.bar, bar), _limit(bar.goal, bar)]
            lines.append(
                [bar.what, bar.against or ABSENT, peer, measured, *limits, reached.verdict or ABSENT]
            )
    return grid(lines)


def markdown(rows: Sequence[Row], facts: Mapping[str, str]) -> str:
    """The figures as a table for a page, a column for each build of the sidecar, and where they were taken."""
    names = list(rows[0].reached) if rows else []
    lines = [["figure", "against", *names, "bar", "goal"], ["---"] * (len(names) + 4)]
    for row in rows:
        cells_ = [_with_verdict(row.reached[name], row.bar) for name in names]
        limits = [_limit(row.bar.bar, row.bar), _limit(row.bar.goal, row.bar)]
        lines.append([row.bar.what, row.bar.against, *cells_, *limits])
    table_ = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    told = "; ".join(f"{key}: {value}" for key, value in facts.items())
    return f"{table_}\n\n{told}.\n"


def _with_unit(value: float | None, bar: Bar) -> str:
    return ABSENT if value is None else number(value, bar.digits) + bar.unit


def _with_verdict(reached: Reached, bar: Bar) -> str:
    shown = _with_unit(reached.value, bar)
    return f"{shown} ({reached.verdict})" if reached.value is not None and reached.verdict else shown


def _limit(value: float | None, bar: Bar) -> str:
    sign = "≤" if bar.better == "lower" else "≥"
    return ABSENT if value is None else f"{sign} {value:g}{bar.unit}"


def text(
    results: Results, scenarios: Sequence[Scenario], peers: Sequence[Peer], facts: Mapping[str, str]
) -> str:
    """The whole report for a terminal."""
    parts = ["\n".join(f"{key}: {value}" for key, value in facts.items())]
    for scenario in scenarios:
        parts.append(table(scenario, in_order(results.outcomes[scenario.name], peers)))
    if _ours(peers):
        parts.append(bars_table(bars(results, scenarios, peers)))
    if results.notes:
        parts.append("\n".join(["to be known:", *(f"  {line}" for line in results.notes)]))
    if results.problems:
        parts.append("\n".join(["invalid, because:", *(f"  {line}" for line in results.problems)]))
    return "\n\n".join(parts)


def document(
    results: Results, scenarios: Sequence[Scenario], peers: Sequence[Peer], facts: Mapping[str, str]
) -> dict[str, object]:
    """The whole report for JSON: figures, every round's readings, facts, problems."""
    return {
        "facts": dict(facts),
        "reference": REFERENCE,
        "valid": not results.problems,
        "problems": results.problems,
        "notes": results.notes,
        "peers": {peer.name: peer.title for peer in peers},
        "scenarios": [_scenario(s, in_order(results.outcomes[s.name], peers)) for s in scenarios],
        "bars": [_bar(row) for row in bars(results, scenarios, peers)],
    }


def _scenario(scenario: Scenario, rounds: Rounds) -> dict[str, object]:
    return {
        "name": scenario.name,
        "title": scenario.title,
        "figures": [_cell(cell) for cell in cells(scenario, rounds)],
        "rounds": {peer: [_outcome(outcome) for outcome in outcomes] for peer, outcomes in rounds.items()},
    }


def _cell(cell: Cell) -> dict[str, object]:
    made = cell.figure
    valid = made.valid
    return {
        "peer": cell.peer,
        "role": cell.role,
        "metric": cell.metric.name,
        "unit": cell.metric.unit,
        "better": cell.metric.better,
        "valid": valid,
        "median": made.median if valid else None,
        "min": made.low if valid else None,
        "max": made.high if valid else None,
        "rounds": made.rounds,
        "ratio": cell.ratio,
        "problems": list(made.problems),
    }


def _bar(row: Row) -> dict[str, object]:
    bar = row.bar
    return {
        "what": bar.what,
        "against": bar.against,
        "unit": bar.unit.strip(),
        "bar": bar.bar,
        "goal": bar.goal,
        "better": bar.better,
        "reached": {
            peer: {"value": reached.value, "verdict": reached.verdict}
            for peer, reached in row.reached.items()
        },
    }


def _outcome(outcome: Outcome) -> dict[str, object]:
    readings = [{"metric": r.metric, "role": r.role, "value": r.value} for r in outcome.readings]
    return {"readings": readings, "problems": list(outcome.problems)}
