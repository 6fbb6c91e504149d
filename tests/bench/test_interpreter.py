"""Which Python runs, how it was built, and whether a module is compiled."""

import os
import platform
import sys
from pathlib import Path

import pytest
import uvloop  # noqa: F401 - a library that this process has mapped

from bench import interpreter

MAPS = """\
55d0-55d1 r-xp 00000000 fe:00 11 /usr/bin/python3.12
7f10-7f11 r-xp 00000000 fe:00 12 /opt/a b/exporter/wire/http1.cpython-312-x86_64-linux-gnu.so
7f12-7f13 rw-p 00000000 00:00 0
7f14-7f15 rw-p 00000000 00:00 0 [heap]
"""


@pytest.mark.parametrize(
    ("maps", "compiled"),
    [
        (MAPS, True),
        (MAPS.replace(".cpython-312-x86_64-linux-gnu", ""), True),
        (MAPS.replace("http1.", "http10."), False),
        (MAPS.replace("/exporter/", "/other/"), False),
        ("", False),
    ],
)
def test_a_compiled_module_is_a_mapped_library(maps: str, compiled: bool) -> None:
    """Only the module's own shared library counts, with or without the interpreter's tag."""
    assert interpreter.is_compiled(maps, "exporter.wire.http1") is compiled


def test_a_module_in_a_library_of_many(tmp_path: Path) -> None:
    """The library is mapped, the module's own file only lies where it leads there from."""
    maps = f"7f10-7f11 r-xp 00000000 fe:00 12 {tmp_path}/0a1b__mypyc.cpython-312-x86_64-linux-gnu.so\n"
    (tmp_path / "exporter" / "wire").mkdir(parents=True)
    assert not interpreter.is_compiled(maps, "exporter.wire.http1")
    (tmp_path / "exporter" / "wire" / "http1.py").touch()
    assert not interpreter.is_compiled(maps, "exporter.wire.http1")
    (tmp_path / "exporter" / "wire" / "http1.cpython-312-x86_64-linux-gnu.so").touch()
    assert interpreter.is_compiled(maps, "exporter.wire.http1")


def test_a_running_process() -> None:
    """This very process: its version, how it was built, a module that is a library and one that is not."""
    version = f"Python {platform.python_version()}, built with"
    assert interpreter.of_process(os.getpid(), "bench.peer").startswith(version)
    assert interpreter.of_process(os.getpid(), "bench.peer").endswith("bench.peer interpreted")
    assert interpreter.of_process(os.getpid(), "uvloop.loop").endswith("uvloop.loop compiled")


def test_what_cannot_be_asked_is_unknown() -> None:
    """A program that is no Python, or not there, is no error of the benchmark."""
    assert interpreter.of_program("/nowhere/python").startswith("unknown")
    assert interpreter.of_program("false").startswith("unknown")
    assert interpreter.of_program(sys.executable).startswith("Python 3")
