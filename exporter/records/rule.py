"""Rules of data that an owner writes: what a column, or several together, must be. As values that travel as JSON.

Refuses to know arrays. Invariant: a Rule that was parsed can be judged; all that is wrong with one is told at once.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from exporter.records import expression, pattern
from exporter.records.quality_metrics import REASONS

MAX_RULES: Final = 64
MAX_WORDS: Final = 1000
MAX_COLUMN: Final = 128
KINDS: Final = ("range", "set", "regex", "length", "date", "not_null", "unique", "check")
KEYS: Final = ("name", "column", "side", *KINDS)
SIDES: Final = ("input", "output")
ISO: Final = "iso"
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_TRUE: Final = (True, "true", "True")


class RuleError(ValueError):
    """Rules that cannot be used; `problems` lists all that is wrong: which, key, value, what was expected."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `low` and `high` of a range or a length, None for none; `words` of a set; `text` of a pattern, a date's
    format or a check. `column` is "" for a check, which names its own."""

    name: str
    kind: str
    column: str = ""
    side: str = "input"
    low: float | None = None
    high: float | None = None
    words: tuple[str, ...] = ()
    text: str = ""


def parse(listed: Sequence[Any]) -> tuple[Rule, ...]:
    """The rules of a configuration's list of mappings; RuleError with all problems."""
    found: list[Rule] = []
    problems: list[str] = []
    names: set[str] = set()
    for number, one in enumerate(listed):
        place = f"[{number}]"
        if not isinstance(one, Mapping):
            problems.append(f"{place}: {one!r}, expected a mapping")
            continue
        made, wrong = _rule({str(key): value for key, value in one.items()})
        if made.name in names:
            wrong.append(f"name: {made.name!r}, expected another name for each rule")
        names.add(made.name)
        found.append(made)
        problems += [f"{place}.{problem}" for problem in wrong]
    if problems:
        raise RuleError(problems)
    return tuple(found)


def _rule(mapping: Mapping[str, Any]) -> tuple[Rule, list[str]]:
    wrong = [f"{key}: unknown key, expected one of {', '.join(KEYS)}" for key in mapping if key not in KEYS]
    name, column, side = (mapping.get(key, "") for key in ("name", "column", "side"))
    if type(name) is not str or not _NAME.fullmatch(name) or name in REASONS:
        wrong.append(f"name: {name!r}, expected a-z, 0-9 and _, at most 64, and no reason that is built in")
    if side not in ("", *SIDES):
        wrong.append(f"side: {side!r}, expected {' or '.join(SIDES)}")
    kinds = [kind for kind in KINDS if kind in mapping]
    if len(kinds) != 1:
        wrong.append(f"{' and '.join(kinds) or 'no check'}: expected exactly one of {', '.join(KINDS)}")
    lone = kinds == ["check"]
    if lone and (column or side):
        wrong.append("column: expected none, for a check names its columns itself")
    elif not lone and (type(column) is not str or not 0 < len(column) <= MAX_COLUMN):
        wrong.append(f"column: {column!r}, expected the name of a column, at most {MAX_COLUMN} characters")
    told: dict[str, Any] = {}
    for kind in kinds:
        try:
            told = _READ[kind](mapping[kind])
        except ValueError as error:
            wrong.append(f"{kind}: {mapping[kind]!r}, {error}")
    return Rule(str(name), kinds[0] if kinds else "", str(column), str(side) or "input", **told), wrong


def _bounds(value: Any) -> dict[str, Any]:
    expected = "expected [LOW, HIGH], numbers in this order, one of them may be null"
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise ValueError(expected)
    try:
        low, high = (None if one is None else float(one) for one in value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(expected) from None
    given = [one for one in (low, high) if one is not None]
    if not given or not all(map(math.isfinite, given)) or sorted(given) != given:
        raise ValueError(expected)
    return {"low": low, "high": high}


def _words(value: Any) -> dict[str, Any]:
    fine = isinstance(value, (list, tuple)) and 0 < len(value) <= MAX_WORDS
    if not fine or not all(isinstance(one, (str, int, float)) for one in value):
        raise ValueError(f"expected a list of 1 to {MAX_WORDS} texts or numbers")
    return {"words": tuple(str(one).lower() if isinstance(one, bool) else str(one) for one in value)}


def _regex(value: Any) -> dict[str, Any]:
    if type(value) is not str:
        raise ValueError("expected a regular expression")
    pattern.compiled(value)
    return {"text": value}


def _date(value: Any) -> dict[str, Any]:
    expected = f"expected {ISO}, or a format such as %d.%m.%Y with at most 64 characters"
    if type(value) is not str or not 0 < len(value) <= 64:
        raise ValueError(expected)
    if value != ISO:
        try:
            written = datetime(2001, 2, 3, 4, 5, 6).strftime(value)
            datetime.strptime(written, value)
        except (ValueError, re.error):
            raise ValueError(expected) from None
        if written == value:
            raise ValueError(expected)
    return {"text": value}


def _flag(value: Any) -> dict[str, Any]:
    if value not in _TRUE:
        raise ValueError("expected true")
    return {}


def _check(value: Any) -> dict[str, Any]:
    if type(value) is not str:
        raise ValueError(expression.EXPECTED)
    expression.parse(value)
    return {"text": value}


_READ: Final[dict[str, Callable[[Any], dict[str, Any]]]] = {
    "range": _bounds,
    "set": _words,
    "regex": _regex,
    "length": _bounds,
    "date": _date,
    "not_null": _flag,
    "unique": _flag,
    "check": _check,
}
