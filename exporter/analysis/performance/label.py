"""A label as stores keep it: a class, a number, or both, and a weight; behind them what only some labels have.

    offset  bytes  field
    0       20     LABEL      class (id), number, weight
    20      1      groups     how many segments it names; 4 bytes of each follow (`segments.mark`)
    …       1      several    0: one class; 1: several, 4 bytes each; 2: items with grades, 4 bytes and a float32 each

Refuses to know rows. Invariant: labels without groups and several classes are 20 bytes, and are read at once; bytes of
any other form are told as unreadable, never guessed.
"""

import struct
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from exporter.pending.contract import LABEL_BYTES
from exporter.pending.row import version_id
from exporter.records.feedback import Truth
from exporter.records.segment import MAX_SEGMENTS
from exporter.stats import canonical

LABEL: Final = np.dtype([("klass", "<u8"), ("number", "<f8"), ("weight", "<f4")])
MOST_CLASSES: Final = 64
# With groups; and with several classes besides: `count` of them, -1 where the label is one class or number.
GROUPED: Final = np.dtype([*LABEL.descr, ("groups", "<u4", (MAX_SEGMENTS,))])
SEVERAL: Final = np.dtype(
    [
        *GROUPED.descr,
        ("count", "<i2"),
        ("classes", "<u4", (MOST_CLASSES,)),
        ("grades", "<f4", (MOST_CLASSES,)),
    ]
)
_LABEL: Final = struct.Struct("<Qdf")
_GRADED: Final = np.dtype([("item", "<u4"), ("grade", "<f4")])
_CLASSES, _GRADES = 1, 2


def label_bytes(
    label: Truth, weight: float, number: int, groups: Sequence[int] = (), grades: Sequence[float] = ()
) -> bytes:
    """`number`: the id of the label as a class; `groups`: marks; `grades`: of each class, where they have any."""
    if isinstance(label, tuple):
        return _LABEL.pack(0, float("nan"), weight) + _tail(groups, label, grades)
    real = label if isinstance(label, float) else _real(label)
    return _LABEL.pack(number, real, weight) + (_tail(groups, None, ()) if groups else b"")


def class_mark(name: str) -> int:
    """32 bits of a class: those of its id; 0 of none."""
    return version_id(name) & 0xFFFFFFFF


def _tail(groups: Sequence[int], classes: tuple[str, ...] | None, grades: Sequence[float]) -> bytes:
    found = bytes((len(groups),)) + np.array(groups, "<u4").tobytes()
    if classes is None:
        return found + b"\0"
    marks = [class_mark(canonical(name) or "") for name in classes]
    if not grades:
        return found + bytes((_CLASSES,)) + np.array(marks, "<u4").tobytes()
    return found + bytes((_GRADES,)) + np.array(list(zip(marks, grades, strict=True)), _GRADED).tobytes()


def _real(label: str) -> float:
    try:
        return float(label) if "_" not in label else float("nan")
    except ValueError:
        return float("nan")


def readable(raw: bytes) -> bool:
    """Whether these bytes are a label."""
    size = LABEL.itemsize
    if len(raw) <= size:
        return len(raw) == size
    groups = raw[size]
    at = size + 1 + 4 * groups
    if groups > MAX_SEGMENTS or at >= len(raw) or len(raw) > LABEL_BYTES:
        return False
    width, rest = {0: 0, _CLASSES: 4, _GRADES: 8}.get(raw[at]), len(raw) - at - 1
    if not width:
        return width == 0 == rest
    return rest % width == 0 and rest // width <= MOST_CLASSES


def labels_of(listed: Sequence[bytes]) -> NDArray[Any]:
    """Readable labels side by side; of a type that has no more than any of them needs."""
    size = LABEL.itemsize
    if all(len(raw) == size for raw in listed):
        return np.frombuffer(b"".join(listed), LABEL)
    several = any(len(raw) > size and raw[size + 1 + 4 * raw[size]] for raw in listed)
    found = np.zeros(len(listed), SEVERAL if several else GROUPED)
    head = np.frombuffer(b"".join([raw[:size] for raw in listed]), LABEL)
    for name in ("klass", "number", "weight"):
        found[name] = head[name]
    if several:
        found["count"] = -1
    for place, raw in enumerate(listed):
        if len(raw) > size:
            _read(found[place : place + 1], raw)
    return found


def _read(one: NDArray[Any], raw: bytes) -> None:
    size = LABEL.itemsize
    groups, at = raw[size], size + 1 + 4 * raw[size]
    one["groups"][0, :groups] = np.frombuffer(raw, "<u4", groups, size + 1)
    if not raw[at]:
        return
    if raw[at] == _CLASSES:
        marks = np.frombuffer(raw, "<u4", -1, at + 1)
        grades = np.ones(len(marks), np.float32)
    else:
        told = np.frombuffer(raw, _GRADED, -1, at + 1)
        marks, grades = told["item"], told["grade"]
    one["count"][0] = len(marks)
    one["classes"][0, : len(marks)], one["grades"][0, : len(marks)] = marks, grades


def group_marks(labels: NDArray[Any]) -> NDArray[np.uint32] | None:
    """The groups that labels name; None if these are of a type that names none."""
    return labels["groups"] if "groups" in (labels.dtype.names or ()) else None


def named_classes(labels: NDArray[Any]) -> tuple[NDArray[np.uint32], NDArray[np.float64]]:
    """Marks of the classes, or items, of each label, (rows, most), 0 behind the last; and their grades, 0 of none.

    One class is a list of one.
    """
    if "count" not in (labels.dtype.names or ()):
        marks = (labels["klass"] & np.uint64(0xFFFFFFFF)).astype(np.uint32)[:, None]
        return marks, (marks > 0).astype(np.float64)
    most = max(1, int(labels["count"].max(initial=1)))
    marks = labels["classes"][:, :most].copy()
    grades = labels["grades"][:, :most].astype(np.float64)
    alone = labels["count"] < 0
    marks[alone, 0] = (labels["klass"][alone] & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    grades[alone, 0] = marks[alone, 0] > 0
    return marks, grades
