"""Trace context of others, for requests without a W3C one: B3 in one header or several, Jaeger's `uber-trace-id`.

Pure. Reads raw heads and changes nothing. A context that is malformed or told twice is none. Sources: openzipkin's
b3-propagation; Jaeger's client libraries, "Propagation Format".
"""

import re
from typing import Final, NamedTuple

_FIELDS: Final = re.compile(rb"(?i)\n(b3|x-b3-[a-z]+|uber-trace-id):[ \t]*+([^\r\n]*+)")
_SINGLE: Final = re.compile(r"([0-9a-f]{32}|[0-9a-f]{16})-([0-9a-f]{16})(?:-([01d])(?:-[0-9a-f]{16})?)?")
_JAEGER: Final = re.compile(r"([0-9a-f]{1,32}):([0-9a-f]{1,16}):[0-9a-f]{1,16}:([0-9a-f]{1,2})")
_STATES: Final = {"1": True, "d": True, "true": True, "0": False, "false": False}


class Parent(NamedTuple):
    """Ids in the W3C form, and whether the caller samples; None if it leaves that to us."""

    trace_id: str
    span_id: str
    sampled: bool | None


DENIED: Final = Parent("", "", False)  # the caller says no more than that nothing is sampled


def parent(raw: bytes) -> Parent | str | None:
    """What a head tells: a parent, `malformed` or `repeated`; None without any of the headers."""
    fields: dict[str, str] = {}
    for name, value in _FIELDS.findall(raw):
        key = name.decode().lower()
        if key in fields:
            return "repeated"
        fields[key] = value.decode("latin-1").rstrip(" \t").lower()
    if not fields:
        return None
    if "b3" in fields:
        found = _single(fields["b3"])
    elif "uber-trace-id" in fields:
        found = _jaeger(fields["uber-trace-id"])
    else:
        found = _several(fields)
    if found is None or (
        found is not DENIED and not (found.trace_id.strip("0") and found.span_id.strip("0"))
    ):
        return "malformed"
    return found


def _single(value: str) -> Parent | None:
    if value in ("0", "false"):
        return DENIED
    found = _SINGLE.fullmatch(value)
    return found and Parent(found[1].zfill(32), found[2], _STATES.get(found[3]))


def _several(fields: dict[str, str]) -> Parent | None:
    state = fields.get("x-b3-sampled", "")
    if state and state not in _STATES:
        return None
    trace_id, span_id = fields.get("x-b3-traceid", ""), fields.get("x-b3-spanid", "")
    if not trace_id and not span_id and state:
        return DENIED if not _STATES[state] else None
    if not _SINGLE.fullmatch(f"{trace_id}-{span_id}"):
        return None
    sampled = True if fields.get("x-b3-flags") == "1" else _STATES.get(state)
    return Parent(trace_id.zfill(32), span_id, sampled)


def _jaeger(value: str) -> Parent | None:
    found = _JAEGER.fullmatch(value.replace("%3a", ":"))
    return found and Parent(found[1].zfill(32), found[2].zfill(16), bool(int(found[3], 16) & 3))
