"""Feedback: what turned out for one row that was predicted, as somebody tells it later. It crosses from decoders to the
join and nowhere else; values of it are counted, never shown.
"""

import msgspec

# A number, a class, or the classes (or relevant items) of a row that has several.
Truth = float | str | tuple[str, ...]


class Feedback(msgspec.Struct, frozen=True, eq=False, gc=False, kw_only=True):
    """The label of row `row` of the prediction that the caller knows by `id`; of `output`, "" if it has but one. With
    `receipt`, of a row that is in it.

    `time`: when it was observed, unix seconds. `source`: who says so. `groups` and `outcomes` are (name, value).
    `grades`: how relevant each item of the label is, () where it has none.
    """

    id: str
    label: Truth
    time: float
    row: int = 0
    output: str = ""
    source: str = ""
    weight: float = 1.0
    receipt: str = ""
    grades: tuple[float, ...] = ()
    groups: tuple[tuple[str, str], ...] = ()
    outcomes: tuple[tuple[str, float], ...] = ()
