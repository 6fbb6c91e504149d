"""Accept-Encoding -> the body of a scrape in that coding: gzip, deflate, or zstd where its package is installed.

Knows no formats. What no scraper asked for is not applied; a coding with q=0 is refused by the one who asks.
"""

import gzip
import zlib
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any, Final

from exporter.publish.negotiation import quality_of

# Text of metrics repeats itself: level 1 gives a tenth of its size in a quarter of the time of level 6.
_LEVEL: Final = 1


def compress(body: bytes, accept_encoding: str) -> tuple[bytes, str]:
    """The body, and the value of Content-Encoding, "" for none. Takes milliseconds per megabyte: not for an event loop.

    Of codings with the same weight zstd comes first, then gzip.
    """
    weights = _weights(accept_encoding)
    other = weights.get("*", 0.0)
    best = max(
        (name for name in _CODINGS if name != "zstd" or _zstandard() is not None),
        key=lambda name: weights.get(name, other),
    )
    if not weights.get(best, other):
        return body, ""
    return _CODINGS[best](body), best


def _weights(accept_encoding: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for item in accept_encoding.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        options = dict(part.replace(" ", "").partition("=")[::2] for part in parameters)
        if name:
            weights["gzip" if name == "x-gzip" else name] = quality_of(options.get("q", "1"))
    return weights


@lru_cache
def _zstandard() -> Any:
    try:
        return import_module("zstandard")
    except ImportError:
        return None


_CODINGS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "zstd": lambda body: bytes(_zstandard().ZstdCompressor(level=_LEVEL).compress(body)),
    "gzip": lambda body: gzip.compress(body, _LEVEL, mtime=0),
    "deflate": lambda body: zlib.compress(body, _LEVEL),
}
