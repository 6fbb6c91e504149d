"""What a follower is certain of, held against another parser: the same boundaries and bodies, or a difference.

The peer is fed up to the last byte but one of each message, then that byte: so it must see the message end there and
nowhere else.
"""

import asyncio
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from exporter.wire.events import Data, Desync, End, Head, Tunnel
from exporter.wire.head import RequestHead
from tests.fuzz.peers import Peer, Read, Refused
from tests.wire.follow import Run, follow

_HOST = re.compile(rb"\n[Hh][Oo][Ss][Tt]:")


class Claim(NamedTuple):
    """A message of which the follower is certain: where it ends, what a peer must read, and the heads before it."""

    end: int
    read: Read
    heads: bytes


class Difference(NamedTuple):
    """`kind`: refuses (it does, we do not), early, late, other (framed or read otherwise), takes (we refuse).

    `word` is what the one that refuses said, and `claim` what was being read; b"" if we read nothing.
    """

    kind: str
    word: str
    heads: bytes
    method: str


def claims(run: Run) -> list[Claim]:
    """The complete messages of a run."""
    found: list[Claim] = []
    word, body, heads = "", b"", b""
    for event in run.events:
        if isinstance(event, Head):
            head = event.head
            heads += head.raw
            is_request = isinstance(head, RequestHead)
            word = (
                f"{head.method.decode()} {head.target.decode('latin-1')}" if is_request else str(head.status)
            )
            body = b""
        elif isinstance(event, Data):
            body += run.raw[event.start : event.end]
        elif isinstance(event, End):
            found.append(Claim(event.at, Read(word, body), heads))
            heads = b""
    return found


def hosted(raw: bytes) -> bytes:
    """The same requests with a Host in each: only for h11 is a request without one no request."""
    parts, at = [], 0
    for event in follow([raw]).events:
        if isinstance(event, Head) and not _HOST.search(event.head.raw) and event.head.minor:
            parts += [raw[at : event.start + event.head.line_end], b"Host: a\r\n"]
            at = event.start + event.head.line_end
    return b"".join([*parts, raw[at:]])


def difference(
    raw: bytes, methods: Sequence[str] | None, kind: Any, loop: asyncio.AbstractEventLoop
) -> Difference | None:
    """The first difference between the follower and this kind of peer; None if there is none."""
    run = follow([raw], methods)
    peer: Peer = kind(methods, loop)
    at = 0
    known = claims(run)
    for number, claim in enumerate(known):
        method = methods[number] if methods is not None else ""
        try:
            peer.feed(raw[at : claim.end - 1])
            if len(peer.read) > number:
                return Difference("early", "", claim.heads, method)
            peer.feed(raw[claim.end - 1 : claim.end])
        except Refused as refusal:
            # It may refuse only what comes behind.
            if len(peer.read) <= number or not same(peer.read[number], claim.read) or number + 1 < len(known):
                return Difference("refuses", str(refusal), claim.heads, method)
            return None
        if len(peer.read) <= number:
            return Difference("late", "", claim.heads, method)
        if not same(peer.read[number], claim.read):
            return Difference("other", "", claim.heads, method)
        at = claim.end
    method = methods[len(known)] if methods is not None and len(known) < len(methods) else ""
    return _behind(run, peer, at, method)


def same(one: Read, other: Read) -> bool:
    """Read alike; aiohttp writes methods in capitals, which moves no boundary."""
    return one.body == other.body and one.word.upper() == other.word.upper()


def _behind(run: Run, peer: Peer, at: int, method: str) -> Difference | None:
    """What the two make of the bytes in which we see no complete message."""
    before = len(peer.read)
    last = run.events[-1] if run.events else None
    if isinstance(last, Tunnel) or at == len(run.raw):
        return None
    heads = b"".join(event.head.raw for event in run.events if isinstance(event, Head) and event.start >= at)
    try:
        peer.feed(run.raw[at:])
    except Refused as refusal:
        if isinstance(last, Desync) or _would_refuse(run):
            return None
        return Difference("refuses", str(refusal), heads, method)
    if isinstance(last, Desync):
        return Difference("takes", last.reason, heads, method)
    return Difference("early", "", heads, method) if len(peer.read) > before else None


def _would_refuse(run: Run) -> bool:
    """Whether it is only that a peer refuses at the byte, and we when the head or line is complete."""
    if run.follower.certain:
        return False
    events = run.follower.feed(b"\r\n\r\n")
    return bool(events) and isinstance(events[-1], Desync)
