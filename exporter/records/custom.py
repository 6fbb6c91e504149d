"""Custom: how the owner describes a protocol of his own, as both processes read it: its path, and JMESPath expressions.

Refuses to know bodies: `decode/custom.py` reads those. The data plane needs the path alone, so the library of the
expressions is loaded only where there is one to check.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from exporter.records.routes import custom_rule

MAX_CUSTOMS: Final = 16
MAX_EXPRESSION: Final = 1024
MAX_NAME: Final = 128  # of a column: longer ones are cut by every decoder
_TABLES: Final = ("inputs", "outputs", "class", "score")
# What the library raises on expressions, and on values that one does not fit; its own errors are ValueErrors.
FAILURES: Final = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


class CustomError(ValueError):
    """A custom dialect that cannot be used; `problems` lists all that is wrong: key, value, what was expected."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


@dataclass(frozen=True, slots=True)
class Custom:
    """What the owner writes; "" leaves a field out. `class_` is the key `class`.

    `path` may hold {model_name} and {model_version} for one segment each. `inputs` and `outputs` pick rows: a list has
    one in each place, an object of lists alike in length a column in each field, and anything else is one row; `[x]`
    makes one row of the list x. The names of columns are an expression, or a list of them as it stands. `class` and
    `score` pick a value, or a list of one per row.
    """

    path: str
    inputs: str = ""
    input_names: str | tuple[str, ...] = ""
    outputs: str = ""
    output_names: str | tuple[str, ...] = ""
    class_: str = ""
    score: str = ""
    request_id: str = ""
    model_name: str = ""
    model_version: str = ""


KEYS: Final = tuple(field.name.rstrip("_") for field in fields(Custom))


def parse(mapping: Mapping[str, Any]) -> Custom:
    """The Custom of a configuration's mapping; CustomError with all problems at once."""
    problems = [
        f"{key}: unknown key, expected one of {', '.join(KEYS)}" for key in mapping if key not in KEYS
    ]
    values: dict[str, Any] = {}
    for key in KEYS:
        value = mapping.get(key, "")
        if key.endswith("_names") and type(value) is list:
            value = tuple(value)
        problem = _problem(key, value)
        if problem:
            problems.append(f"{key}: {value!r}, {problem}")
        values["class_" if key == "class" else key] = value
    if not any(mapping.get(key) for key in _TABLES):
        problems.append(f"no table is picked, expected at least one of {', '.join(_TABLES)}")
    if problems:
        raise CustomError(problems)
    return Custom(**values)


def _problem(key: str, value: Any) -> str:
    """What is wrong with the value of a key; "" if nothing is."""
    if type(value) is tuple:
        fine = all(type(name) is str and 0 < len(name) <= MAX_NAME for name in value)
        if not value or not fine or len(set(value)) < len(value):
            return f"expected distinct names of 1 to {MAX_NAME} characters"
        return ""
    if type(value) is not str:
        return "expected text" if not key.endswith("_names") else "expected text or a list of names"
    if key == "path":
        try:
            custom_rule(value)
        except ValueError as error:
            return str(error)
        return ""
    if len(value) > MAX_EXPRESSION:
        return f"expected at most {MAX_EXPRESSION} characters"
    if not value:
        return ""
    import jmespath  # type: ignore[import-untyped]

    try:
        jmespath.compile(value)
    except FAILURES as error:
        told = (str(error).splitlines() or [""])[0]
        return f"expected a JMESPath expression: {told}"
    return ""
