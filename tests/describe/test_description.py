"""description.py, compared.py, estimator.py: digests, what is refused, what differs, what an estimator says."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from exporter.describe import VERSION, Difference, describe, differences, of_estimator
from exporter.describe.description import MAX_VALUES, schema
from exporter.records.problems import Problems
from exporter.records.threshold import Threshold

SAID = {
    "name": "fraud",
    "version": 7,
    "owner": "ada",
    "hyperparameters": {"depth": 6, "eta": 0.5},
    "features": [{"name": "a", "importance": 0.5}, {"name": "b"}],
    "thresholds": [{"name": "review", "value": 0.5}],
}


def test_digests() -> None:
    """Order, form of numbers, empty sections and the owner change nothing; every other word does."""
    found = describe(SAID)
    turned = {key: SAID[key] for key in reversed(SAID)}
    same = turned | {
        "owner": "eve",
        "team": "x",
        "hyperparameters": {"eta": 0.50, "depth": 6.0},
        "training": {},
    }
    assert describe(same).digest == describe(json.loads(json.dumps(same))).digest == found.digest
    assert found.document()["schema"] == VERSION
    assert "training" not in describe(same).document()
    others = (
        {"version": 8},
        {"run_id": "r"},
        {"checkpoint": "c"},
        {"hyperparameters": {"depth": 6, "eta": 0.25}},
        {"hyperparameters": {"depth": True, "eta": 0.5}},
        {"features": [{"name": "b"}, {"name": "a", "importance": 0.5}]},
        {"training": {"seed": 1}},
    )
    digests = {describe(SAID | other).digest for other in others}
    assert len(digests) == len(others)
    assert found.digest not in digests
    assert describe(SAID | others[3]).digests["features"] == found.digests["features"]


def test_thresholds_are_those_of_the_settings() -> None:
    """They are counted like configured ones."""
    assert describe(SAID).thresholds == (Threshold("review", 0.5),)
    assert describe({}).thresholds == ()


@pytest.mark.parametrize(
    ("document", "problems"),
    [
        ({"schema": "modeltap.description/2"}, (f".schema: 'modeltap.description/2', expected {VERSION}",)),
        ({"name": "a\nb"}, (".name: 'a\\nb', expected a text of at most 128 printable characters",)),
        ({"name": True}, (".name: True, expected a text of at most 128 printable characters",)),
        ({"owner": ["a"]}, (".owner: ['a'], expected a text of at most 128 printable characters",)),
        (
            {"hyperparameters": [1], "features": {"a": 1}},
            (".hyperparameters: list, expected a mapping", ".features: dict, expected a list"),
        ),
        ({"features": ["a"]}, (".features[0]: 'a', expected a mapping with a name",)),
        (
            {"thresholds": [{"name": "t"}]},
            (".thresholds[0].value: None, expected a number up to 1e+300",),
        ),
        (
            {"training": {"x": list(range(MAX_VALUES))}},
            (f".training: expected at most {MAX_VALUES} values",),
        ),
        ({"training": {"x": "y" * 70_000}}, (".training: expected texts of at most 65536 characters",)),
    ],
)
def test_bad_input(document: dict[str, Any], problems: tuple[str, ...]) -> None:
    """All that is wrong at once: where, value, what was expected."""
    with pytest.raises(Problems) as caught:
        describe(document)
    assert caught.value.problems == problems


def test_depth() -> None:
    """Nesting has an end."""
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    with pytest.raises(Problems, match="at most 16 levels"):
        describe({"training": {"x": deep}})


def test_what_json_has_not() -> None:
    """Numbers that are none, dates and numbers without end are texts; keys are texts."""
    found = describe({"training": {1: float("nan"), "i": float("-inf"), "b": 1 << 70, "n": None}})
    assert found.sections["training"] == {"1": "nan", "i": "-inf", "b": str(1 << 70), "n": None}
    assert len(found.digest) == 64


def test_differences() -> None:
    """Value by value; things with names are told apart by them, whatever their order."""
    other = {
        **SAID,
        "version": "8",
        "hyperparameters": {"depth": 8, "seed": 1},
        "features": [{"name": "c"}, {"name": "a", "importance": 0.4}],
        "training": {"x": [1, 2]},
    }
    assert list(differences(describe(SAID), describe(other))) == [
        Difference("version", "7", "8"),
        Difference("hyperparameters.depth", 6, 8),
        Difference("hyperparameters.eta", 0.5, None),
        Difference("hyperparameters.seed", None, 1),
        Difference("features[a].importance", 0.5, 0.4),
        Difference("features[b]", {"name": "b"}, None),
        Difference("features[c]", None, {"name": "c"}),
        Difference("training", None, {"x": [1, 2]}),
    ]
    moved = describe({**SAID, "features": list(reversed(SAID["features"]))})  # type: ignore[call-overload]
    assert list(differences(describe(SAID), moved)) == [
        Difference("features (order)", ["a", "b"], ["b", "a"])
    ]
    told = [describe({"training": said}) for said in ({}, {"x": None}, {"x": [1]}, {"x": [True]})]
    assert all(list(differences(one, other)) for one in told for other in told if one is not other)


def test_schema() -> None:
    """What is written fits the published schema; what is refused by its form does not."""
    checker = Draft202012Validator(schema())
    Draft202012Validator.check_schema(schema())
    assert list(checker.iter_errors(describe(SAID).document())) == []
    wrong: tuple[dict[str, Any], ...] = (
        {"nmae": 1},
        {"training": []},
        {"features": [{}]},
        {"thresholds": [{"name": "t"}]},
        {"schema": "modeltap.description/2"},
        {"name": "x" * 129},
    )
    assert all(list(checker.iter_errors({"schema": VERSION} | one)) for one in wrong)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=8,
)
SECTION = st.dictionaries(st.text("ab", max_size=2), VALUES, max_size=3)


@given(SECTION, SECTION)
def test_no_difference_is_the_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    """There is a difference wherever the digests are two, and none where they are one."""
    one, other = describe({"training": before}), describe({"training": after})
    assert (one.digest == other.digest) is (list(differences(one, other)) == [])


class Forest:
    """An estimator by its attributes."""

    feature_names_in_ = np.array(["a", "b"], object)
    feature_importances_ = np.array([0.75, 0.25])
    classes_ = np.array([0, 1])

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        assert not deep
        return {
            "n_estimators": np.int64(100),
            "random_state": 7,
            "max_depth": None,
            "criterion": self,
            "alpha": 0.5,
        }


class Linear:
    """One without parameters, names or classes."""

    coef_ = np.array([[1.0, -2.0]])


def test_estimators() -> None:
    """Class, parameters, features and importances; objects by their names; all of it is a description."""
    said = of_estimator(Forest())
    assert said == {
        "architecture": {"class": f"{__name__}.Forest", "classes": [0, 1]},
        "hyperparameters": {"n_estimators": 100, "random_state": 7, "criterion": "Forest", "alpha": 0.5},
        "regularisation": {"alpha": 0.5},
        "optimiser": {"n_estimators": 100},
        "training": {"seed": 7},
        "features": [{"name": "a", "importance": 0.75}, {"name": "b", "importance": 0.25}],
    }
    assert describe(said | {"name": "m"}).sections["training"] == {"seed": 7}
    assert of_estimator(Linear())["features"] == [
        {"name": "0", "coefficient": 1.0},
        {"name": "1", "coefficient": -2.0},
    ]
    assert of_estimator(object())["features"] == []
