"""Triton's `config.pbtxt`: a ModelConfig in protobuf's text format, read without its schema.

Numbers, names and texts as they stand; a field that is repeated is a list. Source: protobuf.dev, Text Format Language
Specification.
"""

import re
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from exporter.describe.description import MAX_DEPTH, Description, describe
from exporter.describe.reading import bounded, chosen, without
from exporter.records.problems import Problems

NAMES: Final = ("config.pbtxt",)
_TOKEN: Final = re.compile(
    r"""(?P<space>[\s,;]+|\#[^\n]*)
    |(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<word>-?[A-Za-z0-9_.+][A-Za-z0-9_.+-]*|\[[A-Za-z0-9_./-]+\](?=\s*[:{<]))
    |(?P<mark>[:{}<>\[\]])""",
    re.VERBOSE,
)
_ESCAPE: Final = re.compile(rb"\\([0-7]{1,3}|x[0-9a-fA-F]{1,2}|.)")
_PLAIN: Final = {b"n": b"\n", b"t": b"\t", b"r": b"\r"}
_CLOSE: Final = {"{": "}", "<": ">"}


def read(stream: BinaryIO) -> Description:
    """Batching, instances and the like are of the environment; what clients see is the architecture."""
    found = Text(bounded(stream)).message()
    inputs, outputs = _listed(found.get("input")), _listed(found.get("output"))
    parameters = {
        str(one.get("key")): _value(one.get("value"))
        for one in _listed(found.get("parameters"))
        if isinstance(one, dict)
    }
    owner = {key: parameters.pop(key, None) for key in ("owner", "team", "run_id")}
    return describe(
        {
            "name": found.get("name"),
            "version": parameters.pop("version", None),
            **owner,
            "checkpoint": found.get("default_model_filename"),
            "architecture": chosen(found, "platform", "backend", "runtime", "ensemble_scheduling")
            | ({"outputs": outputs} if outputs else {}),
            "hyperparameters": parameters,
            "features": [
                {"name": str(one.get("name"))} | without(one, "name")
                for one in inputs
                if isinstance(one, dict)
            ],
            "environment": without(
                found,
                *("name", "platform", "backend", "runtime", "ensemble_scheduling", "input", "output"),
                *("parameters", "default_model_filename"),
            ),
        },
        "triton",
    )


def _listed(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


def _value(value: Any) -> Any:
    return value.get("string_value", value) if isinstance(value, dict) else value


class Text:
    """The tokens of a text, and what they say. Problems with the line where it is none."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._scanned())
        self._at = 0

    def _scanned(self) -> Iterator[tuple[str, str, int]]:
        place = 0
        while place < len(self._text):
            found = _TOKEN.match(self._text, place)
            if found is None:
                raise self._wrong(place, "expected protobuf's text format")
            if found.lastgroup != "space":
                yield found.lastgroup or "", found[0], place
            place = found.end()

    def _wrong(self, place: int, expected: str) -> Problems:
        line = self._text.count("\n", 0, place) + 1
        return Problems([f": line {line}: {self._text[place : place + 20]!r}, {expected}"])

    def _next(self) -> tuple[str, str, int]:
        if self._at >= len(self._tokens):
            raise self._wrong(len(self._text), "expected more")
        self._at += 1
        return self._tokens[self._at - 1]

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def message(self, end: str = "", depth: int = 0) -> dict[str, Any]:
        """Fields up to that mark."""
        if depth > MAX_DEPTH:
            raise Problems([f": expected at most {MAX_DEPTH} levels"])
        found: dict[str, Any] = {}
        repeated: set[str] = set()
        while self._peek() != end or (not end and self._at < len(self._tokens)):
            kind, name, place = self._next()
            if kind != "word":
                raise self._wrong(place, "expected the name of a field")
            value = self._field(depth)
            if name in found:
                before = found[name] if name in repeated or isinstance(found[name], list) else [found[name]]
                repeated.add(name)
                found[name] = [*before, *(value if isinstance(value, list) else [value])]
            else:
                found[name] = value
        if end:
            self._next()
        return found

    def _field(self, depth: int) -> Any:
        if self._peek() == ":":
            self._next()
        if self._peek() != "[":
            return self._one(depth)
        self._next()
        values = []
        while self._peek() != "]":
            values.append(self._one(depth))
        self._next()
        return values

    def _one(self, depth: int) -> Any:
        kind, text, place = self._next()
        if text in _CLOSE:
            return self.message(_CLOSE[text], depth + 1)
        if kind == "text":
            parts = [text]
            while self._peek()[:1] in ("'", '"') and self._peek():
                parts.append(self._next()[1])
            raw = b"".join(_ESCAPE.sub(_unescaped, part[1:-1].encode()) for part in parts)
            return raw.decode("utf-8", "replace")
        if kind != "word":
            raise self._wrong(place, "expected a value")
        return _scalar(text)


def _unescaped(found: re.Match[bytes]) -> bytes:
    """Numbers are bytes of UTF-8."""
    code = found[1]
    if code[:1] in b"01234567":
        return bytes((int(code, 8) & 0xFF,))
    if code[:1] == b"x" and len(code) > 1:
        return bytes((int(code[1:], 16),))
    return _PLAIN.get(code, code)


def _scalar(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text) if "_" not in text else text
        except ValueError:
            continue
    return text
