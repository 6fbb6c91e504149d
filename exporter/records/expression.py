"""Expressions over columns, as an owner writes them in a rule: Python's own grammar, of which little is allowed.

Names are columns of the request (`a`, `input.a`) or of the answer (`output.a`); other names stand in backticks. Known
are numbers, texts in quotes, + - * / %, comparisons, chained too, and, or, not. Refuses to know arrays: what is
parsed here is computed in the analysis. Nothing is ever evaluated by Python.
"""

import ast
import re
from dataclasses import dataclass
from typing import Final, NamedTuple

MAX_LENGTH: Final = 500
MAX_NODES: Final = 100
_SIDES: Final = ("input", "output")
_QUOTED: Final = re.compile(r"`([^`]*)`")
_PLACE: Final = re.compile(r"__column_(\d+)__")
_ARITHMETIC: Final = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Mod)
_COMPARISONS: Final = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
EXPECTED: Final = "expected a comparison of columns, such as low <= high and output.price > 2 * `unit cost`"


class Reference(NamedTuple):
    """A column of one side: input or output."""

    side: str
    name: str


@dataclass(frozen=True, slots=True)
class Expression:
    """`tree` holds nothing but what is allowed; `columns` are those that it names, by the names it has for them."""

    tree: ast.expr
    columns: dict[str, Reference]


def parse(text: str) -> Expression:
    """What holds or does not. Raises ValueError that tells what was found and what was expected."""
    tree, quoted = _tree(text, EXPECTED)
    columns: dict[str, Reference] = {}
    _truth(tree, columns, quoted)
    if not columns:
        raise ValueError(f"names no column; {EXPECTED}")
    return Expression(tree, columns)


def parse_value(text: str, sides: tuple[str, ...]) -> Expression:
    """A number of names, plain ones and those of `sides`. Raises ValueError as `parse` does."""
    expected = f"expected a number such as {sides[0]}.revenue / labelled"
    tree, quoted = _tree(text, expected)
    columns: dict[str, Reference] = {}
    _value(tree, columns, quoted, sides)
    if not columns:
        raise ValueError(f"names nothing; {expected}")
    return Expression(
        tree, {name: one._replace(side=name.rpartition(".")[0]) for name, one in columns.items()}
    )


def _tree(text: str, expected: str) -> tuple[ast.expr, list[str]]:
    """The tree, of no more parts than allowed, and the names that stood in backticks."""
    if len(text) > MAX_LENGTH:
        raise ValueError(f"expected at most {MAX_LENGTH} characters")
    quoted: list[str] = []

    def place(found: re.Match[str]) -> str:
        quoted.append(found[1])
        return f"__column_{len(quoted) - 1}__"

    try:
        tree = ast.parse(_QUOTED.sub(place, text).strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        told = error.msg if isinstance(error, SyntaxError) else "not readable"
        raise ValueError(f"{told}; {expected}") from None
    if sum(1 for _ in ast.walk(tree)) > MAX_NODES:
        raise ValueError(f"expected at most {MAX_NODES} parts")
    return tree, quoted


def key(node: ast.expr) -> str:
    """The name by which a column stands in `Expression.columns`; "" for another node."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return ""


def _truth(node: ast.expr, columns: dict[str, Reference], quoted: list[str]) -> None:
    if isinstance(node, ast.BoolOp):
        for part in node.values:
            _truth(part, columns, quoted)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        _truth(node.operand, columns, quoted)
    elif isinstance(node, ast.Compare) and all(isinstance(one, _COMPARISONS) for one in node.ops):
        for part in (node.left, *node.comparators):
            _value(part, columns, quoted)
    else:
        raise ValueError(f"{_shown(node)} is no comparison; {EXPECTED}")


def _value(
    node: ast.expr, columns: dict[str, Reference], quoted: list[str], sides: tuple[str, ...] = _SIDES
) -> None:
    if isinstance(node, ast.BinOp) and isinstance(node.op, _ARITHMETIC):
        _value(node.left, columns, quoted, sides)
        _value(node.right, columns, quoted, sides)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        _value(node.operand, columns, quoted, sides)
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float, str):
        _constant(node)
    elif key(node):
        columns[key(node)] = _reference(node, quoted, sides)
    else:
        raise ValueError(f"{_shown(node)} is not allowed; expected columns, numbers, texts and + - * / %")


def _constant(node: ast.Constant) -> None:
    if type(node.value) is int:
        try:
            float(node.value)
        except OverflowError:
            raise ValueError("a number is too large; expected one below 1.8e308") from None


def _reference(node: ast.expr, quoted: list[str], sides: tuple[str, ...]) -> Reference:
    side, _, name = key(node).rpartition(".")
    if side and side not in sides:
        raise ValueError(
            f"{_shown(node)} is no column; expected {' or '.join(f'{one}.NAME' for one in sides)}"
        )
    found = _PLACE.fullmatch(name)
    name = quoted[int(found[1])] if found is not None and int(found[1]) < len(quoted) else name
    if not name:
        raise ValueError("an empty name; expected a column between the backticks")
    return Reference(side or "input", name)


def _shown(node: ast.expr) -> str:
    return repr(_PLACE.sub("`…`", ast.unparse(node)))[:60]
