"""The model that the body of a request asks for. Read once the exchange is over, from small bodies only.

Whatever the bytes are, the outcome is a name or "": it is a label only after an answer confirmed it.
"""

from typing import Final

import msgspec

MAX_ASKED: Final = 65536  # bytes of a body


class Asked(msgspec.Struct, gc=False):
    """What is read; everything else is stepped over."""

    model: str = ""


_decoder = msgspec.json.Decoder(Asked)


def model_of(body: bytes) -> str:
    """The model's name, "" if the body does not tell one as it should."""
    try:
        return _decoder.decode(body).model
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return ""
