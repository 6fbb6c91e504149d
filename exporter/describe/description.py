"""Description: what its owner says of one version of a model, by sections, and the digests of these.

Refuses to know formats. Invariants: a digest is that of what is said, whatever the order in which it was said and the
form of its numbers (1 is 1.0); it does not depend on who owns the model.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from exporter.describe.files import File
from exporter.describe.files import parse as parse_files
from exporter.records.problems import Problems
from exporter.records.threshold import Threshold
from exporter.records.threshold import parse as parse_thresholds

VERSION: Final = "modeltap.description/1"
IDENTITY: Final = ("name", "version", "owner", "team", "run_id", "checkpoint")
# What each section is: a mapping of whatever training knows, or a list.
SECTIONS: Final[dict[str, str]] = {
    "architecture": "what kind of model it is, its layers or operators, inputs and outputs",
    "hyperparameters": "what training was told",
    "regularisation": "dropout, penalties, early stopping",
    "features": "a list of features: name, type, importance",
    "preprocessing": "what happens to inputs before the model sees them",
    "training_data": "data sets, their digests, rows, split",
    "optimiser": "the algorithm and its settings",
    "training": "seed, batch_size, learning_rate, epochs",
    "thresholds": "a list of thresholds of scores: name, value, band, output, class",
    "environment": "versions of Python, libraries, devices",
    "artifacts": "a list of files of the model: path, below the folder of the description, and digest",
}
LISTS: Final = ("features", "thresholds", "artifacts")
MAX_WORD: Final = 128
# Of one description; a YAML file of some lines can stand for millions of values.
MAX_VALUES: Final = 20_000
MAX_DEPTH: Final = 16
MAX_TEXT: Final = 65_536


@dataclass(frozen=True, slots=True)
class Description:
    """`source` is the format that it was read from; sections that say nothing are left out."""

    name: str = ""
    version: str = ""
    owner: str = ""
    team: str = ""
    run_id: str = ""
    checkpoint: str = ""
    source: str = "modeltap"
    sections: dict[str, Any] = field(default_factory=dict)

    @property
    def digests(self) -> dict[str, str]:
        """Of each section."""
        return {name: digest(said) for name, said in self.sections.items()}

    @property
    def digest(self) -> str:
        """Of all but owner and team."""
        identity = [self.name, self.version, self.run_id, self.checkpoint]
        return digest([identity, self.digests])

    @property
    def thresholds(self) -> tuple[Threshold, ...]:
        """As they are counted."""
        return parse_thresholds(self.sections.get("thresholds", ()))

    @property
    def files(self) -> tuple[File, ...]:
        """Those that it declares, as they are compared."""
        return parse_files(self.sections.get("artifacts", ()))

    def document(self) -> dict[str, Any]:
        """What is written."""
        said = {key: getattr(self, key) for key in IDENTITY if getattr(self, key)}
        return {"schema": VERSION, **said, **self.sections}


def schema() -> dict[str, Any]:
    """The schema of what is written, as JSON Schema (draft 2020-12)."""
    named = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
    said: dict[str, Any] = {
        name: {"type": "array" if name in LISTS else "object", "description": text}
        for name, text in SECTIONS.items()
    }
    said["features"]["items"] = named
    said["thresholds"]["items"] = {**named, "required": ["name", "value"]}
    said["artifacts"]["items"] = {
        "type": "object",
        "required": ["path", "digest"],
        "properties": {"path": {"type": "string"}, "digest": {"type": "string"}},
    }
    words = {key: {"type": "string", "maxLength": MAX_WORD} for key in IDENTITY}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": VERSION,
        "type": "object",
        "required": ["schema"],
        "properties": {"schema": {"const": VERSION}, **words, **said},
        "additionalProperties": False,
    }


def digest(value: Any) -> str:
    """SHA-256 of a value's canonical JSON: keys sorted, no spaces, whole numbers without a point."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def describe(document: Mapping[str, Any], source: str = "modeltap") -> Description:
    """The description that a mapping of identity and sections is. Problems with all that is wrong."""
    wrong = [
        f".{key}: unknown key, expected one of {', '.join((*IDENTITY, *SECTIONS))}"
        for key in document
        if key not in (*IDENTITY, *SECTIONS, "schema")
    ]
    if document.get("schema", VERSION) != VERSION:
        wrong.append(f".schema: {document['schema']!r}, expected {VERSION}")
    words = {key: _word(document.get(key), key, wrong) for key in IDENTITY}
    sections: dict[str, Any] = {}
    plain = Plain()
    for name in SECTIONS:
        said = document.get(name)
        if said is None:
            continue
        if not isinstance(said, list if name in LISTS else Mapping):
            kind = "list" if name in LISTS else "mapping"
            wrong.append(f".{name}: {type(said).__name__}, expected a {kind}")
            continue
        try:
            found = plain.of(said)
        except ValueError as error:
            wrong.append(f".{name}: {error}")
            continue
        if found:
            sections[name] = found
    _judge(sections, wrong)
    if wrong:
        raise Problems(wrong)
    return Description(**words, source=source, sections=sections)


def _word(value: Any, key: str, wrong: list[str]) -> str:
    if value is None:
        return ""
    found = str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else "\0"
    if len(found) > MAX_WORD or not found.isprintable():
        wrong.append(f".{key}: {value!r}, expected a text of at most {MAX_WORD} printable characters")
        return ""
    return found


def _judge(sections: Mapping[str, Any], wrong: list[str]) -> None:
    """What more is expected of the sections that others than people read."""
    for position, feature in enumerate(sections.get("features", ())):
        named = isinstance(feature, dict) and isinstance(feature.get("name"), str)
        if not named:
            wrong.append(f".features[{position}]: {feature!r}, expected a mapping with a name")
    for section, parse in (("thresholds", parse_thresholds), ("artifacts", parse_files)):
        try:
            parse(sections.get(section, ()))
        except Problems as error:
            wrong += [f".{section}{problem}" for problem in error.problems]


class Plain:
    """Values as JSON has them, so many of them in all. NaN and infinities are texts, for JSON has none."""

    def __init__(self) -> None:
        self._left = MAX_VALUES

    def of(self, value: Any, depth: int = 0) -> Any:
        """A copy of it. ValueError for what is too much, too deep, or no such value."""
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"expected at most {MAX_VALUES} values")
        if depth > MAX_DEPTH:
            raise ValueError(f"expected at most {MAX_DEPTH} levels")
        if isinstance(value, Mapping):
            return {self._key(key): self.of(each, depth + 1) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.of(each, depth + 1) for each in value]
        return _scalar(value)

    def _key(self, key: Any) -> str:
        return str(_scalar(key))


def _scalar(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        # What another reader of JSON takes for a float is no whole number for us either.
        return value if abs(value) < 1 << 64 else str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return str(value)
        return int(value) if value.is_integer() and abs(value) < 1 << 53 else value
    found = value if isinstance(value, str) else str(value)
    if len(found) > MAX_TEXT:
        raise ValueError(f"expected texts of at most {MAX_TEXT} characters")
    return found
