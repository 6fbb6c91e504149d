"""Content codings: undone in their order, bounded, broken ones refused by reason."""

import bz2
import gzip
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import brotli
import pytest
import zstandard

from exporter.decode import coding
from exporter.decode.coding import MAX_BODY, MAX_FACTOR, MAX_MEMBERS, undo
from exporter.records.observation import Undecodable

TEXT = b'{"instances":[1]}' * 40


def raw_deflate(body: bytes) -> bytes:
    made = zlib.compressobj(wbits=-15)
    return made.compress(body) + made.flush()


def streamed_zstd(body: bytes) -> bytes:
    """As a server writes it that does not know the size."""
    made = zstandard.ZstdCompressor().compressobj()
    return made.compress(body) + made.flush()


def quick_brotli(body: bytes) -> bytes:
    coded: bytes = brotli.compress(body, quality=5)
    return coded


WAYS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "deflate, raw": ("deflate", raw_deflate),
    "zstd": ("zstd", zstandard.ZstdCompressor().compress),
    "zstd, streamed": ("zstd", streamed_zstd),
    "br": ("br", quick_brotli),
}
EACH = pytest.mark.parametrize("way", WAYS)


def head(*values: str) -> bytes:
    fields = "".join(f"Content-Encoding: {value}\r\n" for value in values)
    return f"HTTP/1.1 200 OK\r\n{fields}Content-Type: application/json\r\n\r\n".encode()


def reason(body: bytes, *values: str) -> str:
    with pytest.raises(Undecodable) as refusal:
        undo(head(*values), body)
    return refusal.value.reason


@EACH
def test_each_coding(way: str) -> None:
    """What was put on is undone, whatever is written in capitals."""
    name, code = WAYS[way]
    assert undo(head(name), code(TEXT)) == TEXT
    assert undo(head(name.upper()), code(b"")) == b""


def test_no_coding() -> None:
    """A body without a coding is handed over as it is, not copied."""
    for fields in (
        head(),
        head("identity"),
        head(""),
        b"",
        b"HTTP/1.1 200 OK\r\nAccept-Encoding: gzip\r\n\r\n",
    ):
        assert undo(fields, TEXT) is TEXT


@pytest.mark.parametrize("values", [("gzip, br",), ("gzip,identity,br",), ("gzip", "br"), ("gzip", " , br")])
def test_lists(values: tuple[str, ...]) -> None:
    """Codings that were put on one after another, in one field or in several, are undone from the last."""
    assert undo(head(*values), brotli.compress(gzip.compress(TEXT, mtime=0))) == TEXT
    assert reason(gzip.compress(brotli.compress(TEXT), mtime=0), *values) == "content_coding"


def test_members_and_frames() -> None:
    """Several gzip members or zstd frames are one body; beyond the bound they are refused."""
    many = [TEXT] * MAX_MEMBERS
    assert undo(head("gzip"), b"".join(map(gzip.compress, many))) == b"".join(many)
    assert undo(head("zstd"), b"".join(map(streamed_zstd, many))) == b"".join(many)
    assert reason(b"".join(map(gzip.compress, [b""] * 10_000)), "gzip") == "content_coding"
    assert reason(b"".join(map(streamed_zstd, [b""] * 10_000)), "zstd") == "content_coding"


@EACH
def test_broken(way: str) -> None:
    """Cut anywhere, followed by something, or in another coding: refused, never the part that could be read."""
    name, code = WAYS[way]
    whole = code(TEXT)
    for body in (*[whole[:cut] for cut in range(len(whole))], whole + b"more", bz2.compress(TEXT), TEXT):
        assert reason(body, name) == "content_coding"


@EACH
def test_bombs(way: str) -> None:
    """A body that would become larger than the bound is refused, within a few times the bound of memory."""
    name, code = WAYS[way]
    bomb = code(bytes(4 * MAX_BODY))
    assert len(bomb) < MAX_BODY / 100
    tracemalloc.start()
    try:
        assert reason(bomb, name) == "coding_bomb"
        assert tracemalloc.get_traced_memory()[1] < 3 * MAX_BODY
    finally:
        tracemalloc.stop()


def test_bombs_of_bombs() -> None:
    """The bound is that of the body that came, not of what a coding made of it."""
    assert (
        reason(gzip.compress(gzip.compress(bytes(64 << 20), mtime=0), mtime=0), "gzip, gzip") == "coding_bomb"
    )
    assert reason(gzip.compress(TEXT, mtime=0), *["gzip"] * 5) == "coding_unsupported"


@EACH
def test_the_bound_itself(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As much as the bound is read, one byte more is not; a large body may become so many times larger."""
    name, code = WAYS[way]
    monkeypatch.setattr(coding, "MAX_BODY", len(TEXT))
    assert undo(head(name), code(TEXT)) == TEXT
    assert reason(code(TEXT + b" "), name) == "coding_bomb"
    assert MAX_FACTOR >= 1


@pytest.mark.parametrize("name", ["compress", "aws-chunked", "gzip;q=1", "\xff", "gzip, compress"])
def test_unsupported(name: str) -> None:
    """A coding that nobody here knows is told apart from a broken one."""
    assert reason(gzip.compress(TEXT, mtime=0), name) == "coding_unsupported"


@pytest.mark.parametrize(("name", "package"), [("zstd", "zstandard"), ("br", "brotli")])
def test_without_the_package(name: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Codings whose package is not installed are not supported; the others are."""
    monkeypatch.setitem(sys.modules, package, None)
    coding._installed.cache_clear()
    try:
        assert reason(b"", name) == "coding_unsupported"
        assert undo(head("gzip"), gzip.compress(TEXT, mtime=0)) == TEXT
    finally:
        coding._installed.cache_clear()


def test_an_old_brotli(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that cannot be told when to stop is none."""

    class Old:
        def process(self, body: bytes) -> bytes:
            return body

        def is_finished(self) -> bool:
            return False

    old: Any = SimpleNamespace(Decompressor=Old, error=brotli.error)
    monkeypatch.setattr(coding, "_installed", lambda _: old)
    assert reason(brotli.compress(TEXT), "br") == "coding_unsupported"
