"""The inputs that a run begins with: seeds made from the vectors, and the stored corpus that earlier runs found.

A stored input is a file named by the digest of its bytes; a bug's input stays there for good.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz.laws import SEPARATOR, pack

VECTORS = Path(__file__).parents[1] / "vectors"
STORED = VECTORS / "fuzz"
MAX_STORED = 300 * 1024  # bytes of all stored inputs together
MAX_INPUT = 4096  # bytes; longer ones tell nothing that a shorter one cannot, at a higher price


def seeds() -> Iterator[bytes]:
    """Every vector that is short enough, answers behind the requests that they answer."""
    for path in sorted((VECTORS / "http1").glob("*/*.http")):
        raw = path.read_bytes()
        if path.parent.name == "responses":
            methods = json.loads(path.with_suffix(".expected.json").read_text())["methods"]
            asked = "".join(f"{method} / HTTP/1.1\r\n\r\n" for method in methods)
            raw = asked.encode() + SEPARATOR + raw
        if len(raw) <= MAX_INPUT:
            yield pack(raw, len(raw) % 256, len(path.stem) % 256)


def stored() -> list[Path]:
    """The stored corpus."""
    return sorted(path for path in STORED.iterdir() if path.is_file())


def name_of(data: bytes) -> str:
    """The digest by which the fuzzer names an input."""
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def write(inputs: Iterator[bytes], folder: Path) -> int:
    """One file an input, named by its digest; returns how many bytes they have together."""
    folder.mkdir(parents=True, exist_ok=True)
    size = 0
    for data in inputs:
        (folder / name_of(data)).write_bytes(data)
        size += len(data)
    return size
