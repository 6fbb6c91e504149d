"""blas.py: numpy's matrix library has one thread where we say so, and as many as were asked for."""

import os
import subprocess
import sys

import pytest

from exporter.processes.blas import single_threaded

THREADS = """
import os, threading
from exporter.cli import main
assert main(["profile", "--data", "missing.csv"]) == 2
import numpy
print(len(os.listdir("/proc/self/task")) - threading.active_count(), os.environ["OPENBLAS_NUM_THREADS"])
"""


def test_the_environment_is_left_where_it_says_something(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a user chose stays; what is not there is one."""
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    monkeypatch.setenv("MKL_NUM_THREADS", "1")  # so that it is put back
    monkeypatch.delenv("MKL_NUM_THREADS")
    single_threaded()
    assert (os.environ["OPENBLAS_NUM_THREADS"], os.environ["MKL_NUM_THREADS"]) == ("3", "1")


def test_a_profile_is_made_by_one_thread() -> None:
    """It is said before numpy is imported, or it would be too late."""
    done = subprocess.run(
        [sys.executable, "-c", THREADS], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == ["0", "1"], done.stderr
