"""Paths of fields -> JSON bodies and headers without what stands there. Values in, values out; no clock, no socket.

A path is a part of JMESPath: names (`customer.email`, `"with.dot"`), `*` for every field, `[0]`, `[-1]`, `[*]` for
every item, `[?name=='ssn']` for the items whose field has that text; and `**`, which JMESPath has not: any depth, this
one included, once in a path. `request:` or `response:` in front holds a path to one side; `header:NAME` is a header.

Invariant: a body comes back redacted or not at all. Where there is a rule it is written anew, whether the rule finds
something or not: a field that stands twice, or in another spelling, is one field. Numbers keep their value, not their
spelling.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

MASK: Final = "<redacted>"
# Of a body that is larger the parsed values would take several times as much of the analysis' memory.
MAX_BODY: Final = 8 << 20
# An empty list takes two bytes on the wire and thirty times that in memory, where other values take less than ten.
MAX_CONTAINERS: Final = 1 << 18
MAX_RULES: Final = 64
MAX_PATH: Final = 512
_SIDES: Final = ("request", "response")
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_STEP: Final = re.compile(
    r"""(?P<deep>\*\*) | (?P<fields>\*) | (?P<name>[A-Za-z_][A-Za-z0-9_-]*) | "(?P<quoted>[^"]+)"
    | \[ (?: (?P<items>\*) | (?P<index>-?\d{1,9}) | \?\s* (?P<field>[A-Za-z_][A-Za-z0-9_-]*) \s*==\s*
    '(?P<text>[^']*)' \s* ) \]""",
    re.VERBOSE,
)
_EXPECTED: Final = "expected a path such as customer.email, instances[*].ssn, **.ssn or header:x-user"

# The keys or indices at which a step finds something in a value.
Step = Callable[[Any], Iterable[Any]]


class Unredactable(Exception):
    """A body in which the paths cannot be looked for: it is no JSON, or too large, too deep."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One parsed path: `sides` are those of a body that it holds for, `header` the lower-case name of a header.

    A step that is None is `**`.
    """

    sides: tuple[str, ...] = ()
    steps: tuple[Step | None, ...] = ()
    header: str = ""


def parse(text: str) -> Rule:
    """The Rule of a setting's text; ValueError("expected …")."""
    if len(text) > MAX_PATH:
        raise ValueError(f"expected at most {MAX_PATH} characters")
    side, colon, rest = text.partition(":")
    if colon and side == "header":
        if not _HEADER.fullmatch(rest):
            raise ValueError("expected the name of a header behind header:")
        return Rule(header=rest.lower())
    if colon and side in _SIDES:
        return Rule((side,), _steps(rest))
    return Rule(_SIDES, _steps(text))


def _steps(path: str) -> tuple[Step | None, ...]:
    found: list[Step | None] = []
    at = 0
    while at < len(path):
        bracket = path[at] == "["
        if found and not bracket:
            if path[at] != ".":
                raise ValueError(_EXPECTED)
            at += 1
        step = _STEP.match(path, at)
        if step is None or (path[at] == "[") is not bracket:
            raise ValueError(_EXPECTED)
        found.append(None if step["deep"] else _step(step))
        at = step.end()
    if not found or found[-1] is None or found.count(None) > 1:
        raise ValueError(f"{_EXPECTED}; ** once, and something behind it")
    return tuple(found)


def _step(found: re.Match[str]) -> Step:
    name = found["name"] or found["quoted"]
    if name:
        return lambda value: (name,) if type(value) is dict and name in value else ()
    if found["fields"]:
        return lambda value: list(value) if type(value) is dict else ()
    if found["items"]:
        return lambda value: range(len(value)) if type(value) is list else ()
    if found["index"]:
        index = int(found["index"])
        return lambda value: (index,) if type(value) is list and -len(value) <= index < len(value) else ()
    field, text = found["field"], found["text"]
    return lambda value: [
        place
        for place, item in enumerate(value if type(value) is list else ())
        if type(item) is dict and item.get(field) == text
    ]


class Redaction:
    """All rules of a configuration. Any thread."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._steps: dict[str, list[tuple[Step | None, ...]]] = {side: [] for side in _SIDES}
        found = tuple(rules)
        self.headers = frozenset(rule.header for rule in found if rule.header)
        for rule in found:
            for side in rule.sides:
                self._steps[side].append(rule.steps)

    def body(self, side: str, body: bytes) -> bytes:
        """The body without what the rules of its side name; itself where there is no rule. Raises Unredactable."""
        paths = self._steps[side]
        if not paths or not body:
            return body
        try:
            value, encode = _parse(body)
            for steps in paths:
                _mask(value, steps)
            return encode(value)
        except (ValueError, TypeError, RecursionError, msgspec.MsgspecError) as error:
            raise Unredactable from error


def _parse(body: bytes) -> tuple[Any, Callable[[Any], bytes]]:
    """The value, and how it is written again; bare NaN and Infinity, which real servers write, stay as they are."""
    if len(body) > MAX_BODY or body.count(b"[") + body.count(b"{") > MAX_CONTAINERS:
        raise Unredactable
    try:
        return msgspec.json.decode(body), msgspec.json.encode
    except msgspec.DecodeError:
        if b"NaN" not in body and b"Infinity" not in body:
            raise
    return json.loads(body.decode("utf-8")), _encode_bare


def _encode_bare(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def _mask(value: Any, steps: tuple[Step | None, ...]) -> None:
    step, rest = steps[0], steps[1:]
    if step is None:
        _mask(value, rest)
        children = value.values() if type(value) is dict else value if type(value) is list else ()
        for child in children:
            _mask(child, steps)
        return
    for key in step(value):
        if rest:
            _mask(value[key], rest)
        else:
            value[key] = MASK
