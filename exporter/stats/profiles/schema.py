"""What a profile file must look like, as a check that lists every problem instead of the first.

Refuses to build anything: it reads a parsed JSON document and returns sentences. Invariant: a document
without problems can be turned into a `Profile` without an exception.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from exporter.stats.bins import OTHER, SPECIAL, UNSEEN
from exporter.stats.profiles.codec import is_count, is_number, problems, schema_of, shown
from exporter.stats.profiles.column import PAYLOAD_ROLES, ROLES, TYPES, Hashing, LeftOut, PayloadColumn
from exporter.stats.profiles.joint import Association, CoMoments, Precision
from exporter.stats.profiles.levels import Level, PeriodSet
from exporter.stats.profiles.performance import Performance

SCHEMA = 2
SCHEMAS = (1, 2)
KINDS = ("numeric", "categorical")
SOURCES = ("data", "through", "learned")
TASKS = (
    *("binary", "multiclass", "multilabel", "regression", "interval"),
    *("ranking", "embedding", "text", "unknown"),
)
# What schema 2 has besides schema 1, by key: the noun says what it looks like.
PARTS: dict[str, Any] = {
    "payload": tuple[PayloadColumn, ...],
    "source": str,
    "task": str | None,
    "duplicates": float | None,
    "hashing": Hashing | None,
    "pairs": tuple[CoMoments, ...],
    "precision": Precision | None,
    "associations": tuple[Association, ...],
    "periods": tuple[PeriodSet, ...],
    "levels": tuple[Level, ...],
    "performance": Performance | None,
}

Check = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(is_number, value))


def _number_or_null(value: Any) -> bool:
    return value is None or is_number(value)


def _list_of(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _left_out(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"name", "reason"} and all(map(_text, value.values()))


_COUNTS: tuple[Check, str] = (_list_of(is_count), "a list of whole numbers >= 0")
_NUMBER: tuple[Check, str] = (_number_or_null, "a finite number or null")
_TEXT: tuple[Check, str] = (_text, "a string")
_Keys = dict[str, tuple[Check, str]]
_TOP: _Keys = {
    "schema": (lambda value: is_count(value) and value in SCHEMAS, "1 or 2"),
    "model_name": _TEXT,
    "model_version": _TEXT,
    "rows": (is_count, "a whole number >= 0"),
    "columns": (_is_list, "a list of columns"),
    "left_out": (_list_of(_left_out), "a list of objects with name and reason"),
}
_COLUMN: _Keys = {
    "name": _TEXT,
    "role": (lambda value: value in ROLES, f"one of {', '.join(ROLES)}"),
    "kind": (lambda value: value in KINDS, f"one of {', '.join(KINDS)}"),
    "counts": _COUNTS,
    "n": (is_count, "a whole number >= 0"),
    "missing": (is_count, "a whole number >= 0"),
}
_NUMERIC: _Keys = {
    "edges": (_list_of(is_number), "a list of finite numbers"),
    "discrete": (lambda value: isinstance(value, bool), "true or false"),
    "mean": _NUMBER,
    "std": _NUMBER,
    "min": _NUMBER,
    "max": _NUMBER,
    "quantiles": (_list_of(_pair), "a list of [probability, value] pairs"),
}
_CATEGORICAL: _Keys = {
    "categories": (_list_of(_text), "a list of strings"),
    "rest": (lambda value: value in (OTHER, UNSEEN), f"{OTHER} or {UNSEEN}"),
}
_COLUMN_2: _Keys = {
    "type": (lambda value: value in TYPES, f"one of {', '.join(TYPES)}"),
    "source": _TEXT,
}
_NUMERIC_2: _Keys = {
    "skewness": _NUMBER,
    "sums": (_list_of(is_number), "a list of finite numbers"),
}


def problems_of(document: Any) -> list[str]:
    """All that is wrong with a parsed profile: place, what was found, what was expected."""
    if not isinstance(document, dict):
        return [f"a JSON object was expected, found {shown(document)}"]
    if "schema" in document and not _TOP["schema"][0](document["schema"]):
        # The rest of an unknown schema means something else; complaints about it would mislead.
        return [
            f"schema: {shown(document['schema'])}, expected 1 or 2, which are all that this version reads"
        ]
    schema = document.get("schema", SCHEMA)
    parts = dict.fromkeys(PARTS, _ANYTHING) if schema > 1 else {}
    found = _key_problems(document, _TOP | parts, "", optional={"sha256": _TEXT})
    columns = document.get("columns")
    if isinstance(columns, list):
        for index, column in enumerate(columns):
            found += _column_problems(column, f"columns[{index}]", schema)
        found += _repeated(columns)
    if schema > 1:
        for key, kind in PARTS.items():
            if key in document:
                found += problems(kind, document[key], key)
    return found if found or schema < 2 else list(_incoherent(document))


_ANYTHING: tuple[Check, str] = (lambda value: True, "a value of schema 2")


def _incoherent(document: dict[str, Any]) -> Iterator[str]:
    """What is wrong between parts that are each well formed."""
    names = {column["name"] for column in document["columns"]}
    payload = {column["name"] for column in document["payload"]}
    yield from _words("source", document["source"], SOURCES)
    if document["task"] is not None:
        yield from _words("task", document["task"], TASKS)
    for index, column in enumerate(document["payload"]):
        yield from _words(f"payload[{index}].role", column["role"], PAYLOAD_ROLES)
        yield from _words(f"payload[{index}].type", column["type"], TYPES)
        if column["centroid"] and len(column["centroid"]) != column["width"]:
            yield f"payload[{index}].centroid: {len(column['centroid'])} values, expected {column['width']}"
    for name, times in Counter(column["name"] for column in document["payload"]).items():
        if times > 1:
            yield f"payload: {name!r} appears {times} times, expected once"
    for index, column in enumerate(document["columns"]):
        if payload and column["source"] not in payload:
            yield f"columns[{index}] ({column['name']!r}).source: {column['source']!r} is no payload column"
    for key, ends in (
        ("pairs", ("a", "b")),
        ("associations", ("feature", "prediction")),
        ("levels", ("column",)),
    ):
        for index, item in enumerate(document[key]):
            for end in ends:
                if item[end] not in names:
                    yield f"{key}[{index}].{end}: {item[end]!r}, expected the name of a column"
    yield from _precision(document["precision"], names)
    yield from _performance(document["performance"], document["columns"])


def _words(place: str, word: str, words: tuple[str, ...]) -> Iterator[str]:
    if word not in words:
        yield f"{place}: {word!r}, expected one of {', '.join(words)}"


def _precision(precision: dict[str, Any] | None, names: set[str]) -> Iterator[str]:
    if precision is None:
        return
    width = len(precision["names"])
    unknown = [name for name in precision["names"] if name not in names]
    if unknown:
        yield f"precision.names: {shown(unknown)} are no columns"
    sizes = [len(precision[key]) for key in ("mean", "scale", "matrix")] + list(map(len, precision["matrix"]))
    if any(size != width for size in sizes):
        yield f"precision: mean, scale and matrix with {width} values and rows expected, as many as names"
    if not all(value > 0 for value in precision["scale"]):
        yield "precision.scale: numbers > 0 expected"


def _performance(performance: dict[str, Any] | None, columns: list[Any]) -> Iterator[str]:
    confusion = performance and performance["confusion"]
    if confusion:
        width = len(confusion["classes"])
        if [len(row) for row in confusion["counts"]] != [width] * width:
            yield f"performance.confusion.counts: {width} rows of {width} expected, as many as classes"
    calibration = performance and performance["calibration"]
    if calibration:
        lists = [value for value in calibration.values() if isinstance(value, list)]
        if len(set(map(len, lists))) > 1:
            yield "performance.calibration: lists as long as edges expected"
    cells = performance and performance.get("cells")
    if cells:
        yield from _cells(cells, columns)


def _cells(cells: dict[str, Any], columns: list[Any]) -> Iterator[str]:
    edges = {column["name"]: column["edges"] for column in columns if column["kind"] == "numeric"}
    if cells["output"] not in edges:
        yield f"performance.cells.output: {cells['output']!r}, expected the name of a numeric column"
        return
    ranges = len(edges[cells["output"]]) + 1
    for key, value in cells.items():
        if isinstance(value, list) and len(value) != ranges and (value or not key.startswith("loss")):
            yield f"performance.cells.{key}: {len(value)} values, expected {ranges}, one per bin of {cells['output']!r}"
    for side in ("rest", "called"):
        pairs = zip(cells[side], cells[f"{side}_positives"], strict=False)
        if any(positives > rows for rows, positives in pairs):
            yield f"performance.cells.{side}_positives: at most as many as in {side} expected"


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
            found.append(f"{place}{key}: {shown(value)}, expected {allowed[key][1]}")
    return found


def _column_problems(column: Any, index: str, schema: int) -> list[str]:
    if not isinstance(column, dict):
        return [f"{index}: {shown(column)}, expected an object"]
    place = f"{index} ({column['name']!r})." if _text(column.get("name")) else f"{index}."
    common = _COLUMN | _COLUMN_2 if schema > 1 else _COLUMN
    numeric = _NUMERIC | _NUMERIC_2 if schema > 1 else _NUMERIC
    own = {"numeric": numeric, "categorical": _CATEGORICAL}.get(str(column.get("kind")))
    keys = common | own if own is not None else common
    known = common | numeric | _CATEGORICAL if own is None else keys
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
    if is_count(column.get("n")) and column["n"] != sum(counts):
        found.append(f"{place}n: {column['n']}, expected {sum(counts)}, the sum of counts")
    if column.get("sums") and _NUMERIC_2["sums"][0](column["sums"]) and len(column["sums"]) != len(counts):
        found.append(
            f"{place}sums: {len(column['sums'])} numbers, expected {len(counts)}, one for each bin, or none"
        )
    null = -2 if column.get("kind") == "numeric" else -1
    if is_count(column.get("missing")) and len(counts) >= 2 and column["missing"] != counts[null]:
        found.append(f"{place}missing: {column['missing']}, expected {counts[null]}, the count of <null>")
    return found


def json_schema() -> dict[str, Any]:
    """The format as a JSON Schema (2020-12): shipped as profile.schema.json, for other tools."""
    counts, number = {"type": "array", "items": {"type": "integer", "minimum": 0}}, {"type": "number"}
    optional = {"type": ["number", "null"]}
    text = {"type": "string"}
    numeric = {
        "kind": {"const": "numeric"},
        "edges": {"type": "array", "items": number},
        "discrete": {"type": "boolean"},
        **dict.fromkeys(("mean", "std", "min", "max", "skewness"), optional),
        "sums": {"type": "array", "items": number},
        "quantiles": schema_of(tuple[tuple[float, float], ...]),
    }
    categorical = {
        "kind": {"const": "categorical"},
        "categories": {"type": "array", "items": text, "uniqueItems": True},
        "rest": {"enum": [OTHER, UNSEEN]},
    }
    common = {
        "name": text,
        "role": {"enum": list(ROLES)},
        "type": {"enum": list(TYPES)},
        "source": text,
        "counts": counts,
        "n": schema_of(int),
        "missing": schema_of(int),
    }
    top: dict[str, Any] = {
        "schema": {"const": SCHEMA},
        "model_name": text,
        "model_version": text,
        "rows": schema_of(int),
        "columns": {
            "type": "array",
            "items": {"oneOf": [_closed(common | numeric), _closed(common | categorical)]},
        },
        "left_out": schema_of(tuple[LeftOut, ...]),
        **{key: schema_of(kind) for key, kind in PARTS.items()},
    }
    top["source"] = {"enum": list(SOURCES)}
    top["task"] = {"enum": [*TASKS, None]}
    payload = top["payload"]["items"]["properties"]
    payload["role"], payload["type"] = {"enum": list(PAYLOAD_ROLES)}, {"enum": list(TYPES)}
    whole = _closed(top)
    whole["properties"]["sha256"] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "modeltap reference profile",
        **whole,
    }


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
