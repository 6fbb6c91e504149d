"""Predicted rows per output and class: bounded, and the same words for the same values whatever JSON they came in.

Whether an output is counted by class is fixed by its first sight: numeric outputs are one class of no name.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from exporter.analysis.aspects import Nature, is_free, sighted
from exporter.analysis.fit import joined
from exporter.records.exchange import OTHER
from exporter.records.observation import Column
from exporter.stats import NULL, UNSEEN, canonical

MAX_CLASSES = 20
MAX_OUTPUTS = 20
MAX_WORD = 128
EMPTY = "<empty>"
# Texts of a payload that would read as one of ours; the decoders' own "<nan>" is meant as it stands.
_RESERVED = frozenset({OTHER, NULL, UNSEEN, EMPTY})


def word(category: str) -> str:
    """A category as a label value: an empty one would be no label at all."""
    return category or EMPTY


class Classes:
    """`counts` by (output, class)."""

    def __init__(self, declared: Mapping[str, frozenset[str]] | None = None) -> None:
        """`declared`: classes by output that may be shown whatever they look like."""
        self.counts: dict[tuple[str, str], int] = {}
        self._declared = declared or {}
        self._numeric: dict[str, bool] = {}
        self._room: dict[str, int] = {}

    def declare(self, declared: Mapping[str, frozenset[str]]) -> None:
        """Another profile names other classes; what was counted stays."""
        self._declared = declared

    def count(self, output: str, columns: Sequence[Column], nature: Nature | None = None) -> None:
        """The columns of one output, of one kind, one per exchange; `nature`: what the output is, if that is known."""
        if output not in self._numeric:
            if len(self._numeric) >= MAX_OUTPUTS:
                self._bump(OTHER, OTHER, sum(len(column.values) for column in columns))
                return
            nature = nature or sighted(columns)
            # A profile may have classes as numbers.
            named = columns[0].kind == "categorical" and nature.type in ("category", "numeric")
            self._numeric[output] = not named
            self._room[output] = MAX_CLASSES
        if self._numeric[output] or columns[0].kind == "vector":
            self._bump(output, "", sum([len(column.values) for column in columns]))
            return
        cells: Iterable[object] = joined(columns).tolist()
        for cell, times in Counter(cells).items():
            self._bump(output, self._class(output, cell), times)

    def add(self, output: str, classes: Mapping[str, int]) -> None:
        """Rows by class of an output that was worked out, not sent; whatever else has the name keeps its counts."""
        for name, times in classes.items():
            self._numeric.setdefault(output, False)
            self._room.setdefault(output, MAX_CLASSES)
            self._bump(output, self._class(output, name), times)

    def _class(self, output: str, cell: object) -> str:
        text = canonical(cell)
        if text is None:
            return NULL
        if text in _RESERVED or len(text) > MAX_WORD:
            return OTHER
        if is_free(text) and text not in self._declared.get(output, ()):
            return OTHER
        name = word(text)
        if (output, name) not in self.counts:
            if not self._room[output]:
                return OTHER
            self._room[output] -= 1
        return name

    def _bump(self, output: str, name: str, times: int) -> None:
        self.counts[output, name] = self.counts.get((output, name), 0) + times
