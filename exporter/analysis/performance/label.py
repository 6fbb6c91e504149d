"""A label as stores keep it, in at most 31 bytes; which form it has is told by how many there are.

    bytes  form
    20     class (id), number, weight
    27     the same, the place of its group in each of four segments, 24 bits of what these segments are
    26     several classes: weight, how many (128 more where they have grades), three bytes of each, and of items of a
           ranking one more, the grade

Behind each of them there may be four bytes more: the mark of outcomes that were told with it (told.py). Refuses to know
rows. Invariant: bytes of no form are told as unreadable, never guessed; two classes share their 22 bits once in four
millions.
"""

import struct
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.performance.segments import Named
from exporter.pending.row import version_id
from exporter.records.feedback import Truth
from exporter.records.segment import MAX_SEGMENTS
from exporter.stats import canonical

MOST_CLASSES: Final = 7
MOST_GRADED: Final = 5
MOST_GRADE: Final = 255
# Of a class or an item: as many as five have room for in a row (packing.py).
MARK_BITS: Final = 22
_CLASS_MARK: Final = (1 << MARK_BITS) - 1
LABEL: Final = np.dtype([("klass", "<u8"), ("number", "<f8"), ("weight", "<f4"), ("told", "<u4")])
# With groups; and with several classes besides: `count` of them, -1 where the label is one class or number.
GROUPED: Final = np.dtype([*LABEL.descr, ("groups", "u1", (MAX_SEGMENTS,)), ("segments", "<u4")])
SEVERAL: Final = np.dtype(
    [*GROUPED.descr, ("count", "i1"), ("classes", "<u4", (MOST_CLASSES,)), ("grades", "u1", (MOST_CLASSES,))]
)
_LABEL: Final = struct.Struct("<Qdf")
_GROUPS: Final = struct.Struct("<4s3s")
_SEVERAL: Final = struct.Struct("<fB21s")
_MARK: Final = struct.Struct("<I")
_GRADES: Final = 128
_FORMS: Final = (_LABEL.size, _LABEL.size + _GROUPS.size, _SEVERAL.size)
# How long the form is of bytes that may have a mark behind it.
_SIZES: Final = {size + more: size for size in _FORMS for more in (0, _MARK.size)}


def label_bytes(label: Truth, weight: float, number: int, named: Named | None = None) -> bytes:
    """Of one class or number. `number`: the id of the label as a class; `named`: the groups that it tells."""
    real = label if isinstance(label, float) else _real(label)
    found = _LABEL.pack(number, real, weight)
    return found + _GROUPS.pack(named.places, named.segments) if named is not None else found


def several_bytes(label: Sequence[str], weight: float, grades: Sequence[float] = ()) -> bytes | None:
    """Of several classes, or of items with grades; None for more of them, or other grades, than have room."""
    marks = [class_mark(canonical(name) or "").to_bytes(3, "little") for name in label]
    if not grades:
        return _SEVERAL.pack(weight, len(marks), b"".join(marks)) if len(marks) <= MOST_CLASSES else None
    if len(marks) > MOST_GRADED or not all(0 <= one <= MOST_GRADE and one == int(one) for one in grades):
        return None
    pairs = [mark + bytes((int(grade),)) for mark, grade in zip(marks, grades, strict=True)]
    return _SEVERAL.pack(weight, _GRADES | len(marks), b"".join(pairs))


def with_mark(value: bytes, mark: int) -> bytes:
    """The label with a mark of outcomes; as it is for 0."""
    return value + _MARK.pack(mark) if mark else value


def mark_in(value: bytes) -> int:
    """The mark behind a label, 0 without one."""
    size = _SIZES.get(len(value), len(value))
    return int.from_bytes(value[size:], "little")


def class_mark(name: str) -> int:
    """22 bits of a class or an item, never 0."""
    return version_id(name) & _CLASS_MARK or 1


def _real(label: Truth) -> float:
    try:
        return float(label) if isinstance(label, str) and "_" not in label else float("nan")
    except ValueError:
        return float("nan")


def readable(raw: bytes) -> bool:
    """Whether these bytes are a label."""
    if _SIZES.get(len(raw)) != _SEVERAL.size:
        return len(raw) in _SIZES
    return raw[4] <= MOST_CLASSES or _GRADES <= raw[4] <= _GRADES | MOST_GRADED


def labels_of(listed: Sequence[bytes]) -> NDArray[Any]:
    """Readable labels side by side; of a type that has no more than any of them needs."""
    sizes = {_SIZES[len(raw)] for raw in listed}
    if sizes <= {_LABEL.size}:
        return np.frombuffer(b"".join([raw.ljust(LABEL.itemsize, b"\0") for raw in listed]), LABEL)
    found = np.zeros(len(listed), SEVERAL if _SEVERAL.size in sizes else GROUPED)
    if found.dtype == SEVERAL:
        found["count"] = -1
    for place, raw in enumerate(listed):
        one, size = found[place], _SIZES[len(raw)]
        one["told"] = int.from_bytes(raw[size:], "little")
        if size == _SEVERAL.size:
            _read_several(one, raw)
            continue
        one["klass"], one["number"], one["weight"] = _LABEL.unpack_from(raw)
        if size > _LABEL.size:
            groups, check = _GROUPS.unpack_from(raw, _LABEL.size)
            one["groups"], one["segments"] = np.frombuffer(groups, "u1"), int.from_bytes(check, "little")
    return found


def _read_several(one: Any, raw: bytes) -> None:
    weight, count, packed = _SEVERAL.unpack_from(raw)
    graded, number = count >= _GRADES, count & (_GRADES - 1)
    width = 4 if graded else 3
    cells = np.frombuffer(packed, "u1", number * width).reshape(number, width).astype(np.uint32)
    one["number"], one["weight"], one["count"] = np.nan, weight, number
    one["classes"][:number] = cells[:, 0] | cells[:, 1] << 8 | cells[:, 2] << 16
    one["grades"][:number] = cells[:, 3] if graded else 1


def named_classes(labels: NDArray[Any]) -> tuple[NDArray[np.uint32], NDArray[np.float64]]:
    """Marks of the classes, or items, of each label, (rows, most), 0 behind the last; and their grades, 0 of none.

    One class is a list of one.
    """
    marks = np.maximum(labels["klass"] & np.uint64(_CLASS_MARK), 1).astype(np.uint32)
    if "count" not in (labels.dtype.names or ()):
        found = np.where(labels["klass"] != 0, marks, np.uint32(0)).astype(np.uint32)[:, None]
        return found, (found > 0).astype(np.float64)
    found, grades = labels["classes"].copy(), labels["grades"].astype(np.float64)
    alone = (labels["count"] < 0) & (labels["klass"] != 0)
    found[alone, 0] = marks[alone]
    grades[alone, 0] = 1.0
    return found, grades
