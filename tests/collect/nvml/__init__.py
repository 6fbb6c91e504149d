"""A driver of C behind libnvidia-ml.so.1's names, for the real binding: compiled once, told what to do by a file."""

import ctypes
import functools
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pynvml

from exporter.collect import gpu_xids

SOURCE = Path(__file__).with_name("driver.c")
LIBRARY = "libnvidia-ml.so.1"


@functools.cache
def compiled(old: bool = False) -> Path:
    """The library, in a folder of its own; `old`: as drivers before R535 are."""
    library = Path(tempfile.mkdtemp(prefix="nvml-")) / LIBRARY
    flags = ["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", *(["-DOLD"] if old else [])]
    command = ["cc", *flags, "-o", library, SOURCE]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, f"the driver does not compile: {done.stderr}"
    return library


class Control:
    """The file that the driver reads; `say` replaces what it said."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.say()

    def say(self, *lines: str) -> None:
        whole = self.path.with_suffix(".new")
        whole.write_text("".join(f"{line}\n" for line in lines))
        whole.rename(self.path)


@contextmanager
def driver(folder: Path, old: bool = False) -> Iterator[Control]:
    """The binding of this process over a driver that starts from nothing; what it had before is put back."""
    control = Control(folder / "driver.txt")
    # Of a file of its own: the loader gives the same library, with its state, for the same one.
    library = folder / LIBRARY
    library.write_bytes(compiled(old).read_bytes())
    with (
        mock.patch.dict("os.environ", FAKE_NVML=str(control.path)),
        mock.patch.object(pynvml, "nvmlLib", ctypes.CDLL(str(library))),
        mock.patch.object(pynvml, "_nvmlGetFunctionPointer_cache", {}),
        # What a test waits for when it lets the driver go.
        mock.patch.object(gpu_xids, "_WAIT_MILLISECONDS", 20),
        mock.patch.object(gpu_xids, "_PAUSE_SECONDS", 0.02),
    ):
        # C reads the environment of the process, which mock has set through os.environ.
        yield control
