"""What holds for any bodies under any dialect, as a fuzzer, the vectors and generated input all call it.

An input is a byte that chooses who reads, a byte of choices, and the bodies: the request's, then, behind SEPARATOR,
the answer's. Heads are those of a good vector of the dialect, so every input is claimed; the choices change a field.
What is pushed has one body.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from exporter.decode import DIALECTS, Dialect
from exporter.decode.custom import dialect
from exporter.records.custom import parse
from exporter.records.exchange import Exchange
from tests.decode.exchanges import from_raw
from tests.decode.laws import VECTORS, counted, pushes
from tests.decode.laws import check as keeps_the_laws

SEPARATOR = b"\x00\xff\x00"
PUSHED = ("pushed", "pushed_lines")
MAX_INPUT = 4096
# What the choices put into a head, by its bits: at most one for each side.
FIELDS = (
    b"",
    *(b"content-encoding: " + coding for coding in (b"gzip", b"deflate", b"br", b"zstd", b"gzip, br")),
    *(b"content-type: " + media for media in (b"text/csv", b"application/json", b"application/x-ndjson")),
    *(b"inference-header-content-length: " + size for size in (b"0", b"9", b"64", b"200")),
    *(b"content-type: " + media for media in (b"text/plain", b"application/octet-stream")),
    b"x-amzn-sagemaker-inference-id: a",
)


class Reader(NamedTuple):
    """Who reads an input, and the heads that it comes with."""

    name: str
    exchange: Exchange | None
    custom: Dialect | None = None


def readers() -> list[Reader]:
    """Every dialect, each description of a custom one that is stored, and the two forms of what is pushed."""
    found = [Reader(one.NAME, _good(one.NAME)) for one in DIALECTS]
    for case in sorted((VECTORS / "custom").glob("*.custom.json")):
        stem = case.with_name(case.name.removesuffix(".custom.json"))
        made = dialect(parse(json.loads(case.read_text())))
        found.append(Reader("custom", _stored(stem.with_name(stem.name + ".request")), made))
    return [*found, *[Reader(name, None) for name in PUSHED]]


def _stored(path: Path) -> Exchange:
    return from_raw(path.read_bytes(), path.with_suffix(".response").read_bytes())


def _good(name: str) -> Exchange:
    for path in sorted((VECTORS / name).glob("*.request")):
        if "rows" in json.loads(path.with_suffix(".expected.json").read_text()):
            return _stored(path)
    raise AssertionError(f"{name} has no good vector")


READERS = readers()


def pack(reader: int, request: bytes, answer: bytes = b"", choices: int = 0) -> bytes:
    """An input of these bodies."""
    body = request + SEPARATOR + answer if READERS[reader].exchange is not None else request
    return bytes((reader, choices)) + body


def seeds() -> Iterator[bytes]:
    """Every vector that is short enough, as an input of its reader."""
    places = {reader.name: place for place, reader in enumerate(READERS)}
    for one in DIALECTS:
        for path in sorted((VECTORS / one.NAME).glob("*.request")):
            stored = _stored(path)
            yield pack(places[one.NAME], stored.request_body, stored.response_body)
    for place, reader in enumerate(READERS):
        if reader.custom is not None and reader.exchange is not None:
            yield pack(place, reader.exchange.request_body, reader.exchange.response_body)
    for path in sorted((VECTORS / "pushed").glob("*json")):
        yield pack(places["pushed_lines" if path.suffix == ".ndjson" else "pushed"], path.read_bytes())


def check(data: bytes, thorough: bool = False) -> None:
    """Run one input through the laws; an AssertionError, or anything else that is raised, is a defect.

    `thorough`: that work is bounded too. Not under a fuzzer, whose own calls would be counted.
    """
    if len(data) < 2:
        return
    reader = READERS[data[0] % len(READERS)]
    if reader.exchange is None:
        pushes(data[2:], reader.name == "pushed_lines", refusals=True)
        return
    one = exchange(reader.exchange, data)
    keeps_the_laws(one, DIALECTS if reader.custom is None else (reader.custom,))
    if reader.custom is None and thorough:
        counted(one)


def exchange(base: Exchange, data: bytes) -> Exchange:
    """The exchange of an input, with heads like those of `base`."""
    request, _, answer = data[2:].partition(SEPARATOR)
    fields = FIELDS[data[1] & 15], FIELDS[(data[1] >> 4) & 7]
    return msgspec.structs.replace(
        base,
        request_head=_head(base.request_head, fields[0]),
        response_head=_head(base.response_head, fields[1]),
        request_body=request,
        response_body=answer,
    )


def _head(head: bytes, field: bytes) -> bytes:
    """With that field first of all, where a decoder finds it before any other of its name."""
    if not field:
        return head
    line, _, rest = head.partition(b"\r\n")
    return b"\r\n".join((line, field, rest))
