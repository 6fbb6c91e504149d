"""KPIs as an owner writes them: a number made of what labels say, its target, whom it belongs to. Values that travel
as JSON. Refuses to know where sums come from. Invariant: a Kpi that was parsed can be computed.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from exporter.records import expression
from exporter.records.problems import Problems, number

MAX_KPIS: Final = 16
MAX_OWNER: Final = 64
LARGEST: Final = 1e300
KEYS: Final = ("name", "value", "target", "direction", "owner", "days", "maturity")
DIRECTIONS: Final = ("above", "below")
MATURITIES: Final = ("arrival", "mature")
# Sums over the rows of a model version in the window; besides, outcome.NAME and told.NAME of named outcomes.
SUMS: Final = ("predicted", "labelled", "right", "wrong", "cost", "expected_cost")
SIDES: Final = ("outcome", "told")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Kpi:
    """`direction`: on which side of the target is well. Over predictions of the last `days`; of settled hours only,
    the latest of them, where `maturity` is mature."""

    name: str
    value: str
    target: float
    direction: str = "above"
    owner: str = ""
    days: float = 7.0
    maturity: str = "arrival"


def parse(listed: Sequence[Any]) -> tuple[Kpi, ...]:
    """The KPIs of a configuration's list of mappings; Problems with all problems."""
    found: list[Kpi] = []
    problems: list[str] = []
    for position, one in enumerate(listed):
        place = f"[{position}]"
        if not isinstance(one, Mapping):
            problems.append(f"{place}: {one!r}, expected a mapping")
            continue
        wrong = list(_wrong({str(key): value for key, value in one.items()}))
        if any(other.name == one.get("name") for other in found):
            wrong.append(f"name: {one.get('name')!r}, expected another name for each KPI")
        if wrong:
            problems += [f"{place}.{problem}" for problem in wrong]
            continue
        given = {key: one[key] for key in KEYS if key in one}
        found.append(Kpi(**given | {key: number(given[key]) for key in ("target", "days") if key in given}))
    if problems:
        raise Problems(problems)
    return tuple(found)


def tree(text: str) -> expression.Expression:
    """What the value says. Raises ValueError with what was expected."""
    found = expression.parse_value(text, SIDES)
    for one in found.columns.values():
        if not one.side and one.name not in SUMS:
            raise ValueError(f"{one.name!r} is no sum; expected {', '.join(SUMS)}, outcome.NAME or told.NAME")
    return found


def _wrong(given: Mapping[str, Any]) -> Sequence[str]:
    wrong = [f"{key}: unknown key, expected one of {', '.join(KEYS)}" for key in given if key not in KEYS]
    name, value, owner = given.get("name"), given.get("value"), given.get("owner", "")
    if type(name) is not str or not _NAME.fullmatch(name):
        wrong.append(f"name: {name!r}, expected a-z, 0-9 and _, at most 64")
    try:
        tree(value if type(value) is str else "")
    except ValueError as error:
        wrong.append(f"value: {value!r}, {error}")
    if not abs(number(given.get("target"))) <= LARGEST:
        wrong.append(f"target: {given.get('target')!r}, expected a number up to {LARGEST:g}")
    if not 0.04 <= number(given.get("days", 7.0)) <= 366:
        wrong.append(f"days: {given['days']!r}, expected a number from 0.04 to 366")
    for key, words in (("direction", DIRECTIONS), ("maturity", MATURITIES)):
        if given.get(key, words[0]) not in words:
            wrong.append(f"{key}: {given[key]!r}, expected {' or '.join(words)}")
    if type(owner) is not str or len(owner) > MAX_OWNER or not owner.isprintable():
        wrong.append(f"owner: {owner!r}, expected a text of at most {MAX_OWNER} characters")
    return wrong
