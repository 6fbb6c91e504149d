"""Reference profile: what a model's data looked like, as bins and counts, in one JSON file.

Refuses to know rows: a profile holds aggregates only. Invariant: two profiles with the same content have the
same SHA-256, whatever wrote them, so `reference` on a series tells which profile it was compared with. The
format is documented in docs/profile.md; `SCHEMA` rises when a reader of the older one could go wrong.
"""

from __future__ import annotations

import fnmatch
import gzip
import hashlib
import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from exporter.stats.bins import Bins, CategoricalBins, IntArray, NumericBins, refined_bins
from exporter.stats.drift import Pair
from exporter.stats.layout import ColumnSpec, Layout
from exporter.stats.profile_schema import SCHEMA, problems_of

_GZIP_MAGIC = b"\x1f\x8b"
OBSERVED_ROLES = ("feature", "prediction")


class ProfileError(ValueError):
    """A profile that cannot be used; `problems` lists all that is wrong, each with place and expectation."""

    def __init__(self, path: str, problems: list[str]) -> None:
        self.path = path
        self.problems = tuple(problems)
        listed = "".join(f"\n  - {problem}" for problem in problems)
        super().__init__(f"{path} is not a usable reference profile:{listed}")


@dataclass(frozen=True, slots=True)
class ProfileColumn:
    """One column of the reference: counts per bin, and moments of its finite numbers (None for categories).

    `role`: feature, prediction or target. `quantiles`: (probability, value) pairs, exact, not from bins.
    """

    name: str
    role: str
    bins: Bins
    counts: tuple[int, ...]
    mean: float | None = None
    std: float | None = None
    min: float | None = None
    max: float | None = None
    quantiles: tuple[tuple[float, float], ...] = ()
    array: IntArray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        array = np.array(self.counts, np.int64)
        array.setflags(write=False)
        object.__setattr__(self, "array", array)

    @property
    def kind(self) -> str:
        return "numeric" if isinstance(self.bins, NumericBins) else "categorical"

    @property
    def rows(self) -> int:
        return int(self.array.sum())

    @property
    def missing(self) -> int:
        """Rows whose cell was null."""
        return self.counts[self.bins.null]

    def spec(self) -> ColumnSpec:
        """This column for a layout: its bins, kept finer where that helps quantiles."""
        if isinstance(self.bins, NumericBins) and not self.bins.discrete:
            low, high = self.min, self.max
            if low is not None and high is not None:
                return ColumnSpec(self.name, self.bins, refined_bins(self.bins, low, high))
        return ColumnSpec(self.name, self.bins)

    def pair(self, live: IntArray) -> Pair:
        """This column against live counts over its own bins, for `Statistic.measure`."""
        return Pair(self.bins, self.array, live)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A column of the data that has no bins in the profile, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Profile:
    """The reference of one model. `model_name` and `model_version` are shell patterns (`*`, `?`, `[…]`)."""

    columns: tuple[ProfileColumn, ...]
    rows: int
    model_name: str = "*"
    model_version: str = "*"
    left_out: tuple[LeftOut, ...] = ()
    sha256: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha256", _digest(_content(self)))

    @property
    def reference(self) -> str:
        """First 8 hex digits of the SHA-256: the value of the label `reference`."""
        return self.sha256[:8]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> ProfileColumn:
        """Raises KeyError for a column that the profile does not have."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def matches(self, model_name: str, model_version: str) -> bool:
        """Whether this is a reference for that version of that model; case matters."""
        return fnmatch.fnmatchcase(model_name, self.model_name) and fnmatch.fnmatchcase(
            model_version, self.model_version
        )

    def layout(self, roles: tuple[str, ...] = OBSERVED_ROLES) -> Layout:
        """The layout of the columns with these roles, in the profile's order."""
        return Layout(tuple(column.spec() for column in self.columns if column.role in roles))

    def to_json(self) -> str:
        """The file's text: a line per key and per column, numbers in shortest round-trip form."""
        lines = []
        for key, value in {**_content(self), "sha256": self.sha256}.items():
            text = json.dumps(value, ensure_ascii=False)
            if key == "columns":
                rows = ",\n  ".join(json.dumps(column, ensure_ascii=False) for column in value)
                text = f"[\n  {rows}\n ]"
            lines.append(f" {json.dumps(key)}: {text}")
        return "{\n" + ",\n".join(lines) + "\n}\n"


def load(path: str | Path) -> Profile:
    """Read a profile, plain or gzip. Raises ProfileError with every problem, OSError if it cannot be read."""
    raw = Path(path).read_bytes()
    if raw.startswith(_GZIP_MAGIC):
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise ProfileError(str(path), [f"damaged gzip data: {error}"]) from error
    return parse(raw, str(path))


def parse(raw: bytes, path: str = "<profile>") -> Profile:
    """A profile from its JSON text. Raises ProfileError with every problem found."""
    try:
        document = json.loads(raw.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ProfileError(path, [f"not JSON: {error}; a JSON object was expected"]) from error
    problems = problems_of(document)
    if problems:
        raise ProfileError(path, problems)
    profile = _from_document(document)
    stated = document.get("sha256", profile.sha256)
    if stated != profile.sha256:
        changed = (
            f"sha256: {stated} is stated, the content has {profile.sha256}; it was changed after writing"
        )
        raise ProfileError(path, [f"{changed} (take the key out to accept the content as it is)"])
    return profile


def save(profile: Profile, path: str | Path) -> None:
    """Write a profile, gzip if the name ends in `.gz`; the file is replaced whole or not at all."""
    raw = profile.to_json().encode()
    target = Path(path)
    if target.suffix == ".gz":
        raw = gzip.compress(raw, mtime=0)  # the same profile is the same file
    part = target.with_name(target.name + ".part")
    part.write_bytes(raw)
    part.replace(target)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _digest(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _content(profile: Profile) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "model_name": profile.model_name,
        "model_version": profile.model_version,
        "rows": profile.rows,
        "columns": [_column_document(column) for column in profile.columns],
        "left_out": [{"name": column.name, "reason": column.reason} for column in profile.left_out],
    }


def _column_document(column: ProfileColumn) -> dict[str, Any]:
    document: dict[str, Any] = {"name": column.name, "role": column.role, "kind": column.kind}
    if isinstance(column.bins, NumericBins):
        document |= {"edges": list(column.bins.edges), "discrete": column.bins.discrete}
    else:
        document |= {"categories": list(column.bins.categories), "rest": column.bins.rest}
    document |= {"counts": list(column.counts), "n": column.rows, "missing": column.missing}
    if isinstance(column.bins, NumericBins):
        document |= {"mean": column.mean, "std": column.std, "min": column.min, "max": column.max}
        document["quantiles"] = [list(pair) for pair in column.quantiles]
    return document


def _from_document(document: dict[str, Any]) -> Profile:
    return Profile(
        columns=tuple(_column_from(column) for column in document["columns"]),
        rows=document["rows"],
        model_name=document["model_name"],
        model_version=document["model_version"],
        left_out=tuple(LeftOut(column["name"], column["reason"]) for column in document["left_out"]),
    )


def _column_from(document: dict[str, Any]) -> ProfileColumn:
    name, role, counts = document["name"], document["role"], tuple(document["counts"])
    if document["kind"] == "categorical":
        bins = CategoricalBins(tuple(document["categories"]), document["rest"])
        return ProfileColumn(name, role, bins, counts)
    moments = {key: _optional_float(document[key]) for key in ("mean", "std", "min", "max")}
    pairs = tuple((float(share), float(value)) for share, value in document["quantiles"])
    numeric = NumericBins(tuple(document["edges"]), document["discrete"])
    return ProfileColumn(name, role, numeric, counts, **moments, quantiles=pairs)


def _optional_float(value: float | None) -> float | None:
    return None if value is None else float(value)
