"""Content codings undone: gzip, deflate, zstd, br, and lists of them in the order in which they were put on.

Knows no dialect. Whatever the bytes are, the outcome is the body without its codings or Undecodable, and nothing is
inflated past a bound, however little it takes to write a lot: "coding_bomb". A body that is truncated, broken or in
another coding than its head says is "content_coding". zstd and br need a package each (zstandard, brotli); without
it, and for codings that nobody here knows, the reason is "coding_unsupported".
"""

import zlib
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any, Final

import msgspec

from exporter.records.exchange import Exchange
from exporter.records.observation import Undecodable

# A body may become so large, or so many times larger where more is captured.
MAX_BODY: Final = 8 << 20
MAX_FACTOR: Final = 4
# Codings of one body, and members of one gzip or frames of one zstd body: each costs a look at what is left.
MAX_CODINGS: Final = 4
MAX_MEMBERS: Final = 16
_FIELD: Final = b"\r\ncontent-encoding:"
_GZIP, _ZLIB, _RAW = 31, 15, -15
_PIECE: Final = 64 << 10
# RFC 9659: what a receiver of the coding has to provide, and nobody may ask for more.
_ZSTD_WINDOW: Final = 8 << 20


def plain(exchange: Exchange) -> Exchange:
    """The exchange with bodies that have no codings; itself, if they had none. Raises Undecodable."""
    # `find` takes half the time of `in`, for which bytes ask whether the field is a number first.
    if exchange.request_head.lower().find(_FIELD) < 0 and exchange.response_head.lower().find(_FIELD) < 0:
        return exchange
    return msgspec.structs.replace(
        exchange,
        request_body=undo(exchange.request_head, exchange.request_body),
        response_body=undo(exchange.response_head, exchange.response_body),
    )


def undo(head: bytes, body: bytes) -> bytes:
    """The body without the codings that its head names. Raises Undecodable (see the module)."""
    lowered = head.lower()
    if _FIELD not in lowered:
        return body
    codings = _codings(lowered)
    if len(codings) > MAX_CODINGS or not all(coding in _UNDO for coding in codings):
        raise Undecodable("coding_unsupported")
    bound = max(MAX_BODY, MAX_FACTOR * len(body))
    for coding in reversed(codings):
        body = _UNDO[coding](body, bound)
    return body


def _codings(lowered: bytes) -> list[str]:
    """What all such fields list, in their order; `identity` is none."""
    values = [part.partition(b"\r\n")[0] for part in lowered.split(_FIELD)[1:]]
    words = [word.strip(b" \t").decode("latin-1") for value in values for word in value.split(b",")]
    return [word for word in words if word not in ("", "identity")]


def _gzip(body: bytes, bound: int) -> bytes:
    return _inflate(body, bound, _GZIP)


def _deflate(body: bytes, bound: int) -> bytes:
    """The coding is zlib's format; some servers write the bare stream."""
    try:
        return _inflate(body, bound, _ZLIB)
    except Undecodable as refusal:
        if refusal.reason != "content_coding":
            raise
    return _inflate(body, bound, _RAW)


def _inflate(body: bytes, bound: int, wbits: int) -> bytes:
    parts: list[bytes] = []
    room = bound + 1
    for _ in range(MAX_MEMBERS if wbits == _GZIP else 1):
        member = zlib.decompressobj(wbits)
        try:
            parts.append(member.decompress(body, room))
        except zlib.error as error:
            raise Undecodable("content_coding") from error
        room -= len(parts[-1])
        if not room:
            raise Undecodable("coding_bomb")
        body = member.unused_data
        if member.eof and not body:
            return b"".join(parts)
        if not member.eof:
            break
    raise Undecodable("content_coding")


def _zstd(body: bytes, bound: int) -> bytes:
    zstandard = _package("zstandard")
    made = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    parts: list[bytes] = []
    try:
        # The reader stops where it is told but hides a missing end; what follows tells the end but not when to stop.
        reader = made.stream_reader(body, read_across_frames=True)
        size = 0
        while piece := reader.read(_PIECE):
            size += len(piece)
            if size > bound:
                raise Undecodable("coding_bomb")
        for _ in range(MAX_MEMBERS):
            frame = made.decompressobj()
            parts.append(frame.decompress(body))
            body = frame.unused_data
            if frame.eof and not body:
                return b"".join(parts)
            if not frame.eof:
                break
    except zstandard.ZstdError as error:
        raise Undecodable("content_coding") from error
    raise Undecodable("content_coding")


def _brotli(body: bytes, bound: int) -> bytes:
    brotli = _package("brotli")
    stream = brotli.Decompressor()
    parts: list[bytes] = []
    room = bound
    try:
        while not stream.is_finished():
            parts.append(stream.process(body, output_buffer_limit=room + 1))
            body = b""
            room -= len(parts[-1])
            if room < 0:
                raise Undecodable("coding_bomb")
            if stream.can_accept_more_data() and not stream.is_finished():
                break  # there is no more
        else:
            return b"".join(parts)
    except brotli.error as error:
        raise Undecodable("content_coding") from error
    except TypeError as error:  # older than 1.2: it cannot be told when to stop
        raise Undecodable("coding_unsupported") from error
    raise Undecodable("content_coding")


@lru_cache
def _installed(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None


def _package(name: str) -> Any:
    """An optional package, loaded when it is first needed."""
    package = _installed(name)
    if package is None:
        raise Undecodable("coding_unsupported")
    return package


_UNDO: Final[dict[str, Callable[[bytes, int], bytes]]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "zstd": _zstd,
    "br": _brotli,
}
