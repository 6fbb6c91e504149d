"""Patterns that cannot run away: a regular expression is taken only if few ways lead through it for any text.

Python's matcher tries the ways one after another, so their number bounds its work. It is counted beforehand: choices
multiply, and what is possessive or atomic has one way. Refuses look-around and references to groups, whose ways do not
add up like that.
"""

import re
from typing import Any, Final

MAX_PATTERN: Final = 500
# Characters of a cell that are looked at; a longer one does not match.
MAX_TEXT: Final = 256
# One repetition without end, and a choice or two.
MAX_WAYS: Final = 1024
_PLAIN: Final = ("LITERAL", "NOT_LITERAL", "ANY", "IN", "AT", "CATEGORY")


def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern, to be matched in full; ValueError tells what was expected."""
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"expected at most {MAX_PATTERN} characters")
    try:
        found = re.compile(pattern)
        tree = re._parser.parse(pattern)  # type: ignore[attr-defined]
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"expected a regular expression: {error}") from None
    if _ways(tree) > MAX_WAYS:
        raise ValueError(
            f"expected a pattern with at most {MAX_WAYS} ways through a text of {MAX_TEXT} characters: one repetition "
            "without end, others possessive (`[^@]++@.*`)"
        )
    return found


def _ways(tree: Any) -> int:
    """How many ways the matcher may try, at most, capped just above MAX_WAYS."""
    found = 1
    for operation, argument in tree:
        found = min(found * _ways_of(str(operation), argument), MAX_WAYS + 1)
    return found


def _ways_of(operation: str, argument: Any) -> int:
    if operation in _PLAIN:
        return 1
    if operation == "SUBPATTERN":
        return _ways(argument[3])
    if operation == "BRANCH":
        return sum(map(_ways, argument[1]))
    if operation in ("MAX_REPEAT", "MIN_REPEAT"):
        least, most, inner = argument
        return _repeated(int(least), min(int(most), MAX_TEXT), _ways(inner))
    if operation in ("POSSESSIVE_REPEAT", "ATOMIC_GROUP"):
        inside = _ways(argument[2] if operation == "POSSESSIVE_REPEAT" else argument)
        return 1 if inside <= MAX_WAYS else inside
    raise ValueError("expected no look-around and no reference to a group")


def _repeated(least: int, most: int, ways: int) -> int:
    total, power = 0, 1
    for count in range(max(most, least) + 1):
        total += power if count >= least else 0
        power *= ways
        if total > MAX_WAYS or power > MAX_WAYS:
            return MAX_WAYS + 1 if ways > 1 or total > MAX_WAYS else total
    return total
