"""Costs as an owner writes them: what a row of one class costs that was taken for another. As values that travel as
JSON. Refuses to know currencies; below 0 is a gain.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from exporter.records.problems import Problems, number

MAX_COSTS: Final = 400  # twenty classes
MAX_CLASS: Final = 128
LARGEST: Final = 1e12
_EXPECTED: Final = "expected {TRUE CLASS: {PREDICTED CLASS: COST}}, such as {1: {0: 250, 1: 5}, 0: {1: 5}}"


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one row of class `truth` that was taken for `predicted`; what is not named costs nothing."""

    truth: str
    predicted: str
    cost: float


def parse(mapping: Mapping[Any, Any]) -> tuple[Cost, ...]:
    """The costs of a configuration's mapping of mappings; Problems with all problems."""
    found: dict[tuple[str, str], Cost] = {}
    problems: list[str] = []
    for truth, row in mapping.items():
        if not isinstance(row, Mapping):
            problems.append(f".{truth}: {row!r}, {_EXPECTED}")
            continue
        for predicted, cost in row.items():
            pair = named(truth), named(predicted)
            if not all(0 < len(name) <= MAX_CLASS for name in pair):
                problems.append(f".{truth}.{predicted}: expected classes of 1 to {MAX_CLASS} characters")
            elif not abs(number(cost)) <= LARGEST:
                problems.append(f".{truth}.{predicted}: {cost!r}, expected a number up to {LARGEST:g}")
            elif pair in found:
                problems.append(f".{truth}.{predicted}: expected each pair of classes once")
            else:
                found[pair] = Cost(*pair, number(cost))
    if len(found) > MAX_COSTS:
        problems.append(f": {len(found)} costs, expected at most {MAX_COSTS}")
    if not found and not problems:
        problems.append(f": no costs, {_EXPECTED}")
    if problems:
        raise Problems(problems)
    return tuple(found.values())


def named(word: Any) -> str:
    """A class as its counts are called: 1 is 1, also where a file says 1.0 or true."""
    if isinstance(word, bool):
        return "true" if word else "false"
    if isinstance(word, float) and word.is_integer():
        return str(int(word))
    return str(word)
