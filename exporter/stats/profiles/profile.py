"""Reference profile: what a model's data looked like, as bins and counts, in one JSON file.

Refuses to know rows: a profile holds aggregates only. Invariant: two profiles with the same content have the
same SHA-256, whatever wrote them, so `reference` on a series tells which profile it was compared with. The
format is documented in docs/profile.md; `SCHEMA` rises when a reader of the older one could go wrong. Files of an
older schema are read, and keep their hash.
"""

from __future__ import annotations

import fnmatch
import gzip
import hashlib
import json
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from exporter.stats.bins import CategoricalBins, NumericBins
from exporter.stats.layout import Layout
from exporter.stats.profiles.codec import built, plain
from exporter.stats.profiles.column import Hashing, LeftOut, PayloadColumn, ProfileColumn
from exporter.stats.profiles.joint import Association, CoMoments, Precision
from exporter.stats.profiles.levels import Level, PeriodSet
from exporter.stats.profiles.performance import Performance
from exporter.stats.profiles.privacy import SCHEME, Hasher, key_id
from exporter.stats.profiles.schema import PARTS, SCHEMA, problems_of

__all__ = [
    "OBSERVED_ROLES",
    "Hashing",
    "LeftOut",
    "PayloadColumn",
    "Profile",
    "ProfileColumn",
    "ProfileError",
    "load",
    "parse",
    "save",
]

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
class Profile:
    """The reference of one model. `model_name` and `model_version` are shell patterns (`*`, `?`, `[…]`).

    `payload`: the columns as the payload has them, in its order; `columns`: what is counted of them. `task`: what
    the model's answers are, if the owner said so. `duplicates`: share of rows that repeat an earlier one. `source`:
    data, through (answers of the model itself) or learned (from live traffic). `schema` 1 has none of these.
    """

    columns: tuple[ProfileColumn, ...]
    rows: int
    model_name: str = "*"
    model_version: str = "*"
    left_out: tuple[LeftOut, ...] = ()
    payload: tuple[PayloadColumn, ...] = ()
    source: str = "data"
    task: str | None = None
    duplicates: float | None = None
    hashing: Hashing | None = None
    pairs: tuple[CoMoments, ...] = ()
    precision: Precision | None = None
    associations: tuple[Association, ...] = ()
    periods: tuple[PeriodSet, ...] = ()
    levels: tuple[Level, ...] = ()
    performance: Performance | None = None
    schema: int = SCHEMA
    sha256: str = field(init=False, compare=False)
    _by_name: dict[str, ProfileColumn] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Of two of one name the first, as if they were looked through.
        object.__setattr__(self, "_by_name", {column.name: column for column in reversed(self.columns)})
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
        return self._by_name[name]

    @property
    def types(self) -> dict[str, str]:
        """The type of each payload column; of schema 1, the kind of each column."""
        if self.payload:
            return {column.name: column.type for column in self.payload}
        return {column.name: column.type for column in self.columns}

    def sources(self, role: str) -> tuple[str, ...]:
        """Names of the payload columns that are counted in this role, in the payload's order."""
        return tuple(dict.fromkeys(column.source for column in self.columns if column.role == role))

    def level(self, column: str, statistic: str, seconds: int) -> Level | None:
        """The reference's own level of a statistic over windows of that length; None where it is not known."""
        wanted = (column, statistic, seconds)
        return next((e for e in self.levels if (e.column, e.statistic, e.seconds) == wanted), None)

    def opened(self, key: bytes) -> Profile:
        """This profile with bins that hash live categories as its own were; itself if none were.

        Raises ValueError for another key.
        """
        if self.hashing is None:
            return self
        if self.hashing.scheme != SCHEME or key_id(key) != self.hashing.key_id:
            raise ValueError(
                f"its categories were hashed ({self.hashing.scheme}) with key {self.hashing.key_id}, "
                f"the key given is {key_id(key)}; expected the file of --hash-key that the profile was made with"
            )
        names, hasher = {column.name for column in self.payload if column.hashed}, Hasher(key)
        columns = [
            replace(column, bins=replace(column.bins, hashed=hasher))
            if column.source in names and isinstance(column.bins, CategoricalBins)
            else column
            for column in self.columns
        ]
        return replace(self, columns=tuple(columns))

    def matches(self, model_name: str, model_version: str) -> bool:
        """Whether this is a reference for that version of that model; case matters."""
        return fnmatch.fnmatchcase(model_name, self.model_name) and fnmatch.fnmatchcase(
            model_version, self.model_version
        )

    def layout(self, roles: tuple[str, ...] = OBSERVED_ROLES) -> Layout:
        """The layout of the columns with these roles, in the profile's order."""
        return Layout(tuple(column.spec() for column in self.columns if column.role in roles))

    def to_json(self) -> str:
        """The file's text: a line per key and per item of a list, numbers in shortest round-trip form."""
        lines = []
        for key, value in {**_content(self), "sha256": self.sha256}.items():
            text = json.dumps(value, ensure_ascii=False)
            if isinstance(value, list) and value:
                rows = ",\n  ".join(json.dumps(item, ensure_ascii=False) for item in value)
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
    """Write a profile, gzip if the name ends in `.gz`; a file is replaced whole or not at all, a device written to."""
    raw = profile.to_json().encode()
    target = Path(path)
    if target.suffix == ".gz":
        raw = gzip.compress(raw, mtime=0)  # the same profile is the same file
    if target.exists() and not target.is_file():
        # Whoever may replace /dev/null would do so for everybody.
        target.write_bytes(raw)
        return
    part = target.with_name(target.name + ".part")
    part.write_bytes(raw)
    part.replace(target)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _digest(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _content(profile: Profile) -> dict[str, Any]:
    content: dict[str, Any] = {
        "schema": profile.schema,
        "model_name": profile.model_name,
        "model_version": profile.model_version,
        "rows": profile.rows,
        "columns": [_column_document(column, profile.schema) for column in profile.columns],
        "left_out": [{"name": column.name, "reason": column.reason} for column in profile.left_out],
    }
    if profile.schema > 1:
        content |= {key: plain(getattr(profile, key)) for key in PARTS}
    return content


def _column_document(column: ProfileColumn, schema: int) -> dict[str, Any]:
    document: dict[str, Any] = {"name": column.name, "role": column.role, "kind": column.kind}
    if schema > 1:
        document |= {"type": column.type, "source": column.source}
    if isinstance(column.bins, NumericBins):
        document |= {"edges": list(column.bins.edges), "discrete": column.bins.discrete}
    else:
        document |= {"categories": list(column.bins.categories), "rest": column.bins.rest}
    document |= {"counts": list(column.counts), "n": column.rows, "missing": column.missing}
    if isinstance(column.bins, NumericBins):
        document |= {"mean": column.mean, "std": column.std, "min": column.min, "max": column.max}
        if schema > 1:
            document |= {"skewness": column.skewness, "sums": list(column.sums)}
        document["quantiles"] = [list(pair) for pair in column.quantiles]
    return document


def _from_document(document: dict[str, Any]) -> Profile:
    parts = {key: built(kind, document[key]) for key, kind in PARTS.items() if key in document}
    return Profile(
        columns=tuple(_column_from(column) for column in document["columns"]),
        rows=document["rows"],
        model_name=document["model_name"],
        model_version=document["model_version"],
        left_out=tuple(LeftOut(column["name"], column["reason"]) for column in document["left_out"]),
        schema=document["schema"],
        **parts,
    )


def _column_from(document: dict[str, Any]) -> ProfileColumn:
    name, role, counts = document["name"], document["role"], tuple(document["counts"])
    own: dict[str, Any] = {key: document[key] for key in ("type", "source") if key in document}
    if document["kind"] == "categorical":
        bins = CategoricalBins(tuple(document["categories"]), document["rest"])
        return ProfileColumn(name, role, bins, counts, **own)
    keys = ("mean", "std", "min", "max", "skewness")
    own |= {key: _optional_float(document.get(key)) for key in keys}
    pairs = tuple((float(share), float(value)) for share, value in document["quantiles"])
    own["sums"] = tuple(map(float, document.get("sums", ())))
    numeric = NumericBins(tuple(document["edges"]), document["discrete"])
    return ProfileColumn(name, role, numeric, counts, quantiles=pairs, **own)


def _optional_float(value: float | None) -> float | None:
    return None if value is None else float(value)
