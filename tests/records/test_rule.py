"""rule.py, pattern.py, expression.py: what an owner may write, and what is said of what he may not."""

import json
import re
from typing import Any

import msgspec
import pytest

from exporter.analysis.known import Known
from exporter.records import expression, pattern
from exporter.records.rule import MAX_RULES, Rule, RuleError, parse
from exporter.settings.config import ConfigError, load

FINE: list[dict[str, Any]] = [
    {"name": "age", "column": "age", "range": [0, 120]},
    {"name": "low", "column": "age", "range": ["0", None]},
    {"name": "plan", "column": "plan", "set": ["free", "pro", 3]},
    {"name": "code", "column": "code", "regex": "[A-Z]{3}-\\d+"},
    {"name": "note", "column": "note", "length": [1, 200]},
    {"name": "day", "column": "day", "date": "iso"},
    {"name": "day_2", "column": "day", "date": "%d.%m.%Y"},
    {"name": "there", "column": "x", "not_null": True},
    {"name": "once", "column": "x", "unique": "true"},
    {"name": "price", "column": "price", "side": "output", "range": [None, 10]},
    {"name": "sum", "check": "output.price <= 2 * `unit cost` + tax"},
]
WRONG: list[tuple[Any, str]] = [
    ("text", "expected a mapping"),
    ({"name": "Age", "column": "a", "not_null": True}, "name: 'Age', expected a-z"),
    ({"name": "small_value", "column": "a", "not_null": True}, "no reason that is built in"),
    ({"name": "a", "not_null": True}, "column: '', expected the name of a column"),
    ({"name": "a", "column": "a"}, "no check: expected exactly one of"),
    (
        {"name": "a", "column": "a", "unique": True, "not_null": True},
        "not_null and unique: expected exactly one of",
    ),
    ({"name": "a", "column": "a", "rnage": [0, 1]}, "rnage: unknown key, expected one of"),
    (
        {"name": "a", "column": "a", "side": "both", "not_null": True},
        "side: 'both', expected input or output",
    ),
    ({"name": "a", "column": "a", "range": [1, 0]}, "range: [1, 0], expected [LOW, HIGH]"),
    ({"name": "a", "column": "a", "range": [None, None]}, "expected [LOW, HIGH]"),
    ({"name": "a", "column": "a", "range": ["nan", 1]}, "expected [LOW, HIGH]"),
    ({"name": "a", "column": "a", "length": "x"}, "expected [LOW, HIGH]"),
    ({"name": "a", "column": "a", "set": []}, "expected a list of 1 to 1000"),
    ({"name": "a", "column": "a", "regex": "("}, "expected a regular expression"),
    ({"name": "a", "column": "a", "regex": "(a+)+b"}, "ways through a text"),
    ({"name": "a", "column": "a", "date": "soon"}, "expected iso, or a format"),
    ({"name": "a", "column": "a", "date": "%Q"}, "expected iso, or a format"),
    ({"name": "a", "column": "a", "not_null": False}, "expected true"),
    ({"name": "a", "column": "b", "check": "a < 1"}, "a check names its columns itself"),
    ({"name": "a", "check": "a +"}, "expected a comparison of columns"),
]


def test_what_is_fine_is_read_and_travels_as_json() -> None:
    """As the configuration goes to the other process."""
    found = parse(FINE)
    assert [rule.name for rule in found] == [one["name"] for one in FINE]
    assert found[1] == Rule("low", "range", "age", low=0.0)
    known = Known(rules=found)
    assert msgspec.convert(json.loads(msgspec.json.encode(known)), Known) == known


@pytest.mark.parametrize(("rule", "told"), WRONG)
def test_what_is_wrong_is_told_with_key_value_and_expectation(rule: Any, told: str) -> None:
    """Each by itself."""
    with pytest.raises(RuleError, match=re.escape(told)) as error:
        parse([FINE[0], rule])
    assert all(problem.startswith("[1]") for problem in error.value.problems)


def test_all_problems_are_told_at_once() -> None:
    """Of all rules, and of each; names that are taken among them."""
    with pytest.raises(RuleError) as error:
        parse([one for one, _ in WRONG] + [FINE[0], FINE[0]])
    told = error.value.problems
    assert {int(problem[1 : problem.index("]")]) for problem in told} >= set(range(len(WRONG)))
    assert any("expected another name for each rule" in problem for problem in told)


def test_the_configuration_tells_where(tmp_path: Any) -> None:
    """In a file, with YAML's words; too many are refused."""
    file = tmp_path / "modeltap.yml"
    file.write_text("upstream: http://a\nrules:\n  - {name: a, column: x, range: [0, ]}\n  - {name: b}\n")
    with pytest.raises(ConfigError) as error:
        load({"config": str(file)}, {})
    assert [problem.startswith(f"{file}: rules[") for problem in error.value.problems] == [True] * 3
    file.write_text("upstream: http://a\nrules:\n  - {name: a, column: x, range: [0, null], side: input}\n")
    assert load({"config": str(file)}, {}).rules == (Rule("a", "range", "x", low=0.0),)
    many = json.dumps([{"name": f"r{at}", "column": "x", "not_null": True} for at in range(MAX_RULES + 1)])
    with pytest.raises(ConfigError, match="at most 64"):
        load({"upstream": "http://a", "rules": many}, {})


@pytest.mark.parametrize(
    "taken",
    [
        *(
            "[A-Z]{3}",
            "a*",
            "a+b?",
            "(?:ab|cd){1,5}",
            "[^@]++@[^@]++",
            "(?>a+)b+",
            ".*",
            "(a|b)*+c",
            "^x$",
            "\\d{4}-\\d\\d",
        ),
        "(?i:abc)",
    ],
)
def test_patterns_that_are_taken(taken: str) -> None:
    """Repetition without end once, or without a way back."""
    assert pattern.compiled(taken).pattern == taken


@pytest.mark.parametrize(
    "refused",
    [
        *(
            "(a+)+",
            "(a*)*b",
            "(a|a)*b",
            ".*.*",
            "\\w+@\\w+",
            "(?:a?){30}b",
            "a{0,64}a{0,64}",
            "(x+x+)+y",
            "(a|b|ab)*c",
        ),
        *("(?=a)b", "(a)\\1", "(?<!a)b", "(?>(a+)+)b", "((a+)+)++", "a" * 501, "[", "(?P<x>a)(?(x)b|c)", "*"),
    ],
)
def test_patterns_that_could_run_away_are_refused(refused: str) -> None:
    """Nested, adjacent, alternatives under repetition, inside of what is atomic; and what is no pattern."""
    with pytest.raises(ValueError, match="expected"):
        pattern.compiled(refused)


@pytest.mark.parametrize("taken", ["a*[ab]{200}c", "a{0,30}a{0,30}c", "(?:ab?)?a*c", "a++.*c"])
def test_what_is_taken_ends_on_the_worst_text(taken: str) -> None:
    """A text that almost matches everywhere; a way count gone wrong would not come back from this."""
    assert pattern.compiled(taken).fullmatch("a" * pattern.MAX_TEXT) is None


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a <= b", {("input", "a"), ("input", "b")}),
        ("0 < input.a < output.y", {("input", "a"), ("output", "y")}),
        ("`unit cost` * 2 != output.`y 1`", {("input", "unit cost"), ("output", "y 1")}),
        ("not (a > 1 and b == 'x') or -a % 3 < .5", {("input", "a"), ("input", "b")}),
    ],
)
def test_expressions_name_their_columns(text: str, columns: set[tuple[str, str]]) -> None:
    """Of both sides, any name in backticks."""
    found = expression.parse(text).columns.values()
    assert {(one.side, one.name) for one in found} == columns


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "a",
            "a + b",
            "1 < 2",
            "a < b()",
            "__import__('os') == 1",
            "a.b.c < 1",
            "other.a < 1",
            "a[0] < 1",
        ),
        *(
            "a is b",
            "a in b",
            "a < (lambda: 1)",
            "a if b else c",
            "a := 1",
            "a ** 9 < 1",
            "a << 9 < 1",
            "~a < 1",
        ),
        *(
            "a < True",
            "a < None",
            "a < 1j",
            "a < f'{b}'",
            "`` < 1",
            "a < 1" + "0" * 400,
            "a < 'x",
            "a; b",
            "a\nb",
        ),
        *(
            "a < 1 and b",
            "(" * 300 + "a" + ")" * 300 + "< 1",
            "a < 1 or " * 60 + "a < 1",
            "a.__class__ < output.__x__.y",
        ),
        "a" * 501 + " < 1",
    ],
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    """Calls, names of the interpreter, powers that explode, depth, length: all before anything is computed."""
    with pytest.raises(ValueError, match="expected"):
        expression.parse(text)
