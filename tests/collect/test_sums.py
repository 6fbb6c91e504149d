"""Lists of digests, as coreutils writes them and as people do."""

import hashlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.collect.sums import parse

A, B = "a" * 64, "B" * 64


@pytest.mark.parametrize(
    ("text", "digests", "bad"),
    [
        ("", {}, 0),
        (f"{A}  model.bin\n", {"/m/model.bin": A}, 0),
        (f"{A} *model.bin\r\n", {"/m/model.bin": A}, 0),
        (f"{B}  sub/./x y.bin", {"/m/sub/x y.bin": "b" * 64}, 0),
        (f"{A}  /elsewhere/x\n", {"/elsewhere/x": A}, 0),
        (f"SHA256 (a (1).bin) = {A}\n", {"/m/a (1).bin": A}, 0),
        (f"\\{A}  a\\nb\\\\c\n", {"/m/a\nb\\c": A}, 0),
        (f"# made by hand\n\n{A}  x\n{A[:40]}  y\nMD5 (z) = {A}\n{A}\n", {"/m/x": A}, 3),
        (f"{A}  x\n{B}  x\n", {"/m/x": "b" * 64}, 0),
        (f"{A}  x\0y\n", {}, 1),
    ],
)
def test_lines(text: str, digests: dict[str, str], bad: int) -> None:
    """Both forms, escapes, comments; what says nothing is counted."""
    found = parse(text, "/m")
    assert (found.digests, found.bad_lines) == (digests, bad)


def test_what_sha256sum_writes(tmp_path: Path) -> None:
    """The real tool's own output, both forms, of names that it has to escape."""
    names = ["plain.bin", "with space.bin", "new\nline", "back\\slash", "(paren) = x"]
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
    expected = {str(tmp_path / name): hashlib.sha256(name.encode()).hexdigest() for name in names}
    for form in ([], ["--tag"], ["--binary"]):
        run = subprocess.run(
            ["sha256sum", *form, *names], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        found = parse(run.stdout, str(tmp_path))
        assert (found.digests, found.bad_lines) == (expected, 0)


@given(st.text())
def test_any_text(text: str) -> None:
    """Nothing raises, and no more is found than there are lines."""
    found = parse(text, "/m")
    assert len(found.digests) + found.bad_lines <= text.count("\n") + 1
