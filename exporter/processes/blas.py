"""BLAS: one thread for the matrix library of numpy, told before numpy is imported.

Its threads wait by spinning. Where the CPUs are shared or limited by a cgroup each product waits for a thread that does
not run: the three dot products of 30,000 numbers took 21 ms of CPU on two cores with two threads, 0.02 ms with one.
"""

import os
from typing import Final

_VARIABLES: Final = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def single_threaded() -> None:
    """For this process; what the environment says already stays."""
    for name in _VARIABLES:
        os.environ.setdefault(name, "1")
