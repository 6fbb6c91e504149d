"""A multipart form -> the one image in it, as servers of images take it (RFC 7578, RFC 2046 5.1).

Knows no dialect. The field `data`, else `body`, is what handlers look at first; in a form without them a single image
is meant, and of several none. Whatever the bytes are, nothing raises: a form that breaks off has none. The work is
bounded: so many fields, of heads so long.
"""

import re
from collections.abc import Iterator
from typing import Final

from exporter.decode.images import header

FORM: Final = "multipart/form-data"
MAX_FIELDS: Final = 64
MAX_HEAD: Final = 4096
# RFC 2046: at most 70 characters.
_BOUNDARY: Final = re.compile(rb'(?i)\r\ncontent-type:[^\r\n]*?;[ \t]*boundary=("?)([^"\r\n;]{1,70})\1')
_NAME: Final = re.compile(rb'(?i)\r\ncontent-disposition:[^\r\n]*?;[ \t]*name="?([^"\r\n;]*)')
_NAMES: Final = (b"data", b"body")


def form_image(head: bytes, body: bytes) -> bytes | None:
    """The image of a form, None where there is no such one."""
    found = _BOUNDARY.search(head)
    if found is None:
        return None
    fields = dict(_fields(body, b"\r\n--" + found[2].rstrip()))
    images = {name: place for name, place in fields.items() if header(body[place]) is not None}
    for name in _NAMES:
        if name in fields:
            return body[images[name]] if name in images else None
    if len(images) != 1:
        return None
    (place,) = images.values()
    return body[place]


def _fields(body: bytes, delimiter: bytes) -> Iterator[tuple[bytes, slice]]:
    """Name and place of each field; none at all of a form that does not come to its end."""
    line = delimiter[2:]
    at = body.find(line) + len(line)
    found: list[tuple[bytes, slice]] = []
    while at >= len(line) and len(found) < MAX_FIELDS:
        if body.startswith(b"--", at):
            yield from found
            return
        start = body.find(b"\r\n\r\n", at, at + MAX_HEAD)
        end = body.find(delimiter, start + 2) if start >= 0 else -1
        if end < 0:
            return
        name = _NAME.search(body, at, start + 2)
        found.append((name[1] if name is not None else b"", slice(start + 4, end)))
        at = end + len(delimiter)
