"""What the data plane reads of small JSON bodies: the model that is asked for, and whether a stream tells its usage.

Whatever the bytes are, the outcome is an answer or none. A name is a label only after an answer confirmed it.
"""

from typing import Final

import msgspec

MAX_ASKED: Final = 65536  # bytes of a body


class Asked(msgspec.Struct, gc=False):
    """What is read; everything else is stepped over."""

    model: str = ""


class Streamed(msgspec.Struct, gc=False):
    """What of a request decides whether its stream tells its usage."""

    stream: bool = False
    stream_options: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Chunk(msgspec.Struct, gc=False):
    """What of a chunk tells that it holds the usage and nothing else."""

    choices: list[msgspec.Raw] | None = None
    usage: dict[str, msgspec.Raw] | None = None


_MALFORMED = (msgspec.MsgspecError, ValueError, RecursionError)
_OPTION: Final = b'"stream_options":{"include_usage":true},'
_decoder = msgspec.json.Decoder(Asked)
_streamed = msgspec.json.Decoder(Streamed)
_chunks = msgspec.json.Decoder(Chunk)


def model_of(body: bytes) -> str:
    """The model's name, "" if the body does not tell one as it should."""
    try:
        return _decoder.decode(body).model
    except _MALFORMED:
        return ""


def with_usage(body: bytes) -> bytes:
    """The body of a request for a stream, asking for its usage; b"" if it is none, or says itself what it wants."""
    try:
        found = _streamed.decode(body)
    except _MALFORMED:
        return b""
    if not found.stream or found.stream_options is not msgspec.UNSET:
        return b""
    inside = body.index(b"{") + 1
    return body[:inside] + _OPTION + body[inside:]


def is_usage(data: bytes) -> bool:
    """Whether a chunk is the extra one that tells the usage: it has that, and an empty list of choices."""
    try:
        found = _chunks.decode(data)
    except _MALFORMED:
        return False
    return found.usage is not None and found.choices is not None and not found.choices
