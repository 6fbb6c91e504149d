"""A dialect from expressions: what they pick, and what is said of those that cannot be used."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.decode import payload
from exporter.decode.custom import dialect
from exporter.records.custom import KEYS, MAX_EXPRESSION, MAX_NAME, Custom, CustomError, parse
from exporter.records.observation import Undecodable
from exporter.records.routes import SELECTABLE
from tests.decode.cases import HOSTILE, ROWS, cases, expected, outcome, total
from tests.decode.exchanges import exchange

EVERYTHING = dialect(
    Custom(
        path="/score",
        inputs="rows || @",
        input_names="names",
        outputs="rows",
        output_names=("a", "b"),
        class_="class",
        score="score",
        request_id="id",
        model_name="sum(rows[])",
        model_version="max_by(rows, &[0])",
    )
)
PLAIN = dialect(Custom("/score", inputs="rows", outputs="join(',', rows) && rows"))
BODY = (
    st.fixed_dictionaries({}, optional=dict.fromkeys(("rows", "names", "class", "score", "id"), ROWS)) | ROWS
)


@pytest.mark.parametrize("case", cases("custom"))
def test_vector(case: Path) -> None:
    """A stored exchange, read by the expressions stored beside it, gives the stored outcome."""
    custom = parse(json.loads(case.with_suffix(".custom.json").read_text()))
    np.testing.assert_equal(outcome(case, dialect(custom)), expected(case))


def test_there_are_vectors() -> None:
    """The folder holds good exchanges and bad ones."""
    found = [expected(case.values[0]) for case in cases("custom")]
    assert len(found) >= 12
    assert len({one.get("undecodable") for one in found}) > 5


@given(request=BODY, response=BODY)
@settings(max_examples=60)
def test_any_json(request: Any, response: Any) -> None:
    """Any JSON under expressions of all kinds gives an Observation that keeps its contract, or a known reason."""
    one = exchange("/score", json.dumps(request).encode(), json.dumps(response).encode())
    for made in (EVERYTHING, PLAIN):
        total(one, made)


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: f"{value[:8]!r}")
def test_hostile_values(value: bytes) -> None:
    """Deep, sparse and wide values end in bounded work."""
    for made in (EVERYTHING, PLAIN):
        total(exchange("/score", b'{"rows":%s}' % value, b'{"rows":%s,"class":%s}' % (value, value)), made)


def test_every_key_is_read() -> None:
    """A mapping with every key becomes the same Custom as its fields written out."""
    given = dict.fromkeys(KEYS, "a") | {"path": "/a/{model_name}", "input_names": ["x", "y"]}
    custom = parse(given)
    assert custom.input_names == ("x", "y")
    assert {key: getattr(custom, "class_" if key == "class" else key) for key in KEYS} == given | {
        "input_names": ("x", "y")
    }


def test_all_problems_at_once() -> None:
    """Each problem names the key, the value and what was expected; all of them come together."""
    with pytest.raises(CustomError) as refusal:
        parse(
            {
                "path": "score",
                "inputs": "rows[",
                "outputs": "nope(",
                "class": 7,
                "score": "p" * (MAX_EXPRESSION + 1),
                "input_names": [],
                "output_names": ["a", "a"],
                "feature_names": "x",
            }
        )
    problems = refusal.value.problems
    starts = ("feature_names: unknown key", "path: 'score', expected", "inputs: 'rows[', expected a JMESPath")
    for start in (*starts, "outputs: 'nope('", "class: 7, expected text", "score: 'p", "input_names: ()"):
        assert sum(problem.startswith(start) for problem in problems) == 1, start
    assert len(problems) == 8
    assert str(refusal.value).splitlines() == list(problems)


@pytest.mark.parametrize(
    ("mapping", "word"),
    [
        ({}, "path"),
        ({"path": "/score"}, "no table is picked"),
        ({"path": "/score", "request_id": "id"}, "no table is picked"),
        ({"path": "/score", "inputs": None}, "inputs: None, expected text"),
        ({"path": "/{model_name}/{model_name}", "inputs": "x"}, "at most once"),
        ({"path": "/score", "inputs": "(" * 1000}, "expected a JMESPath expression"),
        ({"path": "/score", "inputs": "x", "input_names": [1]}, "expected distinct names"),
        ({"path": "/score", "inputs": "x", "input_names": 1}, "expected text or a list of names"),
    ],
)
def test_one_problem(mapping: dict[str, Any], word: str) -> None:
    """What cannot be used is refused, with what was expected."""
    with pytest.raises(CustomError, match=word):
        parse(mapping)


def test_a_custom_made_by_hand_is_checked_too() -> None:
    """A Custom that no `parse` has seen is refused when its dialect is made."""
    with pytest.raises(CustomError, match="expected a JMESPath expression"):
        dialect(Custom("/score", inputs="rows["))


def test_claims_its_path_whatever_the_route_table_says() -> None:
    """The path decides, also one that another dialect is known to serve; other methods and paths are left."""
    made = dialect(Custom("/predictions/{model_name}", outputs="y"))
    one = exchange("/predictions/fraud", b"", b'{"y":[1]}')
    assert (one.protocol, made.NAME, made.claims(one)) == ("torchserve", "custom", True)
    assert made.decode(one).model_name == "fraud"
    assert not made.claims(exchange("/predictions/fraud/2", b"", b""))
    assert not made.claims(exchange("/predictions/fraud", b"", b"", method="GET"))


def test_names_that_are_written_out_are_no_longer_than_those_that_are_read() -> None:
    """The bound on a column's name is one, on either side."""
    assert MAX_NAME == payload.MAX_NAME


def test_expressions_are_compiled_once() -> None:
    """Decoding compiles nothing: what was compiled is what is searched with."""
    made = dialect(Custom("/score", outputs="y"))
    before = dict(made.compiled)
    made.decode(exchange("/score", b"", b'{"y":[1]}'))
    with pytest.raises(Undecodable):
        made.decode(exchange("/score", b"", b"{}"))
    assert dict(made.compiled) == before


PAGE = (Path(__file__).parents[2] / "docs" / "protocols.md").read_text()


def test_the_page_tells_every_key_and_dialect() -> None:
    """docs/protocols.md has a line for each key, names each dialect, and its example reads its own bodies."""
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) == list(KEYS)
    assert all(f"`{name}`" in PAGE for name in SELECTABLE)
    (text,) = re.findall(r"```yaml\n(custom:.*?)```", PAGE, re.DOTALL)
    (mapping,) = yaml.safe_load(text)["custom"]
    request, answer = re.findall(r'`(\{".*?\})`(?: and|\. Each)', PAGE.replace("\n", " "))
    found = dialect(parse(mapping)).decode(exchange("/odd/mail", request.encode(), answer.encode()))
    assert (found.rows, found.model_name, found.model_version) == (1, "mail", "7")
    assert [column.name for column in (*found.inputs, *found.outputs)] == ["age", "city", "class", "score"]
