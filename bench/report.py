"""Results into text for the terminal and into JSON.

Refuses to compute: numbers come from `figures`. An invalid figure is shown as the word, its reasons below.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.bars import BARS
from bench.figures import TOTAL, Figure, Metric, Outcome, figure, ratio, roles
from bench.peer import Peer
from bench.runner import Results
from bench.scenario import Scenario

REFERENCE = "haproxy"
SIDECAR = "sidecar"
ABSENT = "-"
# Per cent; below it "everything observed" would not be true.
OBSERVED_OWED = 99.0

Rounds = Mapping[str, Sequence[Outcome]]


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


def bars(results: Results, scenarios: Iterable[Scenario]) -> list[dict[str, object]]:
    """Each bar of the design with the ratio that this run gives, None where it was not measured.

    Where the sidecar did not observe everything, its verdict says how much it did.
    """
    known = {scenario.name: {m.name: m for m in scenario.metrics} for scenario in scenarios}
    found: list[dict[str, object]] = []
    for bar in BARS:
        rounds = results.outcomes.get(bar.scenario, {})
        reached, observed = None, None
        if bar.scenario in known and SIDECAR in rounds and bar.against in rounds:
            metrics = known[bar.scenario]
            mine = figure(metrics[bar.metric], bar.role, SIDECAR, rounds)
            reached = ratio(mine, figure(metrics[bar.metric], TOTAL, bar.against, rounds))
            observed = figure(metrics["observed"], TOTAL, SIDECAR, rounds) if "observed" in metrics else None
        verdict = bar.verdict(reached)
        if reached is not None and observed is not None and observed.median < OBSERVED_OWED:
            verdict += f", {observed.median:.0f} % observed"
        row: dict[str, object] = {"what": bar.what, "against": bar.against, "ratio": reached}
        row |= {"bar": bar.bar, "goal": bar.goal, "better": bar.better, "verdict": verdict}
        found.append(row)
    return found


def bars_table(rows: Sequence[Mapping[str, object]]) -> str:
    """The bars as text."""
    lines = [["figures to reach", "against", "ratio", "bar", "goal", "reached"]]
    for row in rows:
        sign = "≤" if row["better"] == "lower" else "≥"
        reached = f"{row['ratio']:.2f}x" if isinstance(row["ratio"], float) else ABSENT
        limits = [f"{sign} {row['bar']}x", f"{sign} {row['goal']}x"]
        lines.append([str(row["what"]), str(row["against"]), reached, *limits, str(row["verdict"])])
    return grid(lines)


def text(
    results: Results, scenarios: Sequence[Scenario], peers: Sequence[Peer], facts: Mapping[str, str]
) -> str:
    """The whole report for a terminal."""
    parts = ["\n".join(f"{key}: {value}" for key, value in facts.items())]
    for scenario in scenarios:
        parts.append(table(scenario, in_order(results.outcomes[scenario.name], peers)))
    if any(peer.name == SIDECAR for peer in peers):
        parts.append(bars_table(bars(results, scenarios)))
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
        "peers": {peer.name: peer.title for peer in peers},
        "scenarios": [_scenario(s, in_order(results.outcomes[s.name], peers)) for s in scenarios],
        "bars": bars(results, scenarios),
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


def _outcome(outcome: Outcome) -> dict[str, object]:
    readings = [{"metric": r.metric, "role": r.role, "value": r.value} for r in outcome.readings]
    return {"readings": readings, "problems": list(outcome.problems)}
