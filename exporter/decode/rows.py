"""Bodies of rows, as KServe V1 and TensorFlow Serving have them: the field that holds them, and their table.

Knows neither paths nor which of the two speaks.
"""

from typing import Any

from exporter.decode.columns import MAX_COLUMNS, Role, checked, row_columns
from exporter.records.observation import Columns, Observation, Undecodable

# What columns are called after if nothing names them.
BASES: dict[Role, str] = {"input": "input", "output": "prediction"}
Table = tuple[int, Columns]


def either(fields: dict[str, Any], first: str, second: str) -> Any:
    """The one of two fields that is there and not null; Undecodable "missing_field" or "ambiguous_field"."""
    one, other = fields.get(first), fields.get(second)
    if one is None and other is None:
        raise Undecodable("missing_field")
    if one is not None and other is not None:
        raise Undecodable("ambiguous_field")
    return other if one is None else one


def paired(protocol: str, inputs: Table, outputs: Table, task: str = "") -> Observation:
    """The Observation of two tables; Undecodable "rows_differ" if they have other numbers of rows."""
    if inputs[0] != outputs[0]:
        raise Undecodable("rows_differ")
    return Observation(protocol, inputs[0], inputs[1], outputs[1], task=task)


def row_table(value: Any, role: Role) -> Table:
    """(rows, columns) of a list of rows, of one row, or of an object of columns of one length."""
    if type(value) is dict and all(type(cells) is list for cells in value.values()):
        return _column_form(value, role)
    rows = value if type(value) is list else [value]
    return len(rows), checked(row_columns(BASES[role], rows, role)) if rows else ()


def named_columns(tensors: dict[str, list[Any]], role: Role) -> Columns:
    """Columns of lists with names, all of one length."""
    if len(tensors) > MAX_COLUMNS:
        raise Undecodable("too_many_columns")
    if "" in tensors:
        raise Undecodable("bad_name")
    # Depth 1: an object among the cells belongs to the name of its tensor.
    return checked(column for name, cells in tensors.items() for column in row_columns(name, cells, role, 1))


def _column_form(tensors: dict[str, list[Any]], role: Role) -> Table:
    lengths = {len(cells) for cells in tensors.values()}
    if not lengths:
        raise Undecodable("missing_field")
    if len(lengths) > 1:
        raise Undecodable("rows_differ")
    return lengths.pop(), named_columns(tensors, role)
