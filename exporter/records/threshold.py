"""Thresholds as an owner declares them: from which score on something is done, and how near is near. Values that travel
as JSON. Refuses to know scores. Invariant: a Threshold that was parsed can be counted against.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from exporter.records.problems import Problems, number

MAX_THRESHOLDS: Final = 16
MAX_WORD: Final = 128
LARGEST: Final = 1e300
KEYS: Final = ("name", "value", "band", "output", "class", "model")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Threshold:
    """`band`: up to how far from the value is near. `output`: the column of the score, "" for the only one, or that of
    class `klass` ("" for the positive one). `model`: a pattern of names."""

    name: str
    value: float
    band: float = 0.05
    output: str = ""
    klass: str = ""
    model: str = "*"


def parse(listed: Sequence[Any]) -> tuple[Threshold, ...]:
    """The thresholds of a list of mappings; Problems with all problems."""
    found: list[Threshold] = []
    problems: list[str] = []
    if len(listed) > MAX_THRESHOLDS:
        problems.append(f": {len(listed)} thresholds, expected at most {MAX_THRESHOLDS}")
    for position, one in enumerate(listed):
        place = f"[{position}]"
        if not isinstance(one, Mapping):
            problems.append(f"{place}: {one!r}, expected a mapping")
            continue
        given = {str(key): value for key, value in one.items()}
        wrong = list(_wrong(given))
        if any((other.name, other.model) == (given.get("name"), given.get("model", "*")) for other in found):
            wrong.append(f"name: {given.get('name')!r}, expected another name for each threshold")
        if wrong:
            problems += [f"{place}.{problem}" for problem in wrong]
            continue
        words = {key: str(given.get(key, "")) for key in ("output", "class")}
        band = number(given.get("band", 0.05))
        pattern = str(given.get("model", "*"))
        found.append(
            Threshold(
                str(given["name"]), number(given["value"]), band, words["output"], words["class"], pattern
            )
        )
    if problems:
        raise Problems(problems)
    return tuple(found)


def _wrong(given: Mapping[str, Any]) -> Sequence[str]:
    wrong = [f"{key}: unknown key, expected one of {', '.join(KEYS)}" for key in given if key not in KEYS]
    name = given.get("name")
    if type(name) is not str or not _NAME.fullmatch(name):
        wrong.append(f"name: {name!r}, expected a-z, 0-9 and _, at most 64")
    if not abs(number(given.get("value"))) <= LARGEST:
        wrong.append(f"value: {given.get('value')!r}, expected a number up to {LARGEST:g}")
    if not 0.0 <= number(given.get("band", 0.05)) <= LARGEST:
        wrong.append(f"band: {given['band']!r}, expected a number from 0 to {LARGEST:g}")
    for key in ("output", "class", "model"):
        word = given.get(key, "")
        if not isinstance(word, str | int) or len(str(word)) > MAX_WORD or not str(word).isprintable():
            wrong.append(f"{key}: {word!r}, expected a text of at most {MAX_WORD} characters")
    return wrong
