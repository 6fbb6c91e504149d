"""Expressions over columns -> truth per row, in numpy. What may stand in one is decided in `records/expression.py`.

Refuses to know rules. Rows come without missing values. Raises Mismatch where numbers meet texts: that is the data's
fault, and says nothing about the rule.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from exporter.records.expression import key

Value = NDArray[Any] | float | str
_OPERATORS: Final[dict[type[ast.AST], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: np.true_divide,
    ast.Mod: np.mod,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


class Mismatch(Exception):
    """Numbers and texts in one place."""


def truth(tree: ast.expr, columns: Mapping[str, NDArray[Any]], rows: int) -> NDArray[np.bool_]:
    """For each row, whether the expression holds."""
    with np.errstate(all="ignore"):
        return np.broadcast_to(np.asarray(_truth(tree, columns), np.bool_), rows)


def number(tree: ast.expr, named: Mapping[str, float]) -> float:
    """What an expression of numbers comes to; NaN, or infinite, where it has no value. Raises Mismatch."""
    columns = {name: np.asarray(value, np.float64) for name, value in named.items()}
    with np.errstate(all="ignore"):
        return float(_number(tree, columns))


def _truth(node: ast.expr, columns: Mapping[str, NDArray[Any]]) -> Any:
    if isinstance(node, ast.BoolOp):
        parts = [_truth(part, columns) for part in node.values]
        combine = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
        found = parts[0]
        for part in parts[1:]:
            found = combine(found, part)
        return found
    if isinstance(node, ast.UnaryOp):
        return np.logical_not(_truth(node.operand, columns))
    assert isinstance(node, ast.Compare)
    values = [_value(part, columns) for part in (node.left, *node.comparators)]
    if len(set(map(_is_text, values))) > 1:
        raise Mismatch
    found = True
    for op, left, right in zip(node.ops, values, values[1:], strict=False):
        found = np.logical_and(found, np.asarray(_OPERATORS[type(op)](left, right), np.bool_))
    return found


def _value(node: ast.expr, columns: Mapping[str, NDArray[Any]]) -> Value:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else np.float64(node.value)  # type: ignore[arg-type]
    if isinstance(node, ast.BinOp):
        left, right = _number(node.left, columns), _number(node.right, columns)
        found: Value = _OPERATORS[type(node.op)](left, right)
        return found
    if isinstance(node, ast.UnaryOp):
        inner: Value = _number(node.operand, columns)
        return np.negative(inner) if isinstance(node.op, ast.USub) else inner
    return columns[key(node)]


def _number(node: ast.expr, columns: Mapping[str, NDArray[Any]]) -> Any:
    found = _value(node, columns)
    if _is_text(found):
        raise Mismatch
    return found


def _is_text(value: Value) -> bool:
    return isinstance(value, str) or (isinstance(value, np.ndarray) and value.dtype.kind == "O")
