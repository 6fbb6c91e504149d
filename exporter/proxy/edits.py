"""The edits that a request head may get: trace context, `x-request-id`, no `Upgrade: h2c`, and the client's address.

Whole lines are spliced in right after the request line, or digits overwritten in place, so framing fields and every
other byte stay as they came. h2c is removed because servers that decline it have lost the body of such requests.
"""

import re

from exporter.records.exchange import Trace
from exporter.wire.head import RequestHead

# The smallest limit known among Python model servers; a head that would cross it is not lengthened.
MAX_EDITED_HEAD = 16384
_FORWARDED = re.compile(rb"(?i)\nx-forwarded-for:[ \t]*+([^\r]*+)\r")
_PARENT_AT = 36  # offset of the parent id in a traceparent value


def edit(head: RequestHead, trace: Trace | None, request_id: str, client: str = "") -> bytes:
    """The head to forward. `request_id` is "" if the client sent one; otherwise it is added.

    `client` is the address to append to X-Forwarded-For, "" for none.
    """
    raw = head.raw
    lines = b""
    if trace is not None:
        if head.trace_count:
            # Before anything that moves offsets.
            raw = _overwrite(raw, head.trace_start, trace)
        else:
            lines = f"traceparent: 00-{trace.trace_id}-{trace.span_id}-01\r\n".encode()
    if head.upgrades and b"h2c" in _tokens(head.upgrades):
        raw = _without_h2c(raw, head)
    if request_id:
        lines += f"x-request-id: {request_id}\r\n".encode()
    if client and len(raw) + len(lines) + len(client) + 24 <= MAX_EDITED_HEAD:
        raw, line = _forwarded(raw, client)
        lines += line
    if not lines or len(raw) + len(lines) > MAX_EDITED_HEAD:
        return raw
    return raw[: head.line_end] + lines + raw[head.line_end :]


def _forwarded(raw: bytes, client: str) -> tuple[bytes, bytes]:
    """The head with the address behind those that are there, or a line to add where there are none."""
    found = list(_FORWARDED.finditer(raw))
    if not found:
        return raw, f"x-forwarded-for: {client}\r\n".encode()
    last = found[-1]
    value = last.group(1).rstrip(b" \t")
    joined = value + b", " + client.encode() if value else client.encode()
    return raw[: last.start(1)] + joined + raw[last.end(1) :], b""


def _overwrite(raw: bytes, start: int, trace: Trace) -> bytes:
    flags_at = start + _PARENT_AT + 17
    flags = b"%02x" % (int(raw[flags_at : flags_at + 2], 16) | 1)
    parent = start + _PARENT_AT
    return raw[:parent] + trace.span_id.encode() + raw[parent + 16 : flags_at] + flags + raw[flags_at + 2 :]


def _tokens(value: bytes) -> list[bytes]:
    return [stripped for token in value.split(b",") if (stripped := token.strip(b" \t"))]


def _without_h2c(raw: bytes, head: RequestHead) -> bytes:
    """Drop h2c from Upgrade, HTTP2-Settings, and what named them in Connection; other tokens stay."""
    others = [token for token in _tokens(head.upgrades) if token != b"h2c"]
    gone = {b"http2-settings"} if others else {b"http2-settings", b"upgrade"}
    for name, start, end in reversed(head.fields):
        label, _, value = raw[start : end - 2].partition(b":")
        if name == b"http2-settings":
            raw = raw[:start] + raw[end:]
            continue
        drop = gone if name == b"connection" else {b"h2c"}
        tokens = _tokens(value)
        kept = [token for token in tokens if token.lower() not in drop]
        if len(kept) < len(tokens):
            line = label + b": " + b", ".join(kept) + b"\r\n" if kept else b""
            raw = raw[:start] + line + raw[end:]
    return raw
