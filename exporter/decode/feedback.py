"""Feedback as callers send it: POST /v1/feedback, as JSON, JSON lines or CSV -> labels, item by item.

An item names a prediction by `id` or `receipt` (and `row`) and tells what turned out: `label` (a number, a class, a
list of classes, or an object of items with their grades), or `labels`, a list with one for each row of the id or an
object with one for each output; `observed_at`, `source`, `weight`, `groups` and `outcomes` besides. SageMaker's ground
truth and CloudEvents are read as they are. An item that cannot be taken costs no other one. Whatever the bytes are,
each item becomes labels or one of REASONS; `docs/labels.md` is the schema for a person.
"""

import csv
import io
import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from exporter.decode.moments import moment
from exporter.decode.payload import MAX_ID, MAX_NAME, parse
from exporter.records.feedback import Feedback, Truth
from exporter.records.observation import Undecodable

MAX_ITEMS: Final = 50_000
MAX_LABELS: Final = 100_000  # of one body, those of lists counted one by one
MAX_CLASSES: Final = 64  # of one row
MAX_NAMED: Final = 8  # groups, and outcomes, of one item
_MAX_WEIGHT: Final = 1e9
_MAX_GRADE: Final = 1e6
_MAX_ROW: Final = (1 << 32) - 1

# Every reason, with what was expected instead; words, never anything of the payload.
EXPECTED: Final[dict[str, str]] = {
    "not_json": "one JSON value in UTF-8, or one on each line with a content type of JSON lines",
    "not_csv": "CSV in UTF-8 whose header names id, label and what else there is",
    "too_many_items": f"at most {MAX_ITEMS} items",
    "too_many_labels": f"at most {MAX_LABELS} labels in a body, {MAX_CLASSES} classes in a label",
    "too_many_values": "fewer lists and objects in one body",
    "too_deep": "values that are not nested so deep",
    "missing_field": "id, and label or labels",
    "unknown_field": "the fields of docs/labels.md and no others",
    "ambiguous_field": "label or labels, id or receipt, not both; row only where one row is labelled",
    "wrong_type": "the types of docs/labels.md",
    "bad_id": f"a receipt, or an id of 1 to {MAX_ID} characters, and a row from 0 to {_MAX_ROW}",
    "bad_label": f"a finite number, a truth value, a text of 1 to {MAX_NAME} characters, or items with grades from 0",
    "bad_time": "unix seconds or RFC 3339 with a time zone, not in the future",
    "bad_weight": f"a weight above 0 and up to {_MAX_WEIGHT:g}",
    "bad_name": f"sources, groups and outcomes of 1 to {MAX_NAME} printable characters, {MAX_NAMED} at most",
    "bad_outcome": "finite numbers as outcomes",
    "foreign": "a CloudEvent with data in JSON, or ground truth whose encoding is CSV or JSON",
}
REASONS: Final = tuple(EXPECTED)
_GROUND_TRUTH: Final = frozenset({"groundTruthData", "eventMetadata", "eventVersion"})
_SCALARS: Final = frozenset({str, int, float, bool})


class _Fields(msgspec.Struct):
    """An item as it is written."""

    id: Any = None
    receipt: Any = None
    row: Any = None
    label: Any = None
    labels: Any = None
    observed_at: Any = None
    source: Any = None
    weight: Any = None
    groups: Any = None
    outcomes: Any = None


_FIELDS: Final = frozenset(_Fields.__struct_fields__)
# The labels of one item, or why it is refused.
Item = tuple[Feedback, ...] | str


def decode(body: bytes, form: str, now: float) -> list[Item]:
    """The items of a body in their order. `form`: json, lines or csv. Undecodable if the body holds none."""
    if form == "csv":
        listed: Iterator[Any] = _cells(body)
    elif form == "lines":
        if body.count(b"\n") > MAX_ITEMS:
            raise Undecodable("too_many_items")
        listed = (line for line in body.split(b"\n") if line.strip())
    else:
        value = _unpacked(parse(body))
        listed = iter(value if type(value) is list else [value])
    found: list[Item] = []
    left = MAX_LABELS
    for one in listed:
        if len(found) >= MAX_ITEMS:
            raise Undecodable("too_many_items")
        item = _item(one, now)
        if not isinstance(item, str):
            left -= len(item)
        if left < 0:
            raise Undecodable("too_many_labels")
        found.append(item)
    return found


def _item(value: Any, now: float) -> Item:
    try:
        return item(parse(value) if type(value) is bytes else value, now)
    except Undecodable as refusal:
        return refusal.reason


def item(value: Any, now: float) -> tuple[Feedback, ...]:
    """The labels in a JSON value; `now` in unix seconds. Raises Undecodable with one of REASONS."""
    if type(value) is not dict:
        raise Undecodable("wrong_type")
    if "specversion" in value:
        return tuple(one for part in _event(value) for one in item(part, now))
    if value.keys() & _GROUND_TRUTH:
        value = _ground_truth(value)
    if not value.keys() <= _FIELDS:
        raise Undecodable("unknown_field")
    fields = _Fields(**value)
    if (fields.id is None and fields.receipt is None) or (fields.label is None and fields.labels is None):
        raise Undecodable("missing_field")
    twice = fields.label is not None and fields.labels is not None
    if twice or (fields.receipt is not None and (fields.id is not None or type(fields.labels) is dict)):
        raise Undecodable("ambiguous_field")
    common = Feedback(
        id="" if fields.id is None else _identity(fields.id),
        receipt="" if fields.receipt is None else _receipt(fields.receipt),
        label=0.0,
        time=now if fields.observed_at is None else moment(fields.observed_at, now),
        row=_row(fields.row),
        source="" if fields.source is None else _word(fields.source),
        weight=_weight(fields.weight),
        groups=_groups(fields.groups),
        outcomes=_outcomes(fields.outcomes),
    )
    return tuple(_labels(common, fields))


def _labels(common: Feedback, fields: _Fields) -> Iterator[Feedback]:
    """One for each row or output; outcomes go with the first."""
    if type(fields.label) is dict:
        items, grades = graded(fields.label)
        yield msgspec.structs.replace(common, label=items, grades=grades)
    elif fields.label is not None:
        yield msgspec.structs.replace(common, label=truth(fields.label))
    elif type(fields.labels) is dict:
        for place, (name, label) in enumerate(fields.labels.items()):
            given = common if not place else msgspec.structs.replace(common, outcomes=())
            yield msgspec.structs.replace(given, label=truth(label), output=_word(name))
    elif type(fields.labels) is list:
        if fields.row is not None:
            raise Undecodable("ambiguous_field")
        for place, label in enumerate(fields.labels):
            # A row whose label is not known yet keeps waiting.
            if label is not None:
                given = common if not place else msgspec.structs.replace(common, outcomes=())
                yield msgspec.structs.replace(given, label=truth(label), row=place)
    else:
        raise Undecodable("wrong_type")


def truth(value: Any) -> Truth:
    """What a label is; Undecodable for what is none."""
    kind = type(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is int or kind is float:
        number = float(value) if abs(value) <= 1e300 else math.inf
        if not math.isfinite(number):
            raise Undecodable("bad_label")
        return number
    if kind is str:
        if not 0 < len(value) <= MAX_NAME or not value.isprintable():
            raise Undecodable("bad_label")
        return str(value)
    if kind is list:
        if len(value) > MAX_CLASSES:
            raise Undecodable("too_many_labels")
        if not set(map(type, value)) <= _SCALARS:
            raise Undecodable("wrong_type")
        return tuple(_class(truth(one)) for one in value)
    raise Undecodable("bad_label" if value is None else "wrong_type")


def graded(value: dict[str, Any]) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Items of a ranking and how relevant each is; Undecodable for what is none."""
    if len(value) > MAX_CLASSES:
        raise Undecodable("too_many_labels")
    for name, grade in value.items():
        if not 0 < len(name) <= MAX_NAME or not name.isprintable():
            raise Undecodable("bad_label")
        if type(grade) not in (int, float):
            raise Undecodable("wrong_type")
        if not 0.0 <= grade <= _MAX_GRADE:
            raise Undecodable("bad_label")
    return tuple(value), tuple(map(float, value.values()))


def _class(label: Truth) -> str:
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)


# ---------------------------------------------------------------- fields


def _identity(value: Any) -> str:
    word = str(value) if type(value) is int else value
    if type(word) is not str or not 0 < len(word) <= MAX_ID:
        raise Undecodable("bad_id")
    return word


def _receipt(value: Any) -> str:
    if type(value) is not str:
        raise Undecodable("wrong_type")
    if not value:
        raise Undecodable("bad_id")
    return value


def _row(value: Any) -> int:
    if value is None:
        return 0
    if type(value) is not int or not 0 <= value <= _MAX_ROW:
        raise Undecodable("bad_id")
    return value


def _weight(value: Any) -> float:
    if value is None:
        return 1.0
    if type(value) not in (int, float):
        raise Undecodable("wrong_type")
    if not 0.0 < value <= _MAX_WEIGHT:
        raise Undecodable("bad_weight")
    return float(value)


def _word(value: Any) -> str:
    if type(value) is not str:
        raise Undecodable("wrong_type")
    if not 0 < len(value) <= MAX_NAME or not value.isprintable():
        raise Undecodable("bad_name")
    return value


def _named(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if type(value) is not dict:
        raise Undecodable("wrong_type")
    if len(value) > MAX_NAMED:
        raise Undecodable("bad_name")
    return {_word(name): one for name, one in value.items()}


def _groups(value: Any) -> tuple[tuple[str, str], ...]:
    found = _named(value)
    return tuple((name, _word(str(one) if type(one) is int else one)) for name, one in found.items())


def _outcomes(value: Any) -> tuple[tuple[str, float], ...]:
    found = _named(value)
    for one in found.values():
        if type(one) not in (int, float):
            raise Undecodable("wrong_type")
        if not abs(one) <= 1e300:
            raise Undecodable("bad_outcome")
    return tuple((name, float(one)) for name, one in found.items())


# ---------------------------------------------------------------- others' forms


def _unpacked(value: Any) -> Any:
    """What stands in an envelope of ours."""
    return value["feedback"] if type(value) is dict and value.keys() == {"feedback"} else value


def _event(value: dict[str, Any]) -> Sequence[Any]:
    """The items in a CloudEvent of structured mode; its time is that of items which tell none."""
    data = _unpacked(value.get("data"))
    listed = data if type(data) is list else [data]
    if not listed or not all(type(one) is dict and "specversion" not in one for one in listed):
        raise Undecodable("foreign")
    if len(listed) > MAX_ITEMS:
        raise Undecodable("too_many_items")
    time = value.get("time")
    if time is None:
        return listed
    return [one if one.keys() & _GROUND_TRUTH else {"observed_at": time} | one for one in listed]


def _ground_truth(value: dict[str, Any]) -> dict[str, Any]:
    """An item of SageMaker's ground truth: one row of an inference, or all of them."""
    data, event = value.get("groundTruthData"), value.get("eventMetadata")
    if type(data) is not dict or type(event) is not dict:
        raise Undecodable("missing_field")
    told, coding = data.get("data"), data.get("encoding", "CSV")
    if type(told) is not str or coding not in ("CSV", "JSON"):
        raise Undecodable("foreign")
    labels = parse(told.encode()) if coding == "JSON" else [_typed(cell) for cell in told.strip().split(",")]
    if type(labels) is list and len(labels) == 1:
        (labels,) = labels
    fields = {"id": event.get("eventId"), "labels" if type(labels) is list else "label": labels}
    if event.get("eventTime") is not None:
        fields["observed_at"] = event["eventTime"]
    return fields


def _typed(cell: str) -> Any:
    """A cell that writes a number is one; codes such as 007 are none."""
    cell = cell.strip()
    digits = cell.lstrip("+-")
    if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
        return cell
    try:
        found = float(cell) if "_" not in cell else math.nan
    except ValueError:
        return cell
    return found if math.isfinite(found) else cell


def _cells(body: bytes) -> Iterator[Any]:
    """The lines of a CSV as items. A column label.NAME is of an output, group.NAME and outcome.NAME are named ones."""
    try:
        text = body.decode("utf-8-sig")
        rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        names = [name.strip() for name in next(rows, [])]
        if "id" not in names or len(set(names)) < len(names):
            raise Undecodable("not_csv")
        for cells in rows:
            if len(cells) == len(names):
                yield _line(names, cells)
            elif cells:
                yield None  # no item: of the wrong type
    except (UnicodeDecodeError, csv.Error):
        raise Undecodable("not_csv") from None


_SIDES: Final = {"label": "labels", "group": "groups", "outcome": "outcomes"}


def _line(names: list[str], cells: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, cell in zip(names, cells, strict=True):
        if not cell.strip():
            continue
        side, dot, rest = name.partition(".")
        if dot and side in _SIDES:
            found.setdefault(_SIDES[side], {})[rest] = cell if side == "group" else _typed(cell)
        elif name in ("id", "receipt", "source"):
            found[name] = cell
        else:
            value = _typed(cell)
            found[name] = (
                int(value) if name == "row" and type(value) is float and value.is_integer() else value
            )
    return found
