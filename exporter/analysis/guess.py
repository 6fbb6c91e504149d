"""What outputs were seen to be, and the task that this suggests. Pure and bounded: so many classes are remembered."""

import re
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from exporter.analysis.aspects import sighted
from exporter.records.exchange import UNKNOWN
from exporter.records.observation import Column
from exporter.stats.outputs import distributions, in_unit

# More different values than this are hardly classes.
MAX_CLASSES: Final = 100
_BOUND: Final = re.compile(r"(?:^|[._\-:])(lower|upper)$", re.IGNORECASE)


@dataclass(slots=True)
class Evidence:
    """What the outputs of so many rows had in common. `form`: names and kinds; None once they differed."""

    rows: int = 0
    form: tuple[tuple[str, str], ...] | None = ()
    text: bool = False
    unit: bool = True
    distributed: bool = True
    classes: set[int] = field(default_factory=set)  # as numbers: texts may be long

    def add(
        self, rows: int, columns: dict[str, list[Column]], table: NDArray[np.floating[Any]] | None
    ) -> None:
        """One batch; `table`: its numbers side by side."""
        self.rows += rows
        form = tuple((name, found[0].kind) for name, found in columns.items())
        if self.form == ():
            self.form = form
        elif self.form != form:
            self.form = None
        for found in columns.values():
            if found[0].kind == "categorical":
                self._classes(found)
        if table is not None and len(table):
            known = table[~np.isnan(table).any(axis=1)]
            self.unit = self.unit and bool(in_unit(known).all())
            self.distributed = self.distributed and bool(distributions(known).all())

    def _classes(self, found: list[Column]) -> None:
        self.text = self.text or sighted(found).type == "text"
        for column in found:
            if len(self.classes) > MAX_CLASSES:
                return
            self.classes.update(hash(cell) for cell in column.values.tolist() if cell is not None)


def guess(seen: Evidence) -> str:
    """The task that the evidence suggests; `unknown` where it suggests none, or two."""
    if not seen.form:
        return UNKNOWN
    kinds = [kind for _, kind in seen.form]
    if "vector" in kinds:
        if len(kinds) > 1:
            return UNKNOWN
        return "multiclass" if seen.distributed else "embedding"
    if "categorical" in kinds:
        return _of_classes(seen, kinds)
    return _of_numbers(seen, [name for name, _ in seen.form])


def _of_classes(seen: Evidence, kinds: list[str]) -> str:
    if seen.text:
        return "text" if len(kinds) == 1 else UNKNOWN
    if kinds.count("categorical") > 1 or len(seen.classes) > MAX_CLASSES:
        return UNKNOWN
    if len(kinds) > 1 and not seen.unit:
        return UNKNOWN
    return "binary" if len(seen.classes) <= 2 else "multiclass"


def _of_numbers(seen: Evidence, names: list[str]) -> str:
    bounds = {found[1].lower() for found in map(_BOUND.search, names) if found}
    if bounds == {"lower", "upper"}:
        return "interval"
    if len(names) == 1:
        return "binary" if seen.unit else "regression"
    if seen.distributed:
        return "binary" if len(names) == 2 else "multiclass"
    return "multilabel" if seen.unit else UNKNOWN
