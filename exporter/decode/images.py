"""Image bytes -> columns of what can be told of an image without keeping it: format, size, brightness, contrast.

Knows no dialect. Format and size are read from headers: PNG, JPEG, GIF, WebP. Brightness (mean of the grey levels, 0
to 1) and contrast (their standard deviation) take Pillow, the extra `images`; without it those two columns are not
there. Whatever the bytes are, nothing raises: what is no image has nulls. The work is bounded: so many segments of a
header are walked, so many pixels of one exchange are looked at.
"""

import struct
import zlib
from binascii import Error as BinasciiError
from binascii import a2b_base64
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib import import_module
from io import BytesIO
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from exporter.decode.payload import MAX_NAME
from exporter.records.observation import Column, aspect_name

Data = bytes | memoryview
# JPEG segments before the size; cameras write a few dozen at most.
MAX_SEGMENTS: Final = 512
# Pixels of one column that are decoded: 10 ms a million for PNG, less for JPEG, which is decoded at an eighth.
MAX_PIXELS: Final = 4 << 20
_REDUCED: Final = 64
# How the texts of base64 images begin, PNG, JPEG, GIF and WebP in this order.
_LONGEST: Final = len(":brightness")
_BASE64: Final = ("iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR")
_SHORTEST: Final = 32
_PNG, _GIF, _JPEG = b"\x89PNG\r\n\x1a\n", (b"GIF87a", b"GIF89a"), b"\xff\xd8\xff"
# What Pillow raises, and warns of, on broken files; it documents no more than OSError.
_BROKEN: Final = (
    *(OSError, EOFError, ValueError, SyntaxError, TypeError, LookupError, ArithmeticError, AttributeError),
    *(MemoryError, RuntimeError, struct.error, zlib.error, Warning),
)
_STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class Image(NamedTuple):
    """What a header says; sizes in pixels, both above 0."""

    format: str
    width: int
    height: int


def image_columns(name: str, cells: Sequence[Data | None]) -> list[Column]:
    """Columns `name:format`, `:width`, `:height`, `:bytes` and, with Pillow, `:brightness` and `:contrast`.

    None, and what is no image, is null in all of them. No columns where no cell is an image.
    """
    name = name[: MAX_NAME - _LONGEST]
    images = [None if cell is None else header(bytes(cell)) for cell in cells]
    missing = images.count(None)
    if missing == len(images):
        return []
    formats = np.array([None if image is None else image.format for image in images], dtype=object)
    columns = [Column(aspect_name(name, "format"), "categorical", formats, missing)]
    sizes = [
        (np.nan,) * 3 if image is None or cell is None else (image.width, image.height, len(cell))
        for image, cell in zip(images, cells, strict=True)
    ]
    numbers: dict[str, NDArray[np.float64]] = {}
    for place, aspect in enumerate(("width", "height", "bytes")):
        numbers[aspect] = np.array([size[place] for size in sizes], np.float64)
    levels = _levels(images, cells)
    if levels is not None:
        numbers |= {"brightness": levels[:, 0], "contrast": levels[:, 1]}
    for aspect, values in numbers.items():
        nulls = missing if aspect not in ("brightness", "contrast") else int(np.isnan(values).sum())
        columns.append(Column(aspect_name(name, aspect), "numeric", values, nulls))
    return columns


def base64_columns(name: str, cells: Sequence[Any]) -> list[Column]:
    """`image_columns` of texts in base64; what is no such text is no image."""
    return image_columns(name, [_unwrapped(cell) for cell in cells])


def looks_base64(cell: Any) -> bool:
    """Whether a cell is a text that begins as base64 images do."""
    return type(cell) is str and len(cell) > _SHORTEST and cell.startswith(_BASE64)


def header(data: bytes) -> Image | None:
    """Format and size of an image; None for anything else."""
    for starts, read in _READERS:
        if data.startswith(starts):
            try:
                found = read(data)
            except (struct.error, IndexError):
                return None  # cut off within its header
            return found if found is not None and found.width > 0 < found.height else None
    return None


def _unwrapped(cell: Any) -> bytes | None:
    if type(cell) is not str:
        return None
    try:
        return a2b_base64(cell)
    except (BinasciiError, ValueError):
        return None


def _png(data: bytes) -> Image | None:
    width, height = struct.unpack_from(">II", data, 16)
    return Image("png", width, height) if data[12:16] == b"IHDR" else None


def _gif(data: bytes) -> Image:
    return Image("gif", *struct.unpack_from("<HH", data, 6))


def _webp(data: bytes) -> Image | None:
    kind = data[8:16]
    if kind == b"WEBPVP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return Image("webp", width & 0x3FFF, height & 0x3FFF)
    if kind == b"WEBPVP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return Image("webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b"WEBPVP8X" and len(data) >= 30:
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
        return Image("webp", width, height)
    return None


def _jpeg(data: bytes) -> Image | None:
    """Walks the segments to the first frame header (ITU T.81, B.1.1.4 and B.2.2)."""
    at = 2
    for _ in range(MAX_SEGMENTS):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker in _STANDALONE:
            at += 2
        elif marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return Image("jpeg", width, height)
        elif marker in (0xD9, 0xDA):
            return None  # the end, or pixels without a frame
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return None


_READERS: Final[tuple[tuple[bytes | tuple[bytes, ...], Callable[[bytes], Image | None]], ...]] = (
    (_PNG, _png),
    (_JPEG, _jpeg),
    (_GIF, _gif),
    (b"RIFF", _webp),
)


def _levels(images: Sequence[Image | None], cells: Sequence[Data | None]) -> NDArray[np.float64] | None:
    """Mean and standard deviation of each image's grey levels, NaN where they are not known; None without Pillow."""
    pillow = _pillow()
    if pillow is None:
        return None
    room = MAX_PIXELS
    found = np.full((len(images), 2), np.nan)
    for place, (image, cell) in enumerate(zip(images, cells, strict=True)):
        if image is None or cell is None:
            continue
        pixels = image.width * image.height
        if pixels > room:
            continue
        room -= pixels
        grey = _grey(pillow, image.format, bytes(cell))
        if grey is not None:
            found[place] = grey.mean() / 255.0, grey.std() / 255.0
    return found


def _grey(pillow: Any, form: str, data: bytes) -> NDArray[np.uint8] | None:
    try:
        with pillow.open(BytesIO(data), formats=(form,)) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                return None  # a file may have two headers that differ
            opened.draft("L", (_REDUCED, _REDUCED))  # JPEG only: an eighth of each side costs a fraction
            return np.asarray(opened.convert("L"), np.uint8)
    except _BROKEN:
        return None


@lru_cache
def _pillow() -> Any:
    """Pillow's Image module, if it is installed; loaded when the first image comes."""
    try:
        module: Any = import_module("PIL.Image")
    except ImportError:
        return None
    module.MAX_IMAGE_PIXELS = None  # its own bound only warns; ours is far below it
    return module
