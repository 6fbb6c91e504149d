"""Problems: all that is wrong with one setting of several parts, told at once; and numbers as files write them."""

import math
from collections.abc import Sequence
from typing import Any


class Problems(ValueError):
    """A setting that cannot be used; `problems` lists all that is wrong: where, value, what was expected."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def number(value: Any) -> float:
    """A finite number, or the text of one, for YAML files are read as they are written; NaN for anything else."""
    if type(value) not in (int, float, str) or "_" in str(value):
        return math.nan
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return math.nan
    return found if math.isfinite(found) else math.nan
