"""The check of profile documents, problem by problem."""

import copy
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from exporter.stats.profiles import schema as profile_schema
from exporter.stats.profiles.build import Column, ProfileConfig, build
from exporter.stats.profiles.schema import json_schema, problems_of

SHIPPED = Path(profile_schema.__file__).with_name("profile.schema.json")

NUMERIC: dict[str, Any] = {
    "name": "x", "role": "feature", "kind": "numeric", "edges": [0.0], "discrete": False,
    "counts": [1, 2, 0, 0], "n": 3, "missing": 0, "mean": 1.0, "std": 1.0, "min": 0.0, "max": 2.0,
    "quantiles": [[0.5, 1.0]],
}  # fmt: skip
CATEGORICAL: dict[str, Any] = {
    "name": "c", "role": "target", "kind": "categorical", "categories": ["a"], "rest": "<unseen>",
    "counts": [3, 0, 0], "n": 3, "missing": 0,
}  # fmt: skip
FINE: dict[str, Any] = {
    "schema": 1, "model_name": "*", "model_version": "*", "rows": 3, "left_out": [],
    "columns": [NUMERIC, CATEGORICAL],
}  # fmt: skip


def test_a_fine_document_has_no_problems() -> None:
    """Nothing is said about a document that is right, with or without a hash."""
    assert problems_of(FINE) == []
    assert problems_of({**FINE, "sha256": "00"}) == []


@pytest.mark.parametrize(
    ("column", "key", "value", "expected"),
    [
        (0, "edges", [1.0, 1.0], "1.0 after 1.0, expected strictly increasing"),
        (0, "edges", [1.0, "2"], "expected a list of finite numbers"),
        (0, "edges", [10**400], "expected a list of finite numbers"),
        (0, "counts", [1, 2, 0], "3 numbers, expected 4 (1 edges and 3 more bins)"),
        (0, "counts", [1, 2, 0, -1], "whole numbers >= 0"),
        (0, "counts", [1, 2.5, 0, 0], "whole numbers >= 0"),
        (0, "counts", [True, 2, 0, 0], "whole numbers >= 0"),
        (0, "n", 4, "expected 3, the sum of counts"),
        (0, "missing", 1, "expected 0, the count of <null>"),
        (0, "mean", "1", "a finite number or null"),
        (0, "quantiles", [[0.5]], "pairs"),
        (0, "kind", "vector", "one of numeric, categorical"),
        (0, "role", ["feature"], "one of feature, prediction, target"),
        (0, "categories", ["a"], "unknown key"),
        (1, "categories", ["a", "a"], "'a' is repeated"),
        (1, "categories", ["<null>"], "reserved"),
        (1, "rest", "<null>", "<other> or <unseen>"),
        (1, "counts", [3, 0], "2 numbers, expected 3"),
        (1, "name", "x", "'x' appears 2 times"),
    ],
)
def test_each_problem_is_named(column: int, key: str, value: object, expected: str) -> None:
    """The problem gives the key and what was expected."""
    document = copy.deepcopy(FINE)
    document["columns"][column][key] = value
    assert any(expected in problem for problem in problems_of(document)), problems_of(document)


@pytest.mark.parametrize("key", sorted(set(NUMERIC) | set(FINE)))
def test_every_key_is_owed(key: str) -> None:
    """A key that is left out is reported as missing."""
    document = copy.deepcopy(FINE)
    (document if key in document else document["columns"][0]).pop(key)
    assert any(f"{key}: missing" in problem for problem in problems_of(document))


@pytest.mark.parametrize("document", [None, 1, "x", [], {"columns": [1]}, {"columns": {}}])
def test_anything_may_come(document: object) -> None:
    """What is no profile at all has problems and raises nothing."""
    assert problems_of(document)


def test_the_shipped_json_schema_is_the_code() -> None:
    """profile.schema.json is what the checks are made of; GOLDEN=1 writes it anew."""
    text = json.dumps(json_schema(), indent=1) + "\n"
    if os.environ.get("GOLDEN"):
        SHIPPED.write_text(text)
    assert SHIPPED.read_text() == text


def _profiles() -> list[dict[str, Any]]:
    """Two documents of schema 2: one of plain columns, one of every kind of part."""
    rng = np.random.default_rng(1)
    plain = build(
        {"x": Column(rng.normal(size=200)), "c": Column(np.array(["a", "b"] * 100, object))}, ProfileConfig()
    )
    answers = {"y": Column(rng.normal(size=200), "prediction"), "n": Column(np.arange(200) / 3, "target")}
    more = build(
        {**answers, "a": Column(rng.normal(size=200)), "b": Column(rng.normal(size=200))}, ProfileConfig("m")
    )
    return [json.loads(plain.to_json()), json.loads(more.to_json())]


def test_real_profiles_validate_against_the_json_schema() -> None:
    """Another implementation agrees that what is written has the form that is documented."""
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    for document in _profiles():
        Draft202012Validator(schema).validate(document)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), 3),
        (("rows",), -1),
        (("columns", 0, "role"), "label"),
        (("columns", 0, "type"), 7),
        (("columns", 0, "edges"), ["a"]),
        (("columns", 0, "colour"), 1),
        (("payload", 0, "type"), "colour"),
        (("payload", 0, "distinct"), -2),
        (("source",), "rumour"),
        (("task",), "guessing"),
        (("pairs",), [{}]),
        (("levels",), {}),
        (("precision",), []),
    ],
)
def test_the_schema_and_the_checks_refuse_alike(path: tuple[str | int, ...], value: object) -> None:
    """What one calls wrong the other does too."""
    document: Any = _profiles()[1]
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert problems_of(document)
    assert list(Draft202012Validator(json_schema()).iter_errors(document))
