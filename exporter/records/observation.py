"""Observation: what a decoder understood of one exchange, as columns. The decoders' only product.

Columns hold values, never the payload's text. A column's values are a float64 array (numeric; NaN stays NaN, a JSON
null is NaN too and counted in `nulls`), an object array of str (categorical; nulls are None; texts are whole, however
long), or a table of floats with a row for each row (vector; shape (rows, width), a null row is NaN throughout). Floats
that came in binary with 32 bits or less are float32, and those of an input vector with 16 bits float16: exactly what
the model saw. Arrays may be read-only views, of a body or of a table that many columns share; whoever keeps an
Observation keeps the values.
"""

from collections.abc import Iterator
from itertools import repeat
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ColumnKind = Literal["numeric", "categorical", "vector"]

# What a model's outputs are. "" and "unknown" differ: the second is a finding.
TASKS = (
    *("binary", "multiclass", "multilabel", "regression", "interval", "ranking"),
    *("embedding", "text", "unknown"),
)


def aspect_name(column: str, aspect: str) -> str:
    """The name under which an aspect of a column (the width of an image, the length of a text) is counted."""
    return f"{column}:{aspect}"


class Undecodable(Exception):
    """The exchange cannot be decoded; `reason` is one word of a small set and becomes a label value."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


# Structs, not dataclasses: an exchange makes a dozen, and these cost a fifteenth. No collector tracks them.
class Column(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One named column of `rows` values. `nulls` counts the JSON nulls among them, absent keys included.

    `absent` counts the cells whose key was not there at all, in a table whose rows name their values.
    """

    name: str
    kind: ColumnKind
    values: "NDArray[np.float64] | NDArray[np.float32] | NDArray[Any]"
    nulls: int = 0
    absent: int = 0


class Columns(Protocol):
    """Columns of one length, in order: a tuple or a list of them, or a table that has not made them yet."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Column]: ...

    def __getitem__(self, place: int, /) -> Column: ...


class NumericTable(msgspec.Struct, frozen=True, eq=False, gc=False):
    """Columns of numbers without nulls as the flat row-major table that they are views of.

    Most exchanges are such a row, and most of what is counted takes the table: its columns are made when asked for,
    for a dozen views cost more than reading the row.
    """

    names: tuple[str, ...]
    values: "NDArray[np.floating[Any]]"

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Column]:
        numeric: repeat[ColumnKind] = repeat("numeric")
        return map(Column, self.names, numeric, self.values.reshape(-1, len(self.names)).T)

    def __getitem__(self, place: int, /) -> Column:
        place = range(len(self.names))[place]
        return Column(self.names[place], "numeric", self.values[place :: len(self.names)])


class Generation(msgspec.Struct, frozen=True, eq=False, gc=False, kw_only=True):
    """What an exchange with a generative model tells beside its columns; never a text.

    Words of the OpenTelemetry conventions for generative AI. None is "not told"; with `estimated` the output tokens are
    chunks with content, counted because nobody told them. Times are nanoseconds since the exchange's start, of the
    first and the last chunk with content, None where they were not seen or are all the same. `error` is "" or an
    error type; `whole` is False for an answer that failed or broke off.
    """

    operation: str
    provider: str
    request_model: str = ""
    response_model: str = ""
    streamed: bool = False
    whole: bool = True
    error: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    estimated: bool = False
    chunks: int = 0
    first_content: int | None = None
    last_content: int | None = None
    choices: int = 0
    tool_calls: int = 0
    finish_reasons: tuple[str, ...] = ()
    prompt_characters: int | None = None
    completion_characters: int | None = None
    parameters: tuple[tuple[str, int | float], ...] = ()


class Observation(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One decoded exchange. `model_name` and `model_version` are "" where the body does not tell them.

    `request_id` is the dialect's own id. `task` is what the outputs are (see `TASKS`) where the dialect says so by
    itself, else "".
    `time`: unix seconds of its rows where they are told apart from their arrival, as rows that were pushed may be.
    `answered` is False for the request alone of an exchange that failed: it has no outputs.
    """

    protocol: str
    rows: int
    inputs: Columns
    outputs: Columns
    model_name: str = ""
    model_version: str = ""
    request_id: str = ""
    generation: Generation | None = None
    time: float = 0.0
    task: str = ""
    answered: bool = True
