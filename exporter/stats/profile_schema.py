"""What a profile file must look like, as a check that lists every problem instead of the first.

Refuses to build anything: it reads a parsed JSON document and returns sentences. Invariant: a document
without problems can be turned into a `Profile` without an exception.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

from exporter.stats.bins import OTHER, SPECIAL, UNSEEN

SCHEMA = 1
ROLES = ("feature", "prediction", "target")
KINDS = ("numeric", "categorical")

Check = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_number, value))


def _number_or_null(value: Any) -> bool:
    return value is None or _number(value)


def _list_of(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _left_out(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"name", "reason"} and all(map(_text, value.values()))


_COUNTS: tuple[Check, str] = (_list_of(_count), "a list of whole numbers >= 0")
_NUMBER: tuple[Check, str] = (_number_or_null, "a finite number or null")
_TOP: dict[str, tuple[Check, str]] = {
    "schema": (lambda value: _count(value) and value == SCHEMA, f"{SCHEMA}"),
    "model_name": (_text, "a string"),
    "model_version": (_text, "a string"),
    "rows": (_count, "a whole number >= 0"),
    "columns": (_is_list, "a list of columns"),
    "left_out": (_list_of(_left_out), "a list of objects with name and reason"),
}
_COLUMN: dict[str, tuple[Check, str]] = {
    "name": (_text, "a string"),
    "role": (lambda value: value in ROLES, f"one of {', '.join(ROLES)}"),
    "kind": (lambda value: value in KINDS, f"one of {', '.join(KINDS)}"),
    "counts": _COUNTS,
    "n": (_count, "a whole number >= 0"),
    "missing": (_count, "a whole number >= 0"),
}
_NUMERIC: dict[str, tuple[Check, str]] = {
    "edges": (_list_of(_number), "a list of finite numbers"),
    "discrete": (lambda value: isinstance(value, bool), "true or false"),
    "mean": _NUMBER,
    "std": _NUMBER,
    "min": _NUMBER,
    "max": _NUMBER,
    "quantiles": (_list_of(_pair), "a list of [probability, value] pairs"),
}
_CATEGORICAL: dict[str, tuple[Check, str]] = {
    "categories": (_list_of(_text), "a list of strings"),
    "rest": (lambda value: value in (OTHER, UNSEEN), f"{OTHER} or {UNSEEN}"),
}


def problems_of(document: Any) -> list[str]:
    """All that is wrong with a parsed profile: place, what was found, what was expected."""
    if not isinstance(document, dict):
        return [f"a JSON object was expected, found {_shown(document)}"]
    if "schema" in document and not _TOP["schema"][0](document["schema"]):
        # The rest of an unknown schema means something else; complaints about it would mislead.
        return [
            f"schema: {_shown(document['schema'])}, expected {SCHEMA}, the only one that this version reads"
        ]
    found = _key_problems(document, _TOP, "", optional={"sha256": (_text, "a string")})
    columns = document.get("columns")
    if isinstance(columns, list):
        for index, column in enumerate(columns):
            found += _column_problems(column, f"columns[{index}]")
        found += _repeated(columns)
    return found


def _repeated(columns: list[Any]) -> list[str]:
    names = Counter(c["name"] for c in columns if isinstance(c, dict) and _text(c.get("name")))
    return [
        f"columns: {name!r} appears {times} times, expected once"
        for name, times in names.items()
        if times > 1
    ]


def _key_problems(
    document: dict[str, Any],
    keys: dict[str, tuple[Check, str]],
    place: str,
    optional: dict[str, tuple[Check, str]] | None = None,
) -> list[str]:
    found = [f"{place}{key}: missing, expected {keys[key][1]}" for key in keys if key not in document]
    allowed = keys | (optional or {})
    for key, value in document.items():
        if key not in allowed:
            found.append(f"{place}{key}: unknown key, expected one of {', '.join(allowed)}")
        elif not allowed[key][0](value):
            found.append(f"{place}{key}: {_shown(value)}, expected {allowed[key][1]}")
    return found


def _column_problems(column: Any, index: str) -> list[str]:
    if not isinstance(column, dict):
        return [f"{index}: {_shown(column)}, expected an object"]
    place = f"{index} ({column['name']!r})." if _text(column.get("name")) else f"{index}."
    own = {"numeric": _NUMERIC, "categorical": _CATEGORICAL}.get(str(column.get("kind")))
    keys = _COLUMN | own if own is not None else _COLUMN
    known = _COLUMN | _NUMERIC | _CATEGORICAL if own is None else keys
    found = _key_problems(column, keys, place, optional=known)
    return found + _edge_problems(column, place) + _category_problems(column, place) + _sums(column, place)


def _edge_problems(column: dict[str, Any], place: str) -> list[str]:
    edges = column.get("edges")
    if not _NUMERIC["edges"][0](edges):
        return []
    pairs = zip(edges or [], (edges or [])[1:], strict=False)
    wrong = [f"{b!r} after {a!r}" for a, b in pairs if float(b) <= float(a)]
    return [f"{place}edges: {', '.join(wrong)}, expected strictly increasing"] if wrong else []


def _category_problems(column: dict[str, Any], place: str) -> list[str]:
    categories = column.get("categories")
    if not _CATEGORICAL["categories"][0](categories):
        return []
    times: Counter[str] = Counter(categories)
    found = [f"{place}categories: {name!r} is repeated, expected once" for name in times if times[name] > 1]
    return found + [f"{place}categories: {name!r} is reserved" for name in times if name in SPECIAL]


def _sums(column: dict[str, Any], place: str) -> list[str]:
    counts = column.get("counts")
    if not _COUNTS[0](counts) or counts is None:
        return []
    found = []
    own, specials = ("edges", 3) if column.get("kind") == "numeric" else ("categories", 2)
    if isinstance(column.get(own), list) and len(counts) != len(column[own]) + specials:
        expected = f"{len(column[own]) + specials} ({len(column[own])} {own} and {specials} more bins)"
        found.append(f"{place}counts: {len(counts)} numbers, expected {expected}")
    if _count(column.get("n")) and column["n"] != sum(counts):
        found.append(f"{place}n: {column['n']}, expected {sum(counts)}, the sum of counts")
    null = -2 if column.get("kind") == "numeric" else -1
    if _count(column.get("missing")) and len(counts) >= 2 and column["missing"] != counts[null]:
        found.append(f"{place}missing: {column['missing']}, expected {counts[null]}, the count of <null>")
    return found


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
